"""PostgreSQL goes down at once, with batches in hand, and comes back."""

import os
import signal
import time

import pytest

from tests.faults.client import Client
from tests.faults.harm import RECOVERY_SECONDS, SLOW
from tests.stack import Stack, wait_until

pytestmark = [pytest.mark.faults, pytest.mark.stack]


def test_postgres_restarted_in_mid_run(stack: Stack, client: Client) -> None:
    job = client.start_edit(leads_per_minute=SLOW)
    client.wait_for_progress(job)
    postgres = stack.pid_of("postgres")
    stopped = time.time()
    os.kill(postgres, signal.SIGQUIT)  # an immediate shutdown
    answers: list[int] = []

    def answered_well() -> bool:
        answers.append(client.status_of("/me/"))
        return answers[-1] == 200 and stack.pid_of("postgres") not in (None, postgres)

    wait_until(answered_well, seconds=30, what="postgres is started again, and requests pass")
    back = time.time()  # how long the server takes to read its log again is the server's own
    print(f"requests pass after {back - stopped:.2f} s")
    assert set(answers) <= {200, 503}
    client.recovers(job, back, within=RECOVERY_SECONDS)
    client.finish_freely(job)
    client.check_each_lead_was_changed_once(job)
