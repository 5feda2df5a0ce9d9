"""Real processes are killed, frozen and emptied in mid-run; every lead is changed exactly once all the same."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator

import psutil
import pytest
import redis
from celery import Celery

from crm.ids import parse_close_id
from tests.faults.client import Client
from tests.faults.conftest import LEADS
from tests.stack import Stack, wait_until

pytestmark = [pytest.mark.faults, pytest.mark.stack]
SLOW = 120_000  # leads a minute: 20,000 leads take about 10 s, so that a fault falls in mid-run
RECOVERY_SECONDS = 10
UNDISTURBED_SECONDS = 15  # what the rest of the job may take at this pace


def pool_child(stack: Stack, name: str) -> int:
    [child] = psutil.Process(stack.pid_of(name)).children()
    return child.pid


def test_a_pool_child_killed_in_mid_run(stack: Stack, client: Client) -> None:
    job = client.start_edit(leads_per_minute=SLOW)
    client.wait_for_progress(job)
    for name in ("worker-1", "worker-2"):
        os.kill(pool_child(stack, name), signal.SIGKILL)
    print("done after", client.wait_until_done(job, seconds=UNDISTURBED_SECONDS + RECOVERY_SECONDS), "s")
    client.check_each_lead_was_changed_once(job, LEADS)


def test_all_workers_killed_in_mid_batch(stack: Stack, client: Client) -> None:
    job = client.start_edit()
    client.wait_for_progress(job)
    for name in ("worker-1", "worker-2"):
        for process in [*psutil.Process(stack.pid_of(name)).children(), psutil.Process(stack.pid_of(name))]:
            process.kill()
    print("done after", client.wait_until_done(job, seconds=UNDISTURBED_SECONDS + RECOVERY_SECONDS), "s")
    client.check_each_lead_was_changed_once(job, LEADS)


def test_the_same_doorbell_ten_times_at_once(stack: Stack, client: Client) -> None:
    job = client.start_edit(leads_per_minute=SLOW)
    celery = Celery(broker=stack.home.broker_url())
    rings = [
        threading.Thread(
            target=lambda: celery.send_task(
                "bulk_actions.tasks.run", (str(parse_close_id("bulkedit", job)), 0), queue="bulk"
            )
        )
        for _ in range(10)
    ]
    for ring in rings:
        ring.start()
    for ring in rings:
        ring.join()
    client.wait_until_done(job, seconds=UNDISTURBED_SECONDS + RECOVERY_SECONDS)
    client.check_each_lead_was_changed_once(job, LEADS)


def test_redis_emptied_in_mid_run(stack: Stack, client: Client) -> None:
    job = client.start_edit(leads_per_minute=SLOW)
    client.wait_for_progress(job)
    redis.Redis.from_url(stack.home.redis_url(0)).flushall()
    print("done after", client.wait_until_done(job, seconds=UNDISTURBED_SECONDS + RECOVERY_SECONDS), "s")
    client.check_each_lead_was_changed_once(job, LEADS)


def test_redis_killed_and_started_empty_in_mid_run(stack: Stack, client: Client) -> None:
    job = client.start_edit(leads_per_minute=SLOW)
    client.wait_for_progress(job)
    redis.Redis.from_url(stack.home.redis_url(0)).flushall()
    stack.kill("redis")
    assert client.get(job)["status"] == "processing"  # requests work without a broker
    print("done after", client.wait_until_done(job, seconds=UNDISTURBED_SECONDS + RECOVERY_SECONDS + 10), "s")
    client.check_each_lead_was_changed_once(job, LEADS)


# Sessions of workers inside a job's gate; and those that have not moved for so long that their worker is frozen.
IN_GATE = """
    SELECT pid FROM pg_stat_activity JOIN pg_locks USING (pid)
    WHERE application_name = 'drover-worker' AND locktype = 'advisory' AND mode = 'ShareLock' AND granted"""
FROZEN_IN_GATE = IN_GATE + " AND state = 'idle in transaction' AND state_change < clock_timestamp() - interval '0.3 s'"


@contextlib.contextmanager
def a_worker_frozen_inside_the_gate(stack: Stack, client: Client) -> Iterator[None]:
    """Stops one pool child at a moment when it has a batch in hand; lets it go on at the end."""
    child = pool_child(stack, "worker-1")

    def freeze() -> bool:
        os.kill(child, signal.SIGSTOP)
        if client.sql(IN_GATE):
            # Is it ours, or that of the other worker, which moves on?
            with contextlib.suppress(AssertionError):
                wait_until(lambda: bool(client.sql(FROZEN_IN_GATE)), seconds=0.4, what="it stands still")
                return True
        os.kill(child, signal.SIGCONT)
        return False

    try:
        wait_until(freeze, seconds=40, what="the worker is frozen with a batch in hand")
        yield
    finally:
        os.kill(child, signal.SIGCONT)


def test_pause_keeps_its_promise_over_a_frozen_worker(stack: Stack, client: Client) -> None:
    """Pause must end the session of a worker that does not answer, and nothing of it may be committed."""
    job = client.start_edit(leads_per_minute=SLOW)
    client.wait_for_progress(job)
    count = "SELECT count(*) FROM crm_leadstatuschange WHERE bulk_action_id = %s"
    key = parse_close_id("bulkedit", job)
    with a_worker_frozen_inside_the_gate(stack, client):
        answer = client.put(job, "paused")
        assert answer["status"] == "paused"
        assert not client.sql(FROZEN_IN_GATE)
        assert client.sql(count, key) == [(answer["n_leads_processed"],)]
    # A doorbell that was waiting is answered now, by nothing.
    wait_until(lambda: not client.sql(IN_GATE), seconds=20, what="the thawed worker leaves the job alone")
    assert client.sql(count, key) == [(answer["n_leads_processed"],)]
    client.put(job, "resuming")
    client.wait_until_done(job, seconds=UNDISTURBED_SECONDS + RECOVERY_SECONDS)
    client.check_each_lead_was_changed_once(job, LEADS)


def test_a_frozen_worker_loses_its_transaction_and_doubles_nothing_when_it_thaws(stack: Stack, client: Client) -> None:
    job = client.start_edit(leads_per_minute=SLOW)
    client.wait_for_progress(job)
    with a_worker_frozen_inside_the_gate(stack, client):
        # idle_in_transaction_session_timeout is 8 s
        wait_until(lambda: not client.sql(FROZEN_IN_GATE), seconds=12, what="the server ends the frozen session")
        print("done after", client.wait_until_done(job, seconds=UNDISTURBED_SECONDS + RECOVERY_SECONDS), "s")
    client.check_each_lead_was_changed_once(job, LEADS)


def test_postgres_restarted_in_mid_run(stack: Stack, client: Client) -> None:
    job = client.start_edit(leads_per_minute=SLOW)
    client.wait_for_progress(job)
    postgres = stack.pid_of("postgres")
    os.kill(postgres, signal.SIGQUIT)  # an immediate shutdown
    answers: list[int] = []

    def answered_well() -> bool:
        answers.append(client.status_of("/me/"))
        return answers[-1] == 200 and stack.pid_of("postgres") not in (None, postgres)

    wait_until(answered_well, seconds=30, what="postgres is started again, and requests pass")
    assert set(answers) <= {200, 503}
    print("done after", client.wait_until_done(job, seconds=UNDISTURBED_SECONDS + RECOVERY_SECONDS), "s")
    client.check_each_lead_was_changed_once(job, LEADS)


def test_pausing_and_resuming_over_and_over_loses_nothing(client: Client) -> None:
    job = client.start_edit(leads_per_minute=SLOW)
    client.wait_for_progress(job)
    pauses = 0
    while client.wait_for_status(job, "processing", "done") != "done" and pauses < 15:
        before = client.put(job, "paused")["n_leads_processed"]
        assert client.get(job)["n_leads_processed"] == before
        client.put(job, "resuming")
        pauses += 1
    assert pauses >= 3
    client.wait_until_done(job, seconds=UNDISTURBED_SECONDS + RECOVERY_SECONDS)
    client.check_each_lead_was_changed_once(job, LEADS)
