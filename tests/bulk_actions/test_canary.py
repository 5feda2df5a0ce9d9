"""The first leads of a job as its trial: exactly so many, however many workers there are, and one pause behind them."""

import pytest
from django.db import transaction

from bulk_actions import canary, locks, slots
from bulk_actions.loading import load
from bulk_actions.models import Batch, BulkAction, Kind, LeadOutcome
from bulk_actions.runner import Slice, run_slice
from bulk_actions.services import cancel, pause, resume
from bulk_actions.states import Status
from crm.models import Lead, LeadStatus, LeadStatusChange, Membership, OutboxMail
from tests.bulk_actions.helpers import (
    Elsewhere,
    changed_leads,
    check_invariant,
    make_job,
    make_leads,
    run_to_end,
    status_job,
)
from tests.sessions import wait_until_blocked

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_doorbells")]


def test_a_canary_does_so_many_leads_and_pauses_the_job_until_it_is_resumed(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    leads = make_leads(old_status, 2500)
    action = run_to_end(status_job(membership, new_status, leads, canary_leads=100))
    assert (action.status, action.status_reason, action.canary_passed) == (Status.PAUSED, "canary", True)
    assert set(Lead.objects.filter(status=new_status).values_list("pk", flat=True)) == {lead.pk for lead in leads[:100]}
    assert not OutboxMail.objects.exists()
    resume(action=action, by=membership.user)
    action = run_to_end(action)
    assert (action.status, action.n_succeeded, action.status_reason) == (Status.DONE, 2500, "")
    assert list(action.transitions.values_list("reason", flat=True)).count("canary") == 1
    assert LeadStatusChange.objects.count() == 2500


def test_a_canary_is_exact_with_many_workers_at_once(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("django.conf.settings.BULK_WORKERS", 6)
    action = status_job(membership, new_status, make_leads(old_status, 6000), canary_leads=1234)
    slices = [Elsewhere(run_slice, action.pk, number) for number in (0, 0, 1, 1, 2, 3, 4, 5)]
    for one in slices:
        one.join()
    run_to_end(action)
    assert (action.status, changed_leads(action.pk)) == (Status.PAUSED, 1234)
    assert LeadStatusChange.objects.count() == 1234
    assert list(action.transitions.values_list("new_status", flat=True)).count("paused") == 1


def test_a_canary_of_all_leads_or_more_is_none(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    leads = make_leads(old_status, 100)
    for n_canary in (100, 101):
        to = new_status if n_canary == 100 else old_status
        action = run_to_end(status_job(membership, to, leads, canary_leads=n_canary))
        assert (action.status, action.n_succeeded, action.canary_passed) == (Status.DONE, 100, False)


def test_a_canary_of_one_among_two_leads(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    action = run_to_end(status_job(membership, new_status, make_leads(old_status, 2), canary_leads=1))
    assert (action.status, changed_leads(action.pk)) == (Status.PAUSED, 1)


def test_a_job_without_leads_ends_whatever_its_canary(membership: Membership, new_status: LeadStatus) -> None:
    action = run_to_end(status_job(membership, new_status, [], canary_leads=1))
    assert (action.status, action.n_leads) == (Status.DONE, 0)


def test_leads_that_change_nothing_or_are_gone_count_for_the_canary(
    membership: Membership, old_status: LeadStatus
) -> None:
    leads = make_leads(old_status, 30)
    action = run_to_end(status_job(membership, old_status, leads, canary_leads=10))
    assert action.status == Status.PAUSED
    done = Batch.objects.filter(action=action.pk, date_done__isnull=False)
    assert sum(done.values_list("n_unchanged", flat=True)) == 10


def test_a_canary_holds_with_a_ceiling_too(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    leads = make_leads(old_status, 200)
    action = run_to_end(status_job(membership, new_status, leads, canary_leads=37, leads_per_minute=6000))
    assert (action.status, changed_leads(action.pk)) == (Status.PAUSED, 37)
    BulkAction.objects.update(leads_per_minute=None)
    resume(action=action, by=membership.user)
    assert run_to_end(action).n_succeeded == 200


def test_a_pause_of_a_person_before_the_canary_is_passed_does_not_pass_it(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    action = status_job(membership, new_status, make_leads(old_status, 50), canary_leads=20)
    pause(action=action, by=membership.user)
    resume(action=action, by=membership.user)
    action = run_to_end(action)
    assert (action.status, action.status_reason, changed_leads(action.pk)) == (Status.PAUSED, "canary", 20)


def test_a_job_that_waits_behind_its_canary_may_be_cancelled(membership: Membership, old_status: LeadStatus) -> None:
    action = run_to_end(make_job(membership, Kind.DELETE, {}, make_leads(old_status, 50), canary_leads=5))
    cancel(action=action, by=membership.user)
    check_invariant(action)
    assert (action.error_code, action.n_succeeded, Lead.objects.count()) == ("cancelled", 5, 45)


def test_a_canary_is_exact_when_batches_are_worked_one_by_one_after_deaths(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("django.conf.settings.BULK_WORKERS", 4)
    action = status_job(membership, new_status, make_leads(old_status, 3000), canary_leads=1500)
    BulkAction.objects.update(unfinished_starts=100)
    slices = [Elsewhere(run_slice, action.pk, number) for number in range(4)]
    for one in slices:
        one.join()
    run_to_end(action)
    assert (action.status, changed_leads(action.pk)) == (Status.PAUSED, 1500)
    assert not LeadOutcome.objects.exists()


def test_a_worker_that_waited_while_the_job_paused_itself_changes_nothing_more(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    action = status_job(membership, new_status, make_leads(old_status, 50), canary_leads=20)
    assert slots.start_if_free(action)
    load(action.pk)
    with transaction.atomic():
        locks.wait_for_pace(action.pk)
        late = Elsewhere(run_slice, action.pk)
        wait_until_blocked()
        canary.pause_behind(BulkAction.objects.get(pk=action.pk))
    late.join()
    check_invariant(action)
    assert (action.status, changed_leads(action.pk)) == (Status.PAUSED, 0)
    assert action.transitions.filter(new_status="paused").count() == 1


def test_a_worker_that_waited_while_the_job_paused_and_was_resumed_does_not_pause_it_again(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    action = status_job(membership, new_status, make_leads(old_status, 50), canary_leads=20)
    run_to_end(action)
    resume(action=action, by=membership.user)
    stale = BulkAction.objects.get(pk=action.pk)
    stale.canary_passed = False  # read before the lock was waited for
    with transaction.atomic():
        assert canary.leads_left(stale) == 0, "it waits for a slot: nobody works on it"
        assert slots.start_if_free(BulkAction.objects.get(pk=action.pk))
        canary.pause_behind(stale)
    stale.canary_passed = False
    assert canary.leads_left(stale) is None
    assert run_slice(action.pk) is Slice.NOTHING
    check_invariant(action)
    assert action.status == Status.DONE
