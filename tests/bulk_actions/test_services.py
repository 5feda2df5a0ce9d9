"""What people ask for: create, pause, resume, cancel."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from bulk_actions import locks
from bulk_actions.models import Batch, BulkAction, Transition
from bulk_actions.runner import Slice, run_slice
from bulk_actions.services import cancel, pause, resume
from bulk_actions.states import ACTIVE, ALLOWED, FINAL, IDLE, WAITING, Status
from bulk_actions.sweeper import sweep
from bulk_actions.transitions import move
from crm.errors import FieldErrors
from crm.models import Lead, LeadStatus, LeadStatusChange, Membership, OutboxMail
from tests.bulk_actions.helpers import Elsewhere, changed_leads, check_invariant, make_leads, run_to_end, status_job

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_doorbells")]


def test_every_status_is_in_exactly_one_group() -> None:
    for status in Status:
        assert sum(status in group for group in (ACTIVE, WAITING, IDLE, FINAL)) == 1
    assert set(ALLOWED) == set(Status)


@pytest.mark.parametrize("old", Status)
@pytest.mark.parametrize("new", Status)
def test_the_table_of_moves_is_kept(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus, old: Status, new: Status
) -> None:
    action = status_job(membership, new_status, [])
    BulkAction.objects.filter(pk=action.pk).update(status=old)
    if new in ALLOWED[old]:
        assert move(action.pk, expected={old}, to=new, by=membership.user, reason="a test")
        action.refresh_from_db()
        assert action.status == new
        last = Transition.objects.filter(action=action).last()
        assert (last.old_status, last.new_status, last.by_id, last.reason) == (old, new, membership.user_id, "a test")
    else:
        with pytest.raises(ValueError, match="never goes"):
            move(action.pk, expected={old}, to=new)
        action.refresh_from_db()
        assert action.status == old


def test_a_move_from_a_status_that_the_job_has_left_is_refused(membership: Membership, new_status: LeadStatus) -> None:
    action = status_job(membership, new_status, [])
    assert not move(action.pk, expected={Status.PROCESSING}, to=Status.DONE)
    assert Transition.objects.filter(action=action).count() == 1


def test_nothing_changes_after_pause_has_returned(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus, settings: object
) -> None:
    """Four workers, thousands of batches, a dozen pauses from a connection of its own."""
    settings.BULK_STORED_BATCH = 10
    settings.BULK_MAX_BATCHES_PER_TRANSACTION = 1
    settings.BULK_WORKERS = 4
    action = status_job(membership, new_status, make_leads(old_status, 30_000))
    pauses = 0
    while action.status != Status.DONE and pauses < 12:
        workers = [Elsewhere(run_slice, action.pk, number) for number in range(4)]
        _wait_for(lambda: changed_leads(action.pk) > 0)
        try:
            answer = pause(action=action, by=membership.user)
        except FieldErrors:
            break
        at_return = changed_leads(action.pk)
        pauses += 1
        for worker in workers:
            worker.join()
        assert changed_leads(action.pk) == at_return
        assert LeadStatusChange.objects.count() == at_return
        assert answer.status == Status.PAUSED
        check_invariant(action)
        resume(action=action, by=membership.user)
    assert pauses >= 3
    action = run_to_end(action)
    assert (action.status, action.n_succeeded) == (Status.DONE, 30_000)
    assert LeadStatusChange.objects.count() == 30_000


def _wait_for(condition: object, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def test_pause_ends_a_session_that_holds_the_gate_and_does_not_answer(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus, settings: object
) -> None:
    settings.BULK_PAUSE_GRACE_SECONDS = 0.3
    action = status_job(membership, new_status, make_leads(old_status, 10))
    BulkAction.objects.filter(pk=action.pk).update(status=Status.PROCESSING)

    def freeze() -> None:
        with transaction.atomic():
            locks.share_gate(action.pk)
            Lead.objects.update(name="changed by a frozen worker")
            time.sleep(4)

    frozen = Elsewhere(freeze)
    _wait_for(lambda: locks.holders(action.pk, locks.Purpose.GATE))
    began = time.monotonic()
    pause(action=action, by=membership.user)
    assert time.monotonic() - began < 3
    with pytest.raises(Exception, match=r"terminat|closed"):
        frozen.join()
    assert not Lead.objects.filter(name="changed by a frozen worker").exists()


def test_a_paused_job_stands_still_and_goes_on_where_it_stood(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    action = status_job(membership, new_status, make_leads(old_status, 100), leads_per_minute=600)
    run_slice(action.pk)
    pause(action=action, by=membership.user, reason="a look at it")
    assert run_slice(action.pk) is Slice.NOTHING
    check_invariant(action)
    resume(action=action, by=membership.user)
    assert action.status == Status.RESUMING
    BulkAction.objects.filter(pk=action.pk).update(leads_per_minute=None)
    action = run_to_end(action)
    assert (action.status, action.n_succeeded) == (Status.DONE, 100)


def test_a_job_paused_before_its_targets_were_frozen_loads_when_it_is_resumed(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    action = status_job(membership, new_status, make_leads(old_status, 10))
    pause(action=action, by=membership.user)
    assert run_slice(action.pk) is Slice.NOTHING
    resume(action=action, by=membership.user)
    assert run_to_end(action).n_succeeded == 10


@pytest.mark.parametrize(
    "status", [Status.CREATED, Status.LOADING, Status.PROCESSING, Status.RESUMING, Status.DONE, Status.ERROR]
)
def test_resuming_a_job_that_is_not_paused_says_what_it_is(
    membership: Membership, new_status: LeadStatus, status: Status
) -> None:
    action = status_job(membership, new_status, [])
    BulkAction.objects.filter(pk=action.pk).update(status=status)
    with pytest.raises(FieldErrors) as refused:
        resume(action=action, by=membership.user)
    assert refused.value.field_errors == {"status": f"Cannot resume: the status is {status}."}


def test_a_pause_older_than_seven_days_cannot_be_resumed_and_ends_the_job(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    action = status_job(membership, new_status, make_leads(old_status, 10), send_done_email=False)
    pause(action=action, by=membership.user)
    BulkAction.objects.filter(pk=action.pk).update(date_paused=timezone.now() - timedelta(days=7, seconds=1))
    with pytest.raises(FieldErrors) as refused:
        resume(action=action, by=membership.user)
    assert refused.value.field_errors == {"status": "Cannot resume: paused more than 7 days ago."}
    sweep()
    sweep()
    action.refresh_from_db()
    assert (action.status, action.error_code) == (Status.ERROR, "pause_expired")
    assert OutboxMail.objects.filter(source_id=action.pk).count() == 1
    check_invariant(action)


def test_cancel_ends_a_running_job_without_any_worker(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    action = status_job(membership, new_status, make_leads(old_status, 100), leads_per_minute=600)
    run_slice(action.pk)
    cancel(action=action, by=membership.user)
    assert (action.status, action.error_code) == (Status.ERROR, "cancelled")
    assert action.n_succeeded == LeadStatusChange.objects.count()
    assert run_slice(action.pk) is Slice.NOTHING
    check_invariant(action)
    mail = OutboxMail.objects.get(source_id=action.pk)
    assert mail.subject.startswith("Cancelled: ")
    with pytest.raises(FieldErrors):
        cancel(action=action, by=membership.user)


@contextmanager
def loading_that_takes_for_ever(action: BulkAction) -> Iterator[Elsewhere]:
    """A worker in the middle of the job's query, which waits for a table that another session has locked."""
    locked, over = threading.Event(), threading.Event()

    def hold_the_leads() -> None:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("LOCK TABLE crm_lead IN ACCESS EXCLUSIVE MODE")
            locked.set()
            over.wait(60)

    holder = Elsewhere(hold_the_leads)
    try:
        assert locked.wait(20)
        worker = Elsewhere(run_slice, action.pk)
        _wait_for(lambda: locks.holders(action.pk, locks.Purpose.LOADER))
        action.refresh_from_db()
        assert action.status == Status.LOADING
        yield worker
    finally:
        over.set()
        holder.join()


def test_pausing_a_job_in_the_middle_of_its_query_stops_that_and_resuming_loads_anew(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    action = status_job(membership, new_status, make_leads(old_status, 10))
    with loading_that_takes_for_ever(action) as worker:
        pause(action=action, by=membership.user)
        assert action.status == Status.PAUSED
        assert worker.join(10) is Slice.NOTHING
        assert not Batch.objects.exists()
        check_invariant(action)
    resume(action=action, by=membership.user)
    assert run_to_end(action).n_succeeded == 10


def test_cancelling_a_job_in_the_middle_of_its_query_ends_it_for_good(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    action = status_job(membership, new_status, make_leads(old_status, 10))
    with loading_that_takes_for_ever(action) as worker:
        cancel(action=action, by=membership.user)
        assert (action.status, action.error_code) == (Status.ERROR, "cancelled")
        assert worker.join(10) is Slice.NOTHING
    assert run_slice(action.pk) is Slice.NOTHING
    assert not Batch.objects.exists()
    assert not LeadStatusChange.objects.exists()
    assert (action.n_leads, action.n_succeeded) == (None, 0)
    assert OutboxMail.objects.filter(source_id=action.pk).count() == 1
    check_invariant(action)


@pytest.mark.parametrize("before", ["created", "paused", "resuming"])
def test_a_job_that_no_worker_has_touched_can_be_cancelled(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus, before: str
) -> None:
    action = status_job(membership, new_status, make_leads(old_status, 10))
    if before != "created":
        pause(action=action, by=membership.user)
    if before == "resuming":
        resume(action=action, by=membership.user)
    assert action.status == before
    cancel(action=action, by=membership.user)
    assert (action.status, action.error_code, action.n_succeeded) == (Status.ERROR, "cancelled", 0)
    assert run_slice(action.pk) is Slice.NOTHING
    assert not LeadStatusChange.objects.exists()
    check_invariant(action)


def test_a_resuming_job_can_be_paused_again(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    action = status_job(membership, new_status, make_leads(old_status, 10))
    for _ in range(2):
        pause(action=action, by=membership.user)
        resume(action=action, by=membership.user)
    pause(action=action, by=membership.user)
    assert run_slice(action.pk) is Slice.NOTHING
    resume(action=action, by=membership.user)
    assert run_to_end(action).n_succeeded == 10


def test_the_done_mail_is_sent_once_and_says_what_was_done(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    action = run_to_end(status_job(membership, new_status, make_leads(old_status, 12)))
    mail = OutboxMail.objects.get(source_id=action.pk)
    assert mail.subject == "Done: Set the status to Customer"
    assert mail.address == membership.user.email
    assert "Changed:    12" in mail.body_text
    assert f"{settings.PUBLIC_URL}/api/v1/bulk_action/edit/{action.api_id}/\n" in mail.body_text
    assert "/admin/" not in mail.body_text  # the person could not open it


def test_the_done_mail_leads_staff_to_the_admin(membership: Membership, new_status: LeadStatus) -> None:
    membership.user.is_staff = True
    membership.user.save()
    action = run_to_end(status_job(membership, new_status, []))
    mail = OutboxMail.objects.get(source_id=action.pk)
    assert f"{settings.PUBLIC_URL}/admin/bulk_actions/bulkaction/{action.pk}/change/\n" in mail.body_text


def test_send_done_email_false_suppresses_the_done_mail(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    run_to_end(status_job(membership, new_status, make_leads(old_status, 2), send_done_email=False))
    assert not OutboxMail.objects.exists()


def test_at_most_three_jobs_of_an_organization_run_and_a_paused_one_holds_no_slot(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    leads = make_leads(old_status, 10)
    jobs = [status_job(membership, new_status, leads, leads_per_minute=60) for _ in range(5)]
    for job in jobs:
        run_slice(job.pk)
        job.refresh_from_db()
    assert [job.status for job in jobs] == ["processing"] * 3 + ["created"] * 2
    pause(action=jobs[0], by=membership.user)
    run_slice(jobs[4].pk)  # not its turn: the fourth came before it
    run_slice(jobs[3].pk)
    resume(action=jobs[0], by=membership.user)
    run_slice(jobs[0].pk)
    for job in jobs:
        job.refresh_from_db()
    assert [job.status for job in jobs] == ["resuming", "processing", "processing", "processing", "created"]


def test_an_ending_that_was_interrupted_is_completed_by_the_sweeper(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    action = status_job(membership, new_status, make_leads(old_status, 10), leads_per_minute=60)
    run_slice(action.pk)
    move(action.pk, expected={Status.PROCESSING}, to=Status.ERROR, error_code="cancelled", date_finished=timezone.now())
    sweep()
    check_invariant(action)
    assert action.n_succeeded == LeadStatusChange.objects.count()
    assert OutboxMail.objects.filter(source_id=action.pk).count() == 1
