"""What people and messages do at once: jobs over the same leads, pauses without end, doorbells in heaps; and faults in
the midst of jobs of a special kind."""

import threading
import time

import pytest
from celery import Celery

from tests.faults.client import LEADS, MATCH_ALL, Client, key_of
from tests.faults.harm import RECOVERY_SECONDS, SLOW, killed_at_work, whole
from tests.stack import Stack, wait_until

pytestmark = [pytest.mark.faults, pytest.mark.stack]

CANARY = 15_000


def test_the_same_doorbell_twenty_times_at_once(stack: Stack, client: Client) -> None:
    job = client.start_edit(leads_per_minute=SLOW)
    client.wait_for_progress(job)
    celery = Celery(broker=stack.home.broker_url())
    bell = (str(key_of(job)), 0)
    rings = [
        threading.Thread(target=lambda: celery.send_task("bulk_actions.tasks.run", bell, queue="bulk"))
        for _ in range(20)
    ]
    for ring in rings:
        ring.start()
    for ring in rings:
        ring.join()
    client.finish_freely(job)
    client.check_each_lead_was_changed_once(job)


def test_two_jobs_over_the_same_leads_at_once(client: Client) -> None:
    jobs = [client.start_edit(leads_per_minute=SLOW) for _ in range(2)]
    for job in jobs:
        wait_until(lambda job=job: client.get(job)["n_leads_processed"] > 0, seconds=30, what="both move")
    for job in jobs:
        client.finish_freely(job)
        client.check_counts(job, succeeded=LEADS)
        client.check_one_mail(job)
    # Of each lead: what the one wrote is what the other found, and the lead holds what the later one wrote.
    keys = [key_of(job) for job in jobs]
    told = client.sql(
        """
        SELECT count(*) FROM crm_lead AS lead
        JOIN crm_leadstatuschange AS later ON later.lead_id = lead.id AND later.new_status_id = lead.status_id
        JOIN crm_leadstatuschange AS earlier
          ON earlier.lead_id = lead.id AND earlier.new_status_id = later.old_status_id
        WHERE later.bulk_action_id = ANY(%s) AND earlier.bulk_action_id = ANY(%s)
        """, keys, keys,
    )  # fmt: skip
    assert told == [(LEADS,)]


def test_pausing_and_resuming_thirty_times_in_a_run_loses_nothing(client: Client) -> None:
    job = client.start_edit(leads_per_minute=SLOW)
    client.wait_for_progress(job)
    moved = 0
    for _ in range(30):
        before = client.put(job, "paused")["n_leads_processed"]
        assert client.get(job)["n_leads_processed"] == before
        client.put(job, "resuming")
        moved += client.wait_for_status(job, "processing", "done") == "processing"
    assert moved == 30, "the job must still have been running"
    client.finish_freely(job)
    client.check_each_lead_was_changed_once(job)


def test_a_worker_killed_in_the_midst_of_an_undo(stack: Stack, client: Client) -> None:
    before = client.end_state()
    job = client.start_edit(send_done_email=False)
    client.wait_until_done(job, seconds=60)
    assert client.end_state() != before
    undo = client.call("POST", f"/bulk_action/edit/{job}/undo/")["id"]
    client.call("PUT", f"/bulk_action/edit/{undo}/", {"leads_per_minute": SLOW})
    client.wait_for_progress(undo)
    killed = killed_at_work(stack, client, lambda: whole(stack, "worker-1"))
    client.recovers(undo, killed, within=RECOVERY_SECONDS)
    client.finish_freely(undo)
    client.check_counts(undo, succeeded=LEADS)
    assert client.end_state() == before


def test_a_worker_killed_in_the_canary_of_a_sealed_job(stack: Stack, client: Client) -> None:
    status = client.call("POST", "/status/lead/", {"label": f"Sealed {time.time_ns()}"})["id"]
    body = {"s_query": MATCH_ALL, "type": "set_lead_status", "lead_status_id": status}
    sealed = client.call("POST", "/bulk_action/edit/preview/", {**body, "seal": True})
    assert sealed["n_leads"] == LEADS
    order = {**body, "preview_token": sealed["preview_token"], "canary": {"leads": CANARY}, "leads_per_minute": SLOW}
    job = client.call("POST", "/bulk_action/edit/", order)["id"]
    client.wait_for_progress(job)
    killed = killed_at_work(stack, client, lambda: whole(stack, "worker-1"))
    client.recovers(job, killed, within=RECOVERY_SECONDS)
    client.wait_for_status(job, "paused")
    answer = client.get(job)
    assert (answer["reason"], answer["n_leads_processed"]) == ("canary", CANARY)
    client.put(job, "resuming")
    client.finish_freely(job)
    client.check_each_lead_was_changed_once(job)
