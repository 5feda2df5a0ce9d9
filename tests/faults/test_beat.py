"""Beat only reminds: jobs run without it, and with two of it."""

import subprocess
import sys

import psutil
import pytest

from config.home import PROJECT
from tests.faults.client import Client
from tests.faults.harm import SLOW, frozen
from tests.stack import Stack, environment, wait_until

pytestmark = [pytest.mark.faults, pytest.mark.stack]


def test_a_job_without_beat(stack: Stack, client: Client) -> None:
    with frozen([psutil.Process(stack.pid_of("beat"))]):
        job = client.start_edit(leads_per_minute=SLOW)
        client.wait_for_progress(job)
        client.finish_freely(job)
        client.check_each_lead_was_changed_once(job)


def test_a_job_with_two_beats(stack: Stack, client: Client) -> None:
    ready = stack.home.path / "ready" / "second-beat"
    with (stack.home.path / "logs" / "second-beat.log").open("wb") as output:
        second = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "config", "beat", "--loglevel", "INFO",
             "--schedule", str(stack.home.path / "second-beat"), "--pidfile", ""],
            cwd=PROJECT, env=environment(stack.home, DROVER_ROLE="beat", DROVER_READY_FILE=str(ready)),
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        wait_until(ready.exists, seconds=60, what="the second one beats")
        job = client.start_edit(leads_per_minute=SLOW)
        client.wait_for_progress(job)
        client.wait_until_done(job, seconds=60)  # at its own pace: some sweeps of both fall into it
    finally:
        second.terminate()
        second.wait(30)
    client.check_each_lead_was_changed_once(job)
