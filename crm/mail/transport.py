"""The way to the mail servers: one kept SMTP connection per worker and relay, and what can become of one message."""

import base64
import re
import smtplib
import socket
import ssl
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from time import monotonic
from urllib.parse import unquote, urlsplit

from django.conf import settings

from crm.mail.hosts import HostRefused, address_of

PORTS = {"smtp": 25, "smtp+tls": 587, "smtp+ssl": 465}
_IDLE_SECONDS = 2  # a connection unused for longer is tried with NOOP first
_CLOSING = 421  # RFC 5321 4.2.3: the server hangs up
_UNCONFIGURED = 530  # RFC 4954: log in first; no recipient's fault
_TEXT_LENGTH = 300
_KEPT_CONNECTIONS = 8  # of one worker

_kept = threading.local()


class RelayAway(Exception):
    """The server cannot be used now; the message was not taken and its recipient has nothing to do with it."""


class PatienceAsked(RelayAway):
    """The server closes the session itself (421), before it was told a recipient."""


class LoginRefused(RelayAway):
    """The server does not know us, or not by this password."""


class Answered(Exception):
    """The server said no to this message: for now (4xx) or for good (5xx). It was not taken."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text


class Deferred(Answered):
    """Try again later."""


class HungUp(Deferred):
    """The server said nothing: it hung up at this recipient, before the content."""


class SenderRefused(Answered):
    """The server will not have mail from this sender (5xx to MAIL FROM); the recipient has nothing to do with it."""


class Refused(Answered):
    """Do not try again."""


class Doubtful(Exception):
    """The message went out and no answer came back: nobody can know whether the server took it."""


@dataclass(frozen=True)
class Relay:
    """A mail server and how to log in to it. `is_ours`: the operator chose it, so it may be on any address."""

    host: str
    port: int
    scheme: str = "smtp"
    username: str = ""
    password: str = field(default="", repr=False)
    is_ours: bool = True

    @classmethod
    def from_url(cls, url: str) -> "Relay":
        """The relay of `smtp://user:password@host:port`, `smtp+tls://` (STARTTLS) or `smtp+ssl://`. ValueError else.

        What the error says never holds the URL, which may hold a password.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise ValueError("EMAIL_URL is not a URL.") from None
        if parts.scheme not in PORTS or not parts.hostname:
            raise ValueError("EMAIL_URL must be smtp://, smtp+tls:// or smtp+ssl:// with a host.")
        return cls(
            parts.hostname,
            port or PORTS[parts.scheme],
            parts.scheme,
            unquote(parts.username or ""),
            unquote(parts.password or ""),
        )


def default_relay() -> Relay:
    """The relay of `EMAIL_URL`; without one, the sink of this home, at the port where it listens now."""
    if settings.EMAIL_URL:
        return Relay.from_url(settings.EMAIL_URL)
    try:
        return Relay("127.0.0.1", int(settings.HOME.sink_port_file.read_text()))
    except (FileNotFoundError, ValueError):
        raise RelayAway("the embedded mail sink does not run") from None


def connection_to(relay: Relay) -> "Connection":
    """This thread's kept connection, opened anew if it was broken or has gone stale. Raises `RelayAway`."""
    kept: OrderedDict[Relay, Connection] = _kept.__dict__.setdefault("connections", OrderedDict())
    line = kept.pop(relay, None)
    if line is None or not line.is_usable():
        if line is not None:
            line.close()
        # So that it is known at which command the server hangs up, should it do so again.
        line = Connection(relay, one_by_one=line is not None and line.broke_in_group)
    kept[relay] = line
    if len(kept) > _KEPT_CONNECTIONS:
        kept.popitem(last=False)[1].close()
    return line


class Connection:
    """An open session with a relay. `broken` is set once nothing more can be sent on it."""

    def __init__(self, relay: Relay, *, one_by_one: bool = False) -> None:
        """Connect and log in, in SMTP_TIMEOUT_SECONDS and the time that the name of the host takes. Else `RelayAway`,
        whose text never holds the password.

        Commands go in groups where the server takes that (RFC 2920), unless `one_by_one`.
        """
        self.relay = relay
        self.broken = False
        self.messages_taken = 0
        self._one_by_one = one_by_one
        self._owed = 0  # answers to commands that went out in a group; the last one is that to DATA
        self._last_used = monotonic()
        try:
            address = relay.host if relay.is_ours else _checked_address(relay.host)
            self._smtp = _client(relay)
            with _deadline(self._smtp, settings.SMTP_TIMEOUT_SECONDS):
                self._open(address)
        except HostRefused as problem:
            raise RelayAway(problem.errors[0]) from None
        except UnicodeError:
            raise LoginRefused("The username and the password must be ASCII.") from None
        except (smtplib.SMTPAuthenticationError, _NoLogin) as problem:
            self._smtp.close()
            raise LoginRefused(_without_password(_text_of(problem), relay)[:_TEXT_LENGTH]) from None
        except (OSError, smtplib.SMTPException) as problem:
            if hasattr(self, "_smtp"):
                self._smtp.close()
            raise RelayAway(_without_password(_text_of(problem), relay)[:_TEXT_LENGTH]) from None

    @property
    def broke_in_group(self) -> bool:
        """Whether it broke while the answers to several commands were awaited: nobody knows at which."""
        return self.broken and self._owed > 0

    def _open(self, address: str) -> None:
        code, greeting = self._smtp.connect(address, self.relay.port)
        if code != 220:
            raise smtplib.SMTPConnectError(code, greeting)
        if self.relay.scheme == "smtp+tls":
            self._smtp.starttls(context=ssl.create_default_context())
        if self.relay.username:
            try:
                self._smtp.login(self.relay.username, self.relay.password)
            except smtplib.SMTPNotSupportedError as problem:
                raise _NoLogin(*problem.args) from None
        self._smtp.ehlo_or_helo_if_needed()

    def is_usable(self) -> bool:
        """Whether the server is still there, as far as can be told without sending a message."""
        if self.broken:
            return False
        if monotonic() - self._last_used < _IDLE_SECONDS:
            return True
        try:
            return self._smtp.noop()[0] == 250
        except (OSError, smtplib.SMTPException):
            return False

    def send(self, content: bytes, *, sender: str, recipient: str) -> None:
        """Hand over one message (with CRLF line ends), or raise one of this module's exceptions.

        All of it takes at most about SMTP_TIMEOUT_SECONDS.
        """
        if b"\n." in content or content.startswith(b"."):
            content = re.sub(rb"(?m)^\.", b"..", content)  # RFC 5321 4.5.2; ends with a line end
        until = monotonic() + settings.SMTP_TIMEOUT_SECONDS
        answers = self._ask(f"MAIL FROM:<{sender}>", f"RCPT TO:<{recipient}>", "DATA", until=until)
        code, text = next(answers)
        if code in (_CLOSING, _UNCONFIGURED):
            self._break()
            raise (PatienceAsked if code == _CLOSING else LoginRefused)(f"{code} {text}")
        if 500 <= code < 600:
            self._forget_message()
            raise SenderRefused(code, text)
        self._expect((250,), code, text)
        # From here on a hang-up counts as this message's own: one that makes the server hang up must not stop the rest.
        try:
            self._expect((250, 251), *next(answers))
            self._expect((354,), *next(answers))
        except RelayAway as problem:
            raise HungUp(_CLOSING, str(problem)) from problem
        try:
            self._limit(until)
            self._smtp.send(content + b".\r\n")
            self._limit(until)
            code, answer = self._smtp.getreply()
        except (OSError, smtplib.SMTPException) as problem:
            self._break()
            raise Doubtful(_readable(problem)) from problem
        self._expect((250,), code, _readable(answer))
        self.messages_taken += 1
        self._last_used = monotonic()

    def close(self) -> None:
        """Say goodbye if the server listens, and close."""
        try:
            if not self.broken:
                self._limit(monotonic() + 1)
                self._smtp.quit()
        except (OSError, smtplib.SMTPException):
            pass
        finally:
            self._smtp.close()

    def _ask(self, *commands: str, until: float) -> Iterator[tuple[int, str]]:
        """The answer to each command in turn. Raises `RelayAway` in place of one that does not come.

        In a group they cost one way there and back; else each is sent when its answer is asked for.
        """
        in_group = not self._one_by_one and self._smtp.has_extn("pipelining")
        for number, command in enumerate(commands):
            try:
                self._limit(until)
                if not in_group:
                    self._smtp.putcmd(command)
                elif number == 0:
                    self._smtp.send(_group(commands))
                    self._owed = len(commands)
                code, text = self._smtp.getreply()
            except (OSError, smtplib.SMTPException) as problem:
                self._break()
                raise RelayAway(_readable(problem)) from problem
            self._owed = max(0, self._owed - 1)
            yield code, _readable(text)

    def _expect(self, wanted: tuple[int, ...], code: int, text: str) -> None:
        if code in wanted:
            return
        # What is neither yes nor no (252 to a recipient) must not end in a message: the server may have meant yes.
        if code == _CLOSING or not 400 <= code < 600:
            self._break()
        elif not self.broken:
            self._forget_message()
        raise (Refused if 500 <= code < 600 else Deferred)(code, text)

    def _forget_message(self) -> None:
        """Begin anew behind a refusal."""
        try:
            while self._owed:
                code, _ = self._smtp.getreply()
                self._owed -= 1
                if not self._owed and code == 354:  # it takes a content for nobody (RFC 2920 3.1)
                    self._smtp.send(b".\r\n")
                    self._smtp.getreply()
            self._smtp.rset()
        except (OSError, smtplib.SMTPException):
            self._break()

    def _limit(self, until: float) -> None:
        if self._smtp.sock is not None:
            self._smtp.sock.settimeout(max(0.05, until - monotonic()))

    def _break(self) -> None:
        self.broken = True
        self._smtp.close()


def _group(commands: Sequence[str]) -> str:
    """These commands as they go out together. ValueError where one is more than one, as from smtplib's own."""
    for command in commands:
        if "\r" in command or "\n" in command:
            raise ValueError(f"a line break in a command: {command!r}")
    return "".join(f"{command}\r\n" for command in commands)


class _NoLogin(smtplib.SMTPException):
    """The server offers no login that we know."""


def _checked_address(host: str) -> str:
    return address_of(host, allow_private=settings.ALLOW_PRIVATE_SMTP_HOSTS)


def _client(relay: Relay) -> smtplib.SMTP:
    timeout = settings.SMTP_TIMEOUT_SECONDS
    if relay.scheme == "smtp+ssl":
        smtp: smtplib.SMTP = smtplib.SMTP_SSL(timeout=timeout, context=ssl.create_default_context())
    else:
        smtp = smtplib.SMTP(timeout=timeout)
    # The name is what certificates are held against; what is connected to is the address that was checked.
    smtp._host = relay.host
    return smtp


@contextmanager
def _deadline(smtp: smtplib.SMTP, seconds: float) -> Iterator[None]:
    """End the connection when the time is over, also where the server keeps saying a little."""

    def hang_up() -> None:
        if smtp.sock is not None:
            with suppress(OSError):  # closed already
                smtp.sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, hang_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _without_password(text: str, relay: Relay) -> str:
    """`text` without the password in any form in which it went out: a server may repeat what it was told."""
    if not relay.password:
        return text
    plain = f"\0{relay.username}\0{relay.password}".encode()
    said = [relay.password, *(base64.b64encode(octets).decode() for octets in (plain, relay.password.encode()))]
    for form in said:
        text = text.replace(form, "***")
    return text


def _readable(answer: object) -> str:
    return _text_of(answer)[:_TEXT_LENGTH]


def _text_of(answer: object) -> str:
    if isinstance(answer, smtplib.SMTPResponseException):
        answer = f"{answer.smtp_code} {_text_of(answer.smtp_error)}"
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else str(answer) or type(answer).__name__
    return text if text.isprintable() else "".join(one if one.isprintable() else " " for one in text)
