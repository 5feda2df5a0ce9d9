"""Fair turns: how long a slice may go on and on how many workers, by who else has work."""

import uuid
from datetime import timedelta

import pytest
from django.conf import LazySettings
from django.utils import timezone

from bulk_actions import slots, turns
from bulk_actions.models import Batch, BulkAction, Kind, Priority
from bulk_actions.runner import Slice, run_slice
from bulk_actions.states import Status
from bulk_actions.turns import Turn, turn_of
from crm.models import LeadStatus, Membership
from tests import factories
from tests.bulk_actions.helpers import check_invariant, make_leads, run_to_end, status_job

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, tuple[int, ...]]]:
    """Every ring: which job, which numbers."""
    rings: list[tuple[object, tuple[int, ...]]] = []
    monkeypatch.setattr(
        "bulk_actions.doorbell.ring", lambda key, numbers=None, **_: rings.append((key, tuple(numbers or (0,))))
    )
    return rings


@pytest.fixture(autouse=True)
def eight_workers(settings: LazySettings) -> None:
    settings.BULK_WORKERS = 8


def running(membership: Membership, status: LeadStatus, **columns: object) -> BulkAction:
    action = status_job(membership, status, [])
    BulkAction.objects.filter(pk=action.pk).update(**{"status": Status.PROCESSING, "n_leads": 10, **columns})
    return action


def another_organization() -> tuple[Membership, LeadStatus]:
    membership = factories.MembershipFactory.create()
    return membership, factories.LeadStatusFactory.create(organization=membership.organization)


def test_a_job_alone_has_a_long_turn_and_all_workers(membership: Membership, new_status: LeadStatus) -> None:
    assert turn_of(running(membership, new_status).pk) == Turn(5, 8)


def test_organizations_share_alike_whatever_each_of_them_runs(membership: Membership, new_status: LeadStatus) -> None:
    three = [running(membership, new_status) for _ in range(3)]
    for _ in range(100):
        status_job(membership, new_status, [])
    one = running(*another_organization())
    assert turn_of(one.pk) == Turn(2, 4)  # as if the other organization ran one job, too
    shares = [turn_of(job.pk) for job in three]
    assert sum(share.seconds for share in shares) == pytest.approx(2)
    assert [share.workers for share in shares] == [2, 2, 2]


def test_priority_splits_the_turns_of_one_organization_and_takes_nothing_from_another(
    membership: Membership, new_status: LeadStatus
) -> None:
    jobs = [running(membership, new_status, priority=priority) for priority in Priority]
    other = running(*another_organization())
    low, normal, high = (turn_of(job.pk).seconds for job in jobs)
    assert (normal / low, high / normal) == (2, 2)
    assert low + normal + high == pytest.approx(2)
    BulkAction.objects.filter(pk=jobs[0].pk).update(priority=Priority.HIGH)
    assert turn_of(jobs[0].pk).seconds == pytest.approx(2 * 4 / 10)
    assert turn_of(other.pk).seconds == 2


def test_a_job_at_the_door_of_a_free_slot_counts_before_a_worker_has_it(
    membership: Membership, new_status: LeadStatus
) -> None:
    job = running(membership, new_status)
    newcomer = status_job(*another_organization(), [])
    assert turn_of(job.pk) == Turn(2, 4)
    BulkAction.objects.filter(pk=newcomer.pk).update(run_at=timezone.now() + timedelta(hours=1))
    assert turn_of(job.pk) == Turn(5, 8)
    BulkAction.objects.filter(pk=newcomer.pk).update(run_at=None, status=Status.PAUSED)
    assert turn_of(job.pk) == Turn(5, 8)


def test_a_file_that_is_written_has_a_slot_and_takes_no_worker_from_anybody(
    membership: Membership, new_status: LeadStatus
) -> None:
    job = running(membership, new_status)
    file = running(membership, new_status, kind=Kind.EXPORT)
    running(*another_organization(), kind=Kind.EXPORT)
    assert turn_of(job.pk) == Turn(5, 8)
    assert slots.at_work().filter(pk=file.pk).exists()
    BulkAction.objects.filter(pk=file.pk).update(status=Status.LOADING)
    assert turn_of(job.pk) == Turn(1, 4), "its targets are found by a bulk worker"


def test_a_job_with_a_ceiling_uses_one_worker_and_takes_none_from_others(
    membership: Membership, new_status: LeadStatus
) -> None:
    limited = running(membership, new_status, leads_per_minute=60)
    free = running(*another_organization())
    assert turn_of(limited.pk).workers == 1
    assert turn_of(free.pk).workers == 8


def test_a_job_that_mails_uses_one_worker_since_delivery_is_slower_than_that(
    membership: Membership, new_status: LeadStatus
) -> None:
    mailing, editing = running(membership, new_status, kind=Kind.EMAIL), running(membership, new_status)
    Batch.objects.create(action=mailing, rank=1, lead_ids=[uuid.uuid4()], n_leads=1)
    assert (turn_of(mailing.pk).workers, turn_of(editing.pk).workers) == (1, 4)


def test_a_slice_rings_for_its_share_of_the_workers_and_no_more_than_batches(
    membership: Membership,
    old_status: LeadStatus,
    new_status: LeadStatus,
    settings: LazySettings,
    rung: list[tuple[object, tuple[int, ...]]],
) -> None:
    settings.BULK_STORED_BATCH = 10
    for n_leads, numbers in [(30, (1, 2)), (300, (1, 2, 3))]:
        job = status_job(membership, new_status, make_leads(old_status, n_leads))
        other = running(*another_organization())
        rung.clear()
        run_slice(job.pk)
        assert (job.pk, numbers) in rung
        check_invariant(job)
        BulkAction.objects.filter(pk=other.pk).update(status=Status.PAUSED)


def test_a_worker_beyond_the_share_leaves_and_comes_back_when_the_others_are_gone(
    membership: Membership,
    old_status: LeadStatus,
    new_status: LeadStatus,
    settings: LazySettings,
    rung: list[tuple[object, tuple[int, ...]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.BULK_WORKERS = 2
    settings.BULK_STORED_BATCH = settings.BULK_MAX_BATCHES_PER_TRANSACTION = 1
    job = status_job(membership, new_status, make_leads(old_status, 30))
    other = running(*another_organization())
    seconds: list[int] = []

    def stand_by_then_alone(key: object) -> Turn:
        seconds.append(1)
        if len(seconds) == 3:
            BulkAction.objects.filter(pk=other.pk).update(status=Status.PAUSED)
        return turn_of(key)

    assert run_slice(job.pk, 1) is Slice.SURPLUS
    assert Batch.objects.filter(action=job.pk, date_done__isnull=False).count() == 0
    assert not [numbers for key, numbers in rung if key == job.pk and numbers == (1,)]
    monkeypatch.setattr(turns, "turn_of", stand_by_then_alone)
    run_slice(job.pk, 0)
    assert (job.pk, (1,)) in rung  # in mid-slice
    check_invariant(job)


def test_a_slice_ends_at_the_next_step_when_another_organization_comes(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus, settings: LazySettings,
    rung: list[tuple[object, tuple[int, ...]]], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    settings.BULK_STORED_BATCH = settings.BULK_MAX_BATCHES_PER_TRANSACTION = 1
    settings.BULK_SLICE_SECONDS_WHEN_OTHERS_WAIT = 0
    job = status_job(membership, new_status, make_leads(old_status, 30))
    steps: list[int] = []

    def somebody_comes(key: object) -> Turn:
        steps.append(1)
        if len(steps) == 4:
            status_job(*another_organization(), [])
        return turn_of(key)

    monkeypatch.setattr(turns, "turn_of", somebody_comes)
    assert run_slice(job.pk) is Slice.OVER
    assert Batch.objects.filter(action=job.pk, date_done__isnull=False).count() == 3
    assert rung[-1] == (job.pk, (0,))
    monkeypatch.undo()
    check_invariant(job)


def test_the_last_worker_of_a_job_finishes_it_even_when_it_has_become_one_too_many(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus, rung: list[object]
) -> None:
    job = run_to_end(status_job(membership, new_status, make_leads(old_status, 10)))
    BulkAction.objects.filter(pk=job.pk).update(status=Status.PROCESSING, leads_per_minute=60)
    assert run_slice(job.pk, 1) is Slice.SURPLUS
    job.refresh_from_db()
    assert job.status == Status.DONE
    check_invariant(job)


def test_only_the_first_worker_rings_for_others(
    membership: Membership,
    old_status: LeadStatus,
    new_status: LeadStatus,
    settings: LazySettings,
    rung: list[tuple[object, tuple[int, ...]]],
) -> None:
    """Idle workers would ring for each other for as long as the job runs."""
    settings.BULK_STORED_BATCH = 10
    job = status_job(membership, new_status, make_leads(old_status, 30))
    run_slice(job.pk, 1)
    assert {numbers for key, numbers in rung if key == job.pk} <= {(0,), (1,)}
    check_invariant(job)
