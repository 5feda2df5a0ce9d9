"""Nobody waits behind a hundred jobs of somebody else: times on a real stack of two workers."""

import contextlib
import statistics
import time
import urllib.error

import pytest

from tests.faults.client import Client
from tests.faults.conftest import manage
from tests.stack import Stack, wait_until

pytestmark = [pytest.mark.faults, pytest.mark.stack]

MANY, FEW = 60_000, 4_000  # leads of the organization that fills the queue, and of the other one
ROUNDS = 3
WAITING = 100


@pytest.fixture(scope="module")
def organizations(stack: Stack) -> tuple[Client, Client]:
    """A large one and a small one."""
    clients = []
    for name, leads in (("Large", MANY), ("Small", FEW)):
        person = ("--organization", name, "--email", f"{name.lower()}@oakvale.example")
        secret = manage(stack, "create_api_key", *person).splitlines()[-1]
        manage(stack, "seed_demo", "--organization", name, "--leads", str(leads))
        clients.append(Client(stack, secret, name))
    return clients[0], clients[1]


def jobs_of(client: Client, statuses: str) -> list[str]:
    """Newest first."""
    return [job["id"] for job in client.call("GET", f"/bulk_action/edit/?status__in={statuses}&_limit=200")["data"]]


def keep_running(client: Client, n_jobs: int) -> None:
    """So many live jobs, and at least one of them at work."""
    for _ in range(n_jobs - len(jobs_of(client, "created,loading,processing"))):
        client.start_edit(send_done_email=False)
    wait_until(lambda: bool(jobs_of(client, "processing")), seconds=30, what="one of them is at work")


def seconds_of_the_small_job(small: Client, large: Client, beside: int) -> float:
    """From its POST to `done`, while so many jobs of the other organization live; the median of some rounds."""
    took = []
    while len(took) < ROUNDS:
        keep_running(large, beside)
        began = time.monotonic()
        job = small.start_edit(send_done_email=False)
        small.wait_until_done(job, seconds=60)
        seconds = time.monotonic() - began
        if jobs_of(large, "loading,processing"):  # else it was alone for a part of its time
            took.append(seconds)
    print(f"beside {beside} jobs: {', '.join(f'{seconds:.2f}' for seconds in took)} s")
    return statistics.median(took)


def test_a_small_job_beside_a_hundred_of_another_organization_takes_about_as_long_as_beside_one(
    organizations: tuple[Client, Client],
) -> None:
    large, small = organizations
    beside_one = seconds_of_the_small_job(small, large, 1)
    beside_many = seconds_of_the_small_job(small, large, WAITING)
    print(f"{beside_many / beside_one:.2f} times as long")
    for job in jobs_of(large, "created"):
        with contextlib.suppress(urllib.error.HTTPError):  # it has ended since it was listed
            large.call("POST", f"/bulk_action/edit/{job}/cancel/")
    assert beside_many < 3 * beside_one + 2  # the turns of those that run just now, on a busy machine


def test_a_changed_ceiling_counts_within_a_second(organizations: tuple[Client, Client]) -> None:
    _, small = organizations
    job = small.start_edit(leads_per_minute=1, send_done_email=False)
    small.wait_for_status(job, "processing")
    time_of_change = time.monotonic()
    small.call("PUT", f"/bulk_action/edit/{job}/", {"leads_per_minute": None, "priority": "high"})
    wait_until(lambda: small.get(job)["n_leads_processed"] > 100, seconds=10, what="the job is let loose")
    seconds = time.monotonic() - time_of_change
    print(f"let loose after {seconds:.2f} s")
    assert seconds < 3  # a second, and the machine's own
    small.wait_until_done(job, seconds=30)
