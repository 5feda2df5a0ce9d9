"""`manage.py create_inbound_token`: lets a mail provider hand in what arrives for an account."""

from argparse import ArgumentParser

from django.conf import settings
from django.core.management.base import BaseCommand

from crm.mail.inbound_access import make_token
from crm.management.commands.ingest_mail import account_named


class Command(BaseCommand):
    help = "Makes an account's inbound token; the one before it ends. The token is the last line of the output."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--account", required=True, help="id or address")

    def handle(self, *, account: str, **options: object) -> None:
        owner = account_named(account)
        self.stdout.write(f"Raw messages for {owner.sender_email}: POST {settings.PUBLIC_URL}/api/v1/inbound/mail/")
        self.stdout.write("with the header 'Authorization: Bearer TOKEN', or '?token=TOKEN'; it is shown this once:")
        self.stdout.write(make_token(owner))
