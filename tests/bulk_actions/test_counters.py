"""What is counted for operators: batches that were rolled back, and jobs that only the sweeper got going."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection, transaction
from django.utils import timezone

from bulk_actions import locks
from bulk_actions.models import BulkAction
from bulk_actions.runner import ROLLED_BACK, run_slice
from bulk_actions.services import cancel
from bulk_actions.states import Status
from bulk_actions.sweeper import RESCUES, sweep
from crm.models import Counter, Lead, LeadStatus, Membership
from tests.bulk_actions.helpers import Elsewhere, check_invariant, make_leads, run_to_end, status_job

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def standing(membership: Membership, old_status: LeadStatus, new_status: LeadStatus) -> BulkAction:
    """A running job in which nothing has happened for a while."""
    job = status_job(membership, new_status, make_leads(old_status, 5))
    then = timezone.now() - timedelta(seconds=30)
    BulkAction.objects.filter(pk=job.pk).update(status=Status.LOADING, date_updated=then)
    cache.clear()
    return job


def counted(name: str) -> int:
    return Counter.objects.filter(name=name).values_list("value", flat=True).first() or 0


def test_a_standing_job_that_the_sweeper_rings_for_is_a_rescue_and_once_while_the_bell_waits(
    standing: BulkAction,
) -> None:
    for _ in range(3):
        sweep()
    assert counted(RESCUES) == 1
    check_invariant(standing)


@pytest.mark.parametrize("enter", [locks.become_loader, locks.share_gate])
def test_a_job_that_somebody_is_at_is_none(standing: BulkAction, enter: object) -> None:
    with transaction.atomic():
        enter(standing.pk)
        Elsewhere(sweep).join(20)
    assert counted(RESCUES) == 0
    check_invariant(standing)


def test_a_job_that_moved_just_now_is_none(standing: BulkAction) -> None:
    BulkAction.objects.update(date_updated=timezone.now())
    sweep()
    assert counted(RESCUES) == 0
    check_invariant(standing)


@pytest.mark.usefixtures("no_doorbells")
def test_an_ending_that_the_sweeper_completes_is_a_rescue(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    job = status_job(membership, new_status, make_leads(old_status, 5))
    cancel(action=job, by=membership.user)
    BulkAction.objects.update(n_succeeded=None)
    sweep()
    assert counted(RESCUES) == 1
    check_invariant(job)


@pytest.mark.usefixtures("no_doorbells")
def test_a_batch_that_loses_its_locks_is_counted(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    leads = make_leads(old_status, 5)
    job = status_job(membership, new_status, leads)

    def impatient() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '200ms'")
        run_slice(job.pk)

    with transaction.atomic():
        list(Lead.objects.select_for_update().filter(pk=leads[0].pk))
        Elsewhere(impatient).join(30)
        assert counted(ROLLED_BACK) >= 1
    run_to_end(job)
    assert job.n_succeeded == 5
