"""A real SMTP server for tests, with switches for what servers do to mail. Runs inside the test's process."""

import asyncio
import email
import email.policy
import socket
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from crm.mail import transport


@dataclass
class Post:
    """What the server received, and how it treats what comes. A refusal text is the whole reply, code first."""

    letters: list[tuple[str, bytes]] = field(default_factory=list)  # (envelope recipient, content), as accepted
    refuse_recipient: dict[str, str] = field(default_factory=dict)
    vague_about_recipient: set[str] = field(default_factory=set)
    refuse_content: dict[str, str] = field(default_factory=dict)
    refuse_sender: dict[str, str] = field(default_factory=dict)
    hang_up_at_mail: bool = False
    close_after: int = 0  # letters; then the server answers 421 to the next sender. 0: never
    hang_up_at_recipient: set[str] = field(default_factory=set)
    hang_up_before_data: set[str] = field(default_factory=set)  # at the word DATA: nothing was handed over
    hang_up_after_data: set[str] = field(default_factory=set)  # the letter is kept, the answer never leaves
    login: tuple[str, str] | None = None  # the only user and password that may send
    seconds_per_letter: float = 0.0
    takes_groups: bool = False  # offers PIPELINING (RFC 2920)
    takes_data_for_nobody: bool = False  # answers 354 to DATA although it has refused the recipient (RFC 2920 3.1)
    sessions: int = 0
    groups: int = 0  # senders whose recipient had come with them

    @property
    def recipients(self) -> Counter[str]:
        return Counter(recipient for recipient, _ in self.letters)

    def messages(self) -> list[EmailMessage]:
        """The letters as read by a mail program, with plain line ends."""
        contents = [content.replace(b"\r\n", b"\n") for _, content in self.letters]
        return [email.message_from_bytes(content, policy=email.policy.default) for content in contents]

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        self.sessions += 1
        session.host_name = hostname
        return [responses[0], "250-PIPELINING", *responses[1:]] if self.takes_groups else responses

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.groups += b"RCPT" in server._reader._buffer
        if self.hang_up_at_mail:
            server.transport.abort()
        if self.close_after and len(self.letters) >= self.close_after:
            return "421 4.7.0 Too many messages, slow down"
        if address in self.refuse_sender:
            return self.refuse_sender[address]
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.hang_up_at_recipient:
            server.transport.abort()
        if address in self.refuse_recipient:
            return self.refuse_recipient[address]
        envelope.rcpt_tos.append(address)
        if address in self.vague_about_recipient:
            return "252 2.1.5 I shall try"
        return "250 OK"

    def check_login(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, login: object
    ) -> AuthResult:
        said = (login.login.decode(), login.password.decode()) if isinstance(login, LoginPassword) else None
        return AuthResult(success=said == self.login, handled=False)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        await asyncio.sleep(self.seconds_per_letter)
        (recipient,) = envelope.rcpt_tos
        if recipient in self.refuse_content:
            return self.refuse_content[recipient]
        self.letters.append((recipient, envelope.content))
        if recipient in self.hang_up_after_data:
            server.transport.abort()
        return "250 OK"


class _Server(SMTP):
    async def smtp_DATA(self, arg: str) -> None:
        if not self.event_handler.hang_up_before_data.isdisjoint(self.envelope.rcpt_tos):
            self.transport.abort()
        elif self.event_handler.takes_data_for_nobody and not self.envelope.rcpt_tos:
            await self.push("354 Go on")
            while await self._reader.readline() != b".\r\n":
                pass
            await self.push("554 5.5.1 No valid recipients")
        else:
            await super().smtp_DATA(arg)


class _Controller(Controller):
    """Listens from the start: a port that was only chosen may be another process's by the time of its use."""

    def __init__(self, post: Post, port: int, **options: object) -> None:
        self.socket = socket.create_server(("127.0.0.1", port))
        super().__init__(post, hostname="127.0.0.1", port=self.socket.getsockname()[1], **options)

    def _create_server(self) -> Coroutine[None, None, asyncio.AbstractServer]:
        return self.loop.create_server(self._factory_invoker, sock=self.socket)

    def factory(self) -> SMTP:
        server = _Server(self.handler, **self.SMTP_kwargs)
        server._auth_required = self.handler.login is not None  # as an argument it warns that there is no TLS
        return server


@contextmanager
def serving(post: Post, port: int = 0) -> Iterator[int]:
    """Serve `post` on 127.0.0.1 while the block runs. Gives the port."""
    controller = _Controller(
        post,
        port,
        authenticator=post.check_login if post.login else None,
        auth_require_tls=False,
    )
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


@contextmanager
def nobody_listening() -> Iterator[int]:
    """A TCP port of 127.0.0.1 that refuses whoever connects while the block runs: taken, so that nobody may listen."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def drop_connections() -> None:
    """Close the connections that this thread keeps for its next mails: the server of the next test is another one."""
    for line in transport._kept.__dict__.pop("connections", {}).values():
        line.close()
