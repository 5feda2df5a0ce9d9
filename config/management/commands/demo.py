"""`manage.py demo`: start the stack, seed leads, run the main job over HTTP, and show what happened."""

import json
import os
import signal
import time
from email.message import EmailMessage
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from config.demo import files, jobs, mails
from config.demo.api import Crm, Json
from config.demo.errors import DemoFailed, expect
from config.demo.screen import Screen
from config.demo.stack import free_port, make_key, manage, running_stack

ORGANIZATION = "Drover demo"
EMAIL = "demo@drover.example"
MAILS = 1_000
DELETED_SHARE = 10  # one lead in so many is deleted; the next run seeds as many again
LATER_URL = "http://127.0.0.1:8000"  # where `make up` serves: the mailed links shall work after the demo


class Command(BaseCommand):
    help = (
        "Starts the stack, works on DEMO_LEADS leads over HTTP with the official Close client, and checks the result. "
        "Exit code 0: everything was as promised."
    )
    requires_system_checks = ()

    def handle(self, **options: object) -> None:
        # A SIGTERM unwinds like Ctrl-C does, so that the stack is ended.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        screen = Screen()
        started = time.monotonic()
        try:
            with running_stack(settings.HOME.path / "logs" / "demo-stack.log", _environment()) as stack:
                screen.say(f"The stack is ready at {stack.url} after {time.monotonic() - started:.1f} s.")
                counts = _main_job(screen, stack.url)
        except DemoFailed as failure:
            raise CommandError(f"The demo failed: {failure}") from failure
        except KeyboardInterrupt:
            raise CommandError("The demo was stopped; its stack has ended.", returncode=130) from None
        _say_what_to_open(screen, stack.admin)
        # For scripts: one last line, not wrapped to the width of a terminal.
        self.stdout.write(json.dumps({"demo": "ok", **counts, "seconds": round(time.monotonic() - started, 1)}))


def _environment() -> dict[str, str]:
    if os.environ.get("PORT"):
        return dict(os.environ)
    return {"PUBLIC_URL": LATER_URL, **os.environ, "PORT": str(free_port())}


def _main_job(screen: Screen, url: str) -> Json:
    crm = Crm(url, make_key(ORGANIZATION, EMAIL, dict(os.environ)))
    if n_ended := jobs.cancel_left_overs(crm):
        screen.say(f"Cancelled {n_ended} jobs that an interrupted demo had left.")
    n_missing = settings.DEMO_LEADS - crm.count()
    if n_missing > 0:
        began = time.monotonic()
        leads = ("--organization", ORGANIZATION, "--leads", str(n_missing))
        manage("seed_demo", *leads, environment=dict(os.environ))
        screen.say(f'Seeded {n_missing:,} leads into "{ORGANIZATION}" in {time.monotonic() - began:.1f} s.')
    n_leads = crm.count()
    expect(n_leads >= settings.DEMO_LEADS, f"There are {n_leads} leads after seeding, not {settings.DEMO_LEADS}.")
    inbox = mails.Inbox(settings.HOME.mail)
    done = {
        "set_lead_status": jobs.set_status(crm, screen),
        "set_custom_field": jobs.add_choice(crm, screen),
        "delete": jobs.delete_oldest(crm, screen, n_leads // DELETED_SHARE),
    }
    if not settings.EMAIL_URL:  # a real mail server would try to deliver to people who do not exist
        done["email"] = jobs.send_mails(crm, screen, MAILS, inbox)
        _show(screen, mails.some_of(inbox.letters()))
    csv_file = settings.HOME.path / "demo" / "leads.csv"
    addresses = files.write_csv(csv_file)
    done["import"] = files.import_file(crm, screen, csv_file)
    done["export"] = files.export_leads(crm, screen, url, csv_file.with_name("all-leads.csv"), addresses)
    n_mails = _show_done_mails(screen, inbox, [str(job["id"]) for job in done.values()])
    return {"leads": n_leads, **done, "leads_left": crm.count(), "done_mails": n_mails}


def _show_done_mails(screen: Screen, inbox: mails.Inbox, about: list[str]) -> int | None:
    """Show the done mails; None where they leave by `EMAIL_URL` and nobody here can see them."""
    screen.title("Done mails")
    if settings.EMAIL_URL:
        screen.say(f"  They leave by {urlsplit(settings.EMAIL_URL).hostname}, to {EMAIL}. No bulk email goes there.")
        return None
    arrived = inbox.wait_for_done_mails(about)
    _show(screen, arrived)
    screen.say(f"  All mails lie in {inbox.folder}.")
    return len(arrived)


def _show(screen: Screen, arrived: list[EmailMessage]) -> None:
    for mail in arrived:
        for line in mails.summary(mail):
            screen.say(f"  {line}")
        screen.say("")


def _say_what_to_open(screen: Screen, admin: str) -> None:
    email, _, password = admin.partition(" ")
    screen.title("Look at it")
    screen.say(f"  make up, then open {LATER_URL}/admin/")
    screen.say(f"  login     {email}")
    screen.say(f"  password  {password}")
    screen.say("")
