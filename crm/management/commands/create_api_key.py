"""`manage.py create_api_key`: a key for a script, with whatever it takes to have one."""

from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from crm.auth import make_api_key
from crm.errors import Invalid
from crm.models import Dialect, Role
from crm.setup import ensure_member, ensure_organization


class Command(BaseCommand):
    help = (
        "Makes an API key, and the organization and the user where missing. The secret is the last line of the output; "
        "for the dialect gomega the customer's id follows on one more line."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--organization", required=True, metavar="NAME")
        parser.add_argument("--email", required=True)
        parser.add_argument(
            "--role", help=f"{' or '.join(Role.values)}; a new member is an admin unless told otherwise"
        )
        parser.add_argument("--dialect", default=Dialect.CLOSE.value, help=" or ".join(Dialect.values))
        parser.add_argument("--password", help="the user's password for signing in")
        parser.add_argument(
            "--scopes", default="", help="separated by commas; all of the dialect unless told otherwise"
        )

    def handle(self, **options: str) -> None:
        try:
            self._make(**options)
        except Invalid as problem:
            raise CommandError(" ".join([*problem.errors, *map(str, problem.field_errors.values())])) from problem

    @transaction.atomic
    def _make(
        self, *, organization: str, email: str, role: str, dialect: str, password: str, scopes: str, **_: object
    ) -> None:
        if dialect not in Dialect.values:
            raise Invalid([f"Unknown dialect: {dialect}. One of: {', '.join(Dialect.values)}."])
        owner, is_new = ensure_organization(organization)
        if is_new and dialect == Dialect.BLUEAI:  # whose amounts are whole yen (blueai-api.md 1)
            owner.currency = "JPY"
            owner.save(update_fields=["currency"])
        membership, joined = ensure_member(organization=owner, email=email, role=role, password=password)
        wanted = [scope.strip() for scope in scopes.split(",") if scope.strip()]
        secret = make_api_key(membership=membership, dialect=dialect, scopes=wanted)[1]
        self.stdout.write(f"Organization {owner.name}{' (new)' if is_new else ''}")
        self.stdout.write(f"Member {membership.user.email}, {membership.role}{' (new)' if joined else ''}")
        self.stdout.write(f"API key for the dialect {dialect}; the secret is shown this once:")
        self.stdout.write(secret)
        if dialect == Dialect.GOMEGA:
            self.stdout.write(str(owner.pk))
