"""Workers are killed, frozen and stopped with a batch in hand; every lead is changed exactly once all the same."""

import signal
import threading
import time
from collections.abc import Callable

import psutil
import pytest

from tests.faults.client import LEADS, Client, key_of
from tests.faults.harm import (
    FROZEN_IN_GATE,
    FROZEN_RECOVERY_SECONDS,
    IN_GATE,
    RECOVERY_SECONDS,
    SLOW,
    WORKERS,
    frozen,
    frozen_at_work,
    kill_all,
    killed_at_work,
    pool_child,
    whole,
)
from tests.stack import Stack, wait_until

pytestmark = [pytest.mark.faults, pytest.mark.stack]


VICTIMS = {
    "one process of a worker": lambda stack: [pool_child(stack, "worker-1")],
    "a worker": lambda stack: whole(stack, "worker-1"),
    "all workers": lambda stack: [process for name in WORKERS for process in whole(stack, name)],
}


@pytest.mark.parametrize("victims", VICTIMS.values(), ids=VICTIMS)
def test_a_kill_in_mid_batch_loses_and_doubles_nothing(
    stack: Stack, client: Client, victims: Callable[[Stack], list[psutil.Process]]
) -> None:
    job = client.start_edit(leads_per_minute=SLOW)
    client.wait_for_progress(job)
    client.recovers(job, killed_at_work(stack, client, lambda: victims(stack)), within=RECOVERY_SECONDS)
    client.finish_freely(job)
    client.check_each_lead_was_changed_once(job)


def test_a_worker_asked_to_end_in_mid_batch_finishes_its_batch_first(stack: Stack, client: Client) -> None:
    job = client.start_edit(leads_per_minute=SLOW)
    client.wait_for_progress(job)
    pid = stack.pid_of("worker-1")
    with frozen_at_work(stack, client):
        [(session,)] = client.sql(FROZEN_IN_GATE)
        psutil.Process(pid).send_signal(signal.SIGTERM)
        asked = time.time()
    client.recovers(job, asked, within=RECOVERY_SECONDS)
    wait_until(lambda: stack.pid_of("worker-1") not in (pid, None), seconds=40, what="another one has its place")
    assert not client.sql("SELECT FROM pg_stat_activity WHERE pid = %s", session)
    client.finish_freely(job)
    client.check_each_lead_was_changed_once(job)


def test_a_frozen_worker_loses_its_transaction_and_doubles_nothing_when_it_thaws(stack: Stack, client: Client) -> None:
    job = client.start_edit(leads_per_minute=SLOW)
    client.wait_for_progress(job)
    with frozen_at_work(stack, client), frozen([psutil.Process(stack.pid_of("worker-1"))]):
        since = time.time()
        # idle_in_transaction_session_timeout is 8 s
        wait_until(lambda: not client.sql(FROZEN_IN_GATE), seconds=20, what="the server ends the frozen session")
        client.recovers(job, since, within=FROZEN_RECOVERY_SECONDS)
        client.finish_freely(job)
    client.check_each_lead_was_changed_once(job)


def test_a_doorbell_in_the_hand_of_a_frozen_worker_is_rung_again(stack: Stack, client: Client) -> None:
    """Redis gives the next message to whoever waits, and cannot know that it stands still."""
    with frozen(whole(stack, "worker-2")):
        job = client.start_edit(leads_per_minute=SLOW)
        since = time.time()
        client.recovers(job, since, within=FROZEN_RECOVERY_SECONDS)
        client.finish_freely(job)
    client.check_each_lead_was_changed_once(job)


def test_pause_keeps_its_promise_over_a_frozen_worker(stack: Stack, client: Client) -> None:
    """Pause must end the session of a worker that does not answer, and nothing of it may be committed."""
    job = client.start_edit(leads_per_minute=SLOW)
    client.wait_for_progress(job)
    count = "SELECT count(*) FROM crm_leadstatuschange WHERE bulk_action_id = %s"
    key = key_of(job)
    with frozen_at_work(stack, client):
        answer = client.put(job, "paused")
        assert answer["status"] == "paused"
        assert not client.sql(FROZEN_IN_GATE)
        assert client.sql(count, key) == [(answer["n_leads_processed"],)]
    # A doorbell that was waiting is answered now, by nothing.
    wait_until(lambda: not client.sql(IN_GATE), seconds=20, what="the thawed worker leaves the job alone")
    assert client.sql(count, key) == [(answer["n_leads_processed"],)]
    client.put(job, "resuming")
    client.finish_freely(job)
    client.check_each_lead_was_changed_once(job)


# Whoever changes this one lead sleeps over it, until somebody comes and kills.
POISON = """
    CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN new; END $$;
    CREATE TRIGGER poison BEFORE UPDATE ON crm_lead FOR EACH ROW WHEN (old.id = '{lead}') EXECUTE FUNCTION poison();
"""
POISONED = "SELECT pid FROM pg_stat_activity WHERE application_name = 'drover-worker' AND wait_event = 'PgSleep'"


def test_a_lead_that_kills_its_worker_each_time_fails_alone(stack: Stack, client: Client) -> None:
    [(lead,)] = client.sql(
        "SELECT lead.id FROM crm_lead AS lead JOIN crm_organization AS o ON o.id = organization_id"
        " WHERE o.name = %s ORDER BY lead.id OFFSET %s LIMIT 1", client.organization, LEADS // 2,
    )  # fmt: skip
    with stack.connect() as connection:
        connection.execute(POISON.format(lead=lead))
    ended, deaths = threading.Event(), []

    def kill_whoever_touches_it() -> None:
        while not ended.wait(0.05):
            if poisoned := client.sql(POISONED):
                kill_all([child for name in WORKERS for child in psutil.Process(stack.pid_of(name)).children()])
                deaths.append(time.time())
                for (session,) in poisoned:  # the server would notice only after the sleep that its client is gone
                    client.sql("SELECT pg_terminate_backend(%s, 5000)", session)

    killer = threading.Thread(target=kill_whoever_touches_it)
    try:
        job = client.start_edit()
        killer.start()
        client.wait_until_done(job, seconds=120)
    finally:
        ended.set()
        killer.join()
        with stack.connect() as connection:
            connection.execute("DROP TRIGGER poison ON crm_lead; DROP FUNCTION poison()")
    ages = ", ".join(f"{death - deaths[0]:.1f}" for death in deaths)
    print(f"set aside after {len(deaths)} deaths, at {ages} s; done at {time.time() - deaths[0]:.1f} s")
    assert len(deaths) <= 10
    client.check_counts(job, succeeded=LEADS - 1, failed=1)
    outcomes = "SELECT lead_id, code FROM bulk_actions_leadoutcome WHERE action_id = %s"
    assert client.sql(outcomes, key_of(job)) == [(lead, "crashed_worker")]
    client.check_one_mail(job)
