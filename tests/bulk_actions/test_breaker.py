"""A job that is plainly wrong pauses itself; what share of failures that is, its order says."""

import pytest

from bulk_actions.states import Status
from crm.models import LeadStatus, Membership
from tests.bulk_actions.helpers import make_leads, refusing, run_to_end, status_job

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_doorbells")]


@pytest.mark.parametrize(
    ("ratio", "status"), [(0.0, Status.PAUSED), (0.05, Status.PAUSED), (0.5, Status.DONE), (1.0, Status.DONE)]
)
def test_a_job_pauses_itself_above_its_own_share_of_failures(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus, ratio: float, status: Status
) -> None:
    leads = make_leads(old_status, 300)
    action = status_job(membership, new_status, leads, max_failure_ratio=ratio)
    with refusing(*leads[::10]):
        action = run_to_end(action)
    assert action.status == status
    assert action.status_reason == ("too_many_failures" if status == Status.PAUSED else "")


def test_a_job_that_may_fail_everywhere_ends_with_nothing_done(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    leads = make_leads(old_status, 220)
    action = status_job(membership, new_status, leads, max_failure_ratio=1.0)
    with refusing():
        action = run_to_end(action)
    assert (action.status, action.n_failed) == (Status.DONE, 220)
