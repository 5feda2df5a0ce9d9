"""`manage.py seed_demo`: invented leads to try things out on."""

import time
from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from crm.demo_data import ACTIVITIES_PER_LEAD, seed_leads
from crm.errors import Invalid
from crm.models import Lead
from crm.setup import ensure_organization


class Command(BaseCommand):
    help = "Adds invented leads with all that hangs on them to an organization, which is made if missing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--organization", required=True, metavar="NAME")
        parser.add_argument("--leads", required=True, type=int, metavar="N", help="how many to add")
        parser.add_argument("--seed", type=int, default=1, metavar="S", help="the same seed makes the same data")
        about = "of each lead, on average (default: %(default)s)"
        parser.add_argument("--activities", type=int, default=ACTIVITIES_PER_LEAD, metavar="N", help=about)

    def handle(self, *, organization: str, leads: int, seed: int, activities: int, **options: object) -> None:
        if min(leads, activities) < 0:
            raise CommandError("--leads and --activities must not be negative.")
        try:
            owner, _ = ensure_organization(organization)
        except Invalid as problem:
            raise CommandError("--organization must be a name.") from problem
        started = time.monotonic()
        with Progress(
            TextColumn("Leads"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=Console(stderr=True)
        ) as progress:
            task = progress.add_task("leads", total=leads)
            made = seed_leads(organization=owner, leads=leads, seed=seed, activities_per_lead=activities)
            for added in made:
                progress.advance(task, added)
        seconds = time.monotonic() - started
        total = Lead.objects.filter(organization=owner).count()
        self.stdout.write(f"Added {leads} leads to {owner.name} in {seconds:.1f} s; it has {total} now.")
