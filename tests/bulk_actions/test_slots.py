"""Slots: how many jobs of an organization run at once, in which order the others start, and who is rung for."""

from datetime import timedelta
from uuid import UUID

import pytest
from django.conf import LazySettings
from django.utils import timezone

from bulk_actions import breaker, slots
from bulk_actions.models import Batch, BulkAction, Priority
from bulk_actions.runner import run_slice
from bulk_actions.services import adjust, cancel, pause, resume
from bulk_actions.states import Status
from bulk_actions.sweeper import sweep
from bulk_actions.waiting import queue_positions
from crm.models import LeadStatus, Membership
from tests import factories
from tests.bulk_actions.helpers import check_invariant, make_leads, status_job

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[UUID]:
    """The jobs that were rung for."""
    rings: list[UUID] = []
    monkeypatch.setattr("bulk_actions.doorbell.ring", lambda key, *_, **__: rings.append(key))
    return rings


@pytest.fixture
def jobs(membership: Membership, new_status: LeadStatus, old_status: LeadStatus, rung: list[UUID]) -> list[BulkAction]:
    """Three that run, and four that wait."""
    leads = make_leads(old_status, 10)
    made = [status_job(membership, new_status, leads, leads_per_minute=60) for _ in range(7)]
    for action in made[:3]:
        run_slice(action.pk)
        action.refresh_from_db()
        assert action.status == Status.PROCESSING
    rung.clear()
    return made


def waiting(membership: Membership) -> list[UUID]:
    return list(slots.queue().filter(organization=membership.organization).values_list("pk", flat=True))


def test_the_higher_priority_starts_first_then_the_oldest_and_the_positions_say_so(
    jobs: list[BulkAction], membership: Membership
) -> None:
    for place, priority in {3: Priority.LOW, 5: Priority.HIGH, 6: Priority.HIGH}.items():
        BulkAction.objects.filter(pk=jobs[place].pk).update(priority=priority)
    order = [jobs[place].pk for place in (5, 6, 4, 3)]
    assert waiting(membership) == order
    for action in jobs:
        action.refresh_from_db()
    assert queue_positions(jobs) == {key: place for place, key in enumerate(order, 1)}
    assert queue_positions(jobs[4:5]) == {jobs[4].pk: 3}
    foreign = status_job(factories.MembershipFactory.create(), factories.LeadStatusFactory.create(), [])
    assert queue_positions([foreign, jobs[3]]) == {foreign.pk: 1, jobs[3].pk: 4}
    cancel(action=jobs[0], by=membership.user)
    assert slots.startable(membership.organization_id) == order[:1]
    for action in jobs[3:]:  # rung for in the wrong order, they start in the right one
        run_slice(action.pk)
        action.refresh_from_db()
    assert [action.pk for action in jobs[3:] if action.status == Status.PROCESSING] == order[:1]
    for action in jobs:
        check_invariant(action)


def test_a_job_that_waits_for_its_time_is_in_no_queue(jobs: list[BulkAction], membership: Membership) -> None:
    BulkAction.objects.filter(pk=jobs[3].pk).update(run_at=timezone.now() + timedelta(hours=1), priority=Priority.HIGH)
    BulkAction.objects.filter(pk=jobs[4].pk).update(run_at=timezone.now() - timedelta(seconds=1))
    assert waiting(membership) == [action.pk for action in jobs[4:]]
    assert jobs[3].pk not in queue_positions(jobs)
    check_invariant(jobs[3])


def test_changing_the_priority_of_a_waiting_job_changes_its_place(
    jobs: list[BulkAction], membership: Membership
) -> None:
    adjust(action=jobs[6], by=membership.user, priority=Priority.HIGH)
    assert queue_positions([jobs[6]]) == {jobs[6].pk: 1}
    check_invariant(jobs[6])


def test_an_ended_or_paused_job_rings_for_the_first_of_the_queue(
    jobs: list[BulkAction], membership: Membership, rung: list[UUID]
) -> None:
    pause(action=jobs[0], by=membership.user)
    assert rung == [jobs[3].pk]
    run_slice(jobs[3].pk)
    rung.clear()
    cancel(action=jobs[1], by=membership.user)
    assert rung == [jobs[4].pk]
    for action in jobs[:4]:
        check_invariant(action)


def test_what_frees_a_slot_rings_for_all_that_can_start(
    jobs: list[BulkAction], membership: Membership, rung: list[UUID]
) -> None:
    """A bell may have been lost, or the limit raised."""
    BulkAction.objects.filter(pk__in=[jobs[0].pk, jobs[1].pk]).update(status=Status.PAUSED)
    BulkAction.objects.filter(pk=jobs[2].pk).update(leads_per_minute=None)
    run_slice(jobs[2].pk)
    run_slice(jobs[2].pk)
    jobs[2].refresh_from_db()
    assert jobs[2].status == Status.DONE
    assert rung[-3:] == [action.pk for action in jobs[3:6]]
    check_invariant(jobs[2])


def test_a_job_that_the_breaker_pauses_rings_for_the_next(
    jobs: list[BulkAction], rung: list[UUID], settings: LazySettings
) -> None:
    settings.BULK_FAILURES_JUDGED_AFTER = 1
    Batch.objects.filter(action=jobs[0].pk).update(n_failed=10, date_done=timezone.now())
    assert breaker.pause_if_plainly_wrong(jobs[0].pk)
    assert rung == [jobs[3].pk]


def test_a_resumed_job_waits_for_a_slot(jobs: list[BulkAction], membership: Membership, rung: list[UUID]) -> None:
    pause(action=jobs[0], by=membership.user)
    run_slice(jobs[3].pk)
    rung.clear()
    resume(action=jobs[0], by=membership.user)
    assert rung == []
    run_slice(jobs[0].pk)
    jobs[0].refresh_from_db()
    assert jobs[0].status == Status.RESUMING
    cancel(action=jobs[1], by=membership.user)
    assert rung == [jobs[0].pk]  # older than the others that wait
    run_slice(jobs[0].pk)
    jobs[0].refresh_from_db()
    assert jobs[0].status == Status.PROCESSING
    check_invariant(jobs[0])


def test_the_limit_is_a_setting(jobs: list[BulkAction], membership: Membership, settings: LazySettings) -> None:
    settings.BULK_MAX_RUNNING_PER_ORGANIZATION = 5
    assert slots.startable(membership.organization_id) == [action.pk for action in jobs[3:5]]


def test_the_sweep_rings_once_for_each_running_job_and_for_those_that_can_start(
    jobs: list[BulkAction], rung: list[UUID]
) -> None:
    BulkAction.objects.filter(pk=jobs[0].pk).update(status=Status.PAUSED, date_paused=timezone.now())
    sweep()
    assert sorted(rung) == sorted([jobs[1].pk, jobs[2].pk, jobs[3].pk])
