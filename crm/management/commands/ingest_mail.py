"""`manage.py ingest_mail < message`: for a mail server's pipe, one message each."""

import os
import sys
from argparse import ArgumentParser
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.db import InterfaceError, OperationalError

from crm.ids import parse_close_id
from crm.mail import inbound
from crm.mail.received import READ_BYTES, Unreadable
from crm.models import EmailAccount

_CHUNK_BYTES = 256 * 1024


class Command(BaseCommand):
    help = (
        "Takes a message that arrived, from standard input: a bounce, a complaint, a reply. Prints what it was taken "
        "for. Exit codes are those of sysexits.h: 65 for what is no message, 75 where the database is away (try again)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--account",
            help="id or address of the account that it arrived for; without one only what is tied to a mail counts",
        )

    def handle(self, *, account: str | None, **options: object) -> None:
        try:
            owner = account_named(account) if account else None
            self.stdout.write(inbound.receive(_read(), account=owner))
        except Unreadable as problem:
            raise CommandError(str(problem), returncode=os.EX_DATAERR) from problem
        except (OperationalError, InterfaceError) as problem:
            raise CommandError("The database does not answer.", returncode=os.EX_TEMPFAIL) from problem


def account_named(name: str) -> EmailAccount:
    """The account with that id or address, or a `CommandError`."""
    found = EmailAccount.objects.all()
    key = parse_close_id("emailacct", name)
    if key is None:
        try:
            key = UUID(name)
        except ValueError:
            key = None
    matching = list(found.filter(pk=key) if key else found.filter(sender_email__iexact=name)[:2])
    if len(matching) != 1:
        problem = "There is no such account" if not matching else "Several accounts have this address: give the id"
        raise CommandError(f"{problem}: {name}", returncode=os.EX_NOUSER)
    return matching[0]


def _read() -> bytes:
    """The front of standard input, as much as is looked at. All of it is read: the pipe's other end waits for that."""
    kept = b""
    while chunk := sys.stdin.buffer.read(_CHUNK_BYTES):
        kept += chunk[: READ_BYTES - len(kept)]
    return kept
