"""One running stack for all fault tests, and an organization in it to do harm to."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from config.home import PROJECT
from crm.ids import parse_close_id
from tests.faults.client import BYSTANDER, LEADS, Client, Undisturbed
from tests.stack import Stack, environment, open_home


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    with open_home() as home, Stack(home, workers=2) as running:
        yield running


@pytest.fixture(scope="session")
def harmed(stack: Stack) -> Client:
    """An organization with 20,000 leads that has seen one job without any harm, and another one beside it."""
    secrets = {}
    for name, leads in ((BYSTANDER, 1000), ("Harmed", LEADS)):
        person = ("--organization", name, "--email", f"{name.lower()}@oakvale.example")
        secrets[name] = manage(stack, "create_api_key", *person).splitlines()[-1]
        manage(stack, "seed_demo", "--organization", name, "--leads", str(leads))
    client = Client(stack, secrets["Harmed"], "Harmed")
    job = client.start_edit(send_done_email=False)
    client.wait_until_done(job, seconds=60)
    status = parse_close_id("stat", client.get(job)["lead_status_id"])
    client.undisturbed = Undisturbed(client.end_state(status), client.bystanders(BYSTANDER))
    return client


@pytest.fixture
def client(harmed: Client) -> Client:
    """A client of the organization to do harm to, in which no job lives."""
    live = harmed.call("GET", "/bulk_action/edit/?status__in=created,loading,processing,paused,resuming&_limit=200")
    for job in live["data"]:  # of a test that failed
        harmed.call("POST", f"/bulk_action/edit/{job['id']}/cancel/")
    return harmed


def manage(stack: Stack, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(PROJECT / "manage.py"), *arguments],
        env=environment(stack.home), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return done.stdout
