"""`manage.py erase_lead`: removes one lead for good, with all that anything here holds of it."""

from argparse import ArgumentParser
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError

from bulk_actions.kept_files import files_with
from bulk_actions.retention import erase
from crm.ids import close_id, parse_close_id
from crm.models import Lead, Organization


class Command(BaseCommand):
    help = (
        "Removes a lead for good, live or deleted, with its contacts and whatever hangs on it, and takes its values "
        "out of ledgers, mails and stored answers. There is no way back. Backups and the mail server's own copies are "
        "not reached, nor what has been written about it into other leads. Files that were imported or exported are "
        "left to their time; those that may hold the lead are named."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("lead", help="id of the API (lead_...) or key")
        parser.add_argument("--organization", metavar="NAME", help="refuse a lead of another one; name or id")
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, *, lead: str, organization: str | None, yes: bool, **_: object) -> None:
        found = _found(lead)
        owner = found.organization
        if organization and organization not in (owner.name, str(owner.pk), close_id("orga", owner.pk)):
            raise CommandError(f"There is no such lead in {organization}.")
        if not yes and not self._confirmed(found, owner):
            raise CommandError("Nothing was removed.")
        try:
            removed, is_all = erase(found.pk, owner.pk)
        except OperationalError as problem:
            raise CommandError(f"Nothing was removed: {' '.join(str(problem).split())}") from problem
        for name, n in removed.items():
            self.stdout.write(f"{n:>8,} {name}")
        if not is_all:
            self.stdout.write("A ledger is in hand; the purge takes the lead's values out of it within minutes.")
        for file in files_with(found.pk, owner.pk):
            self.stdout.write(f"May hold it until {file.until:%Y-%m-%d}: {file.name}")

    def _confirmed(self, lead: Lead, owner: Organization) -> bool:
        state = "live" if lead.deleted_at is None else f"deleted {lead.deleted_at:%Y-%m-%d}"
        self.stdout.write(f"{lead.name or '(no name)'}, {close_id('lead', lead.pk)}, {state}, of {owner.name}")
        return input("Remove it for good? Type yes: ").strip() == "yes"


def _found(text: str) -> Lead:
    key = parse_close_id("lead", text)
    if key is None:
        try:
            key = UUID(text)
        except ValueError:
            raise CommandError(f"Not an id of a lead: {text}") from None
    lead = Lead.all_objects.select_related("organization").filter(pk=key).first()
    if lead is None:
        raise CommandError(f"There is no lead {text}.")
    return lead
