"""The way to the mail server: one kept SMTP connection per worker, and what can become of one message on it."""

import re
import smtplib
import ssl
import threading
from dataclasses import dataclass, field
from email.message import EmailMessage
from time import monotonic
from urllib.parse import unquote, urlsplit

from django.conf import settings

_PORTS = {"smtp": 25, "smtp+tls": 587, "smtp+ssl": 465}
_IDLE_SECONDS = 2  # a connection unused for longer is tried with NOOP first
_CLOSING = 421  # RFC 5321 4.2.3: the server hangs up
_UNCONFIGURED = 530  # RFC 4954: log in first; no recipient's fault
_TEXT_LENGTH = 300

_kept = threading.local()


class RelayAway(Exception):
    """The server cannot be used now; the message was not taken and its recipient has nothing to do with it."""


class Answered(Exception):
    """The server said no to this message: for now (4xx) or for good (5xx). It was not taken."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text


class Deferred(Answered):
    """Try again later."""


class Refused(Answered):
    """Do not try again."""


class Doubtful(Exception):
    """The message went out and no answer came back: nobody can know whether the server took it."""


@dataclass(frozen=True)
class Relay:
    """A mail server and how to log in to it."""

    host: str
    port: int
    scheme: str = "smtp"
    username: str = ""
    password: str = field(default="", repr=False)

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
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError("EMAIL_URL must be smtp://, smtp+tls:// or smtp+ssl:// with a host.")
        return cls(
            parts.hostname,
            port or _PORTS[parts.scheme],
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
    """This thread's kept connection, opened anew if it is to another relay, was broken, or has gone stale."""
    kept: Connection | None = getattr(_kept, "connection", None)
    if kept is not None and kept.relay == relay and kept.is_usable():
        return kept
    drop_connection()
    _kept.connection = Connection(relay)
    return _kept.connection


def drop_connection() -> None:
    """Close this thread's kept connection, if there is one."""
    kept: Connection | None = _kept.__dict__.pop("connection", None)
    if kept is not None:
        kept.close()


class Connection:
    """An open session with a relay. `broken` is set once nothing more can be sent on it."""

    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        self.broken = False
        self.messages_taken = 0
        self._last_used = monotonic()
        timeout = settings.SMTP_TIMEOUT_SECONDS
        try:
            if relay.scheme == "smtp+ssl":
                self._smtp: smtplib.SMTP = smtplib.SMTP_SSL(
                    relay.host, relay.port, timeout=timeout, context=ssl.create_default_context()
                )
            else:
                self._smtp = smtplib.SMTP(relay.host, relay.port, timeout=timeout)
        except (OSError, smtplib.SMTPException) as problem:
            raise RelayAway(_readable(problem)) from problem
        try:
            if relay.scheme == "smtp+tls":
                self._smtp.starttls(context=ssl.create_default_context())
            if relay.username:
                self._smtp.login(relay.username, relay.password)
            self._smtp.ehlo_or_helo_if_needed()
        except (OSError, smtplib.SMTPException) as problem:
            self._smtp.close()
            raise RelayAway(_readable(problem)) from problem

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

    def send(self, message: EmailMessage, *, sender: str, recipient: str) -> None:
        """Hand over one message, or raise `RelayAway`, `Deferred`, `Refused` or `Doubtful`.

        All of it takes at most about SMTP_TIMEOUT_SECONDS.
        """
        content = re.sub(rb"(?m)^\.", b"..", message.as_bytes())  # RFC 5321 4.5.2; ends with a line end
        until = monotonic() + settings.SMTP_TIMEOUT_SECONDS
        code, text = self._say(f"MAIL FROM:<{sender}>", until)
        if code in (_CLOSING, _UNCONFIGURED):
            self._break()
            raise RelayAway(f"{code} {text}")
        self._expect((250,), code, text)
        # From here on a hang-up counts as this message's own: one that makes the server hang up must not stop the rest.
        try:
            self._expect((250, 251), *self._say(f"RCPT TO:<{recipient}>", until))
            self._expect((354,), *self._say("DATA", until))
        except RelayAway as problem:
            raise Deferred(_CLOSING, str(problem)) from problem
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

    def _say(self, command: str, until: float) -> tuple[int, str]:
        try:
            self._limit(until)
            code, text = self._smtp.docmd(command)
        except (OSError, smtplib.SMTPException) as problem:
            self._break()
            raise RelayAway(_readable(problem)) from problem
        return code, _readable(text)

    def _expect(self, wanted: tuple[int, ...], code: int, text: str) -> None:
        if code in wanted:
            return
        if code == _CLOSING:
            self._break()
        elif not self.broken:
            self._forget_message()
        raise (Refused if 500 <= code < 600 else Deferred)(code, text)

    def _forget_message(self) -> None:
        try:
            self._smtp.rset()
        except (OSError, smtplib.SMTPException):
            self._break()

    def _limit(self, until: float) -> None:
        if self._smtp.sock is not None:
            self._smtp.sock.settimeout(max(0.05, until - monotonic()))

    def _break(self) -> None:
        self.broken = True
        self._smtp.close()


def _readable(answer: object) -> str:
    if isinstance(answer, smtplib.SMTPResponseException):
        answer = f"{answer.smtp_code} {_readable(answer.smtp_error)}"
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else str(answer)
    return "".join(character if character.isprintable() else " " for character in text)[:_TEXT_LENGTH]
