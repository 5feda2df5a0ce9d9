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


def mails_in(folder: Path) -> set[Path]:
    return set(folder.glob("*.eml"))


def wait_for_mails(folder: Path, *, known: set[Path], about: Sequence[str]) -> list[EmailMessage]:
    """The done mail of each of these bulk actions (ids of the API), out of what came in after `known`.

    Raises `DemoFailed` unless there is exactly one for each: one too many is as wrong as one too few.
    """
    deadline = time.monotonic() + MAIL_SECONDS
    found = _mails_about(folder, known, about)
    while not all(found) and time.monotonic() < deadline:
        time.sleep(0.2)
        found = _mails_about(folder, known, about)
    for action, mails in zip(about, found, strict=True):
        expect(len(mails) == 1, f"{len(mails)} done mails of the bulk action {action} arrived in {folder}, not one.")
    return [mails[0] for mails in found]


def summary(mail: EmailMessage) -> list[str]:
    """Headers and first lines, for a person to read."""
    lines = [line for line in _text(mail).splitlines() if line.strip()]
    return [f"{name}: {mail[name]}" for name in ("From", "To", "Subject")] + lines[:N_LINES]


def _mails_about(folder: Path, known: set[Path], about: Sequence[str]) -> list[list[EmailMessage]]:
    """For each bulk action, the new mails with its id in their text."""
    new = [
        email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
        for file in sorted(mails_in(folder) - known)
    ]
    return [[mail for mail in new if action in _text(mail)] for action in about]


def _text(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    return body.get_content() if body else ""
