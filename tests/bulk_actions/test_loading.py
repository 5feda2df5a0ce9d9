"""Freezing the leads of a job: what stops it before the first change."""

import pytest

from bulk_actions.models import Batch, Kind
from bulk_actions.states import Status
from crm.models import Lead, LeadStatus, Membership, OutboxMail
from tests.bulk_actions.helpers import make_job, make_leads, run_to_end, status_job

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_doorbells")]


def test_more_leads_than_max_leads_end_the_job_before_the_first_change_and_both_numbers_are_told(
    membership: Membership, old_status: LeadStatus
) -> None:
    action = run_to_end(make_job(membership, Kind.DELETE, {}, make_leads(old_status, 2500), max_leads=1200))
    assert (action.status, action.error_code) == (Status.ERROR, "too_many_leads")
    assert action.error_message == "The query finds 2,500 leads; max_leads allows 1,200."
    assert (action.n_leads, action.n_succeeded, action.date_started) == (None, 0, None)
    assert Lead.objects.count() == 2500
    assert not Batch.objects.exists()
    assert "max_leads allows 1,200" in OutboxMail.objects.get(source_id=action.pk).body_text


@pytest.mark.parametrize(("n_leads", "status"), [(0, Status.DONE), (1, Status.DONE), (2, Status.ERROR)])
def test_as_many_leads_as_max_leads_are_not_too_many(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus, n_leads: int, status: Status
) -> None:
    action = run_to_end(status_job(membership, new_status, make_leads(old_status, n_leads), max_leads=1))
    assert (action.status, Lead.objects.filter(status=new_status).count()) == (status, n_leads if n_leads < 2 else 0)


def test_max_leads_counts_what_results_limit_leaves(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    leads = make_leads(old_status, 5)
    action = run_to_end(status_job(membership, new_status, leads, max_leads=3, results_limit=3))
    assert (action.status, action.n_succeeded) == (Status.DONE, 3)
