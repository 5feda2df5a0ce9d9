"""A job for later: `created` until its moment, and then like any other."""

from datetime import timedelta
from uuid import UUID

import pytest
from django.utils import timezone

from bulk_actions.models import BulkAction
from bulk_actions.runner import Slice, run_slice
from bulk_actions.services import cancel, pause, resume
from bulk_actions.states import Status
from bulk_actions.sweeper import sweep
from bulk_actions.waiting import queue_positions
from crm.models import Lead, LeadStatus, Membership
from tests.bulk_actions.helpers import check_invariant, make_leads, run_to_end, status_job

pytestmark = pytest.mark.django_db(transaction=True)

LATER = timedelta(hours=1)


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[UUID]:
    """The jobs that were rung for."""
    bells: list[UUID] = []
    monkeypatch.setattr("bulk_actions.doorbell.ring", lambda action_id, *args, **kwargs: bells.append(action_id))
    return bells


@pytest.fixture
def job(membership: Membership, old_status: LeadStatus, new_status: LeadStatus, rung: list[UUID]) -> BulkAction:
    action = status_job(membership, new_status, make_leads(old_status, 3), run_at=timezone.now() + LATER)
    rung.clear()
    return action


def come_due(action: BulkAction) -> None:
    BulkAction.objects.filter(pk=action.pk).update(run_at=timezone.now())


def test_a_job_for_later_stays_created_whoever_rings(job: BulkAction, new_status: LeadStatus) -> None:
    assert run_slice(job.pk) is Slice.NOTHING
    job.refresh_from_db()
    assert (job.status, job.n_leads) == (Status.CREATED, None)
    assert not Lead.objects.filter(status=new_status).exists()


def test_the_sweeper_rings_for_it_when_it_is_due_and_not_before(job: BulkAction, rung: list[UUID]) -> None:
    sweep()
    assert rung == []
    come_due(job)
    sweep()
    assert rung == [job.pk]
    assert run_to_end(job).n_succeeded == 3


def test_its_leads_are_chosen_when_it_starts(job: BulkAction, old_status: LeadStatus) -> None:
    Lead.objects.filter(pk=Lead.objects.first().pk).delete()
    come_due(job)
    assert run_to_end(job).n_leads == 2


def test_it_has_no_place_in_the_queue_and_holds_up_nobody(
    job: BulkAction, membership: Membership, new_status: LeadStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("django.conf.settings.BULK_MAX_RUNNING_PER_ORGANIZATION", 1)
    second = status_job(membership, new_status, [])
    assert queue_positions([job, second]) == {second.pk: 1}
    assert run_to_end(second).status == Status.DONE
    come_due(job)
    assert queue_positions([job]) == {job.pk: 1}


def test_it_can_be_cancelled_before_it_is_due(job: BulkAction, membership: Membership) -> None:
    cancel(action=job, by=membership.user)
    come_due(job)
    assert run_slice(job.pk) is Slice.NOTHING
    check_invariant(job)
    assert (job.status, job.error_code, job.n_succeeded) == (Status.ERROR, "cancelled", 0)


def test_paused_before_it_is_due_it_does_not_start_at_its_moment(
    job: BulkAction, membership: Membership, rung: list[UUID]
) -> None:
    pause(action=job, by=membership.user)
    come_due(job)
    sweep()
    assert rung == []
    assert run_slice(job.pk) is Slice.NOTHING
    resume(action=job, by=membership.user)
    assert run_to_end(job).n_succeeded == 3


def test_resumed_before_it_is_due_it_still_waits_for_its_moment(job: BulkAction, membership: Membership) -> None:
    pause(action=job, by=membership.user)
    resume(action=job, by=membership.user)
    assert run_slice(job.pk) is Slice.NOTHING
    job.refresh_from_db()
    assert job.status == Status.RESUMING
    come_due(job)
    assert run_to_end(job).n_succeeded == 3
