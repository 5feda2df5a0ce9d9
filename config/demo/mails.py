"""The mails that the SMTP sink took."""

import email
import email.policy
import time
from collections.abc import Sequence
from email.message import EmailMessage
from pathlib import Path

from config.demo.errors import expect

MAIL_SECONDS = 20
N_LINES = 9


class Inbox:
    """What comes into the sink's folder from now on. Each mail is read once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read = set(folder.glob("*.eml"))
        self._mails: list[EmailMessage] = []

    def mails(self) -> list[EmailMessage]:
        """All that have come so far, in the order of arrival."""
        new = sorted(set(self.folder.glob("*.eml")) - self._read)
        self._mails += [email.message_from_bytes(file.read_bytes(), policy=email.policy.default) for file in new]
        self._read.update(new)
        return self._mails

    def wait_for_done_mails(self, about: Sequence[str]) -> list[EmailMessage]:
        """The done mail of each of these bulk actions (ids of the API).

        Raises `DemoFailed` unless there is exactly one for each: one too many is as wrong as one too few.
        """
        deadline = time.monotonic() + MAIL_SECONDS
        while not all(found := self._about(about)) and time.monotonic() < deadline:
            time.sleep(0.2)
        for action, mails in zip(about, found, strict=True):
            expect(
                len(mails) == 1, f"{len(mails)} done mails of the bulk action {action} arrived in {self.folder}, not 1."
            )
        return [mails[0] for mails in found]

    def letters(self) -> list[EmailMessage]:
        """The mails of bulk emails: those that offer a way out."""
        return [mail for mail in self.mails() if "List-Unsubscribe" in mail]

    def _about(self, actions: Sequence[str]) -> list[list[EmailMessage]]:
        notices = [(mail, _text(mail)) for mail in self.mails() if "List-Unsubscribe" not in mail]
        return [[mail for mail, text in notices if action in text] for action in actions]


def recipient_of(mail: EmailMessage) -> str:
    """The address that the sink was told."""
    return str(mail["X-RcptTo"])


def summary(mail: EmailMessage) -> list[str]:
    """Headers and first lines, for a person to read."""
    shown = [name for name in ("From", "To", "Subject", "List-Unsubscribe") if name in mail]
    lines = [line for line in _text(mail).splitlines() if line.strip()]
    return [f"{name}: {mail[name]}" for name in shown] + lines[:N_LINES]


def some_of(letters: Sequence[EmailMessage]) -> list[EmailMessage]:
    """Two to look at, and a third one beyond ASCII, if there is one."""
    others = [mail for mail in letters[2:] if not (_text(mail) + str(mail["Subject"])).isascii()]
    return [*letters[:2], *others[:1]]


def _text(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    return body.get_content() if body else ""
