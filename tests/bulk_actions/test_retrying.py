"""Retry: the same again, for the leads that it did not work for."""

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from bulk_actions import loading, slots
from bulk_actions.errors import LedgerPurged
from bulk_actions.models import BulkAction, Kind, Priority
from bulk_actions.retrying import retry
from bulk_actions.states import Status
from crm.errors import FieldErrors
from crm.models import Lead, LeadStatus, LeadStatusChange, Membership
from tests import factories
from tests.bulk_actions.helpers import (
    caller_of,
    check_invariant,
    field_params,
    make_job,
    make_leads,
    refusing,
    run_to_end,
    status_job,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_doorbells")]


def test_a_retry_does_the_same_to_the_leads_that_failed_and_to_no_other(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    leads = make_leads(old_status, 30)
    with refusing(*leads[3:6]):
        action = run_to_end(status_job(
            membership, new_status, leads, leads_per_minute=600_000, priority=Priority.HIGH, max_failure_ratio=0.9,
            send_done_email=False,
        ))  # fmt: skip
    Lead.objects.filter(pk=leads[0].pk).update(status=old_status)
    again = run_to_end(retry(action=action, outcomes=["failed"], caller=caller_of(membership)))
    assert (again.status, again.n_leads, again.n_succeeded) == (Status.DONE, 3, 3)
    assert list(Lead.objects.filter(status=old_status).values_list("pk", flat=True)) == [leads[0].pk]
    assert LeadStatusChange.objects.filter(bulk_action_id=again.pk).count() == 3
    for copied in ("kind", "params", "leads_per_minute", "priority", "max_failure_ratio", "send_done_email"):
        assert getattr(again, copied) == getattr(action, copied)
    assert (again.retry_of_id, again.undo_of_id) == (action.pk, None)


def test_skipped_leads_are_tried_again_as_far_as_they_are_there(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    leads = make_leads(old_status, 10)
    action = status_job(membership, new_status, leads)
    slots.start_if_free(action)
    loading.load(action.pk)
    gone = Lead.all_objects.filter(pk__in=[lead.pk for lead in leads[:4]])
    gone.update(deleted_at=timezone.now())
    action = run_to_end(action)
    assert action.n_skipped == 4
    gone.exclude(pk=leads[0].pk).update(deleted_at=None)
    again = run_to_end(retry(action=action, outcomes=["skipped", "failed"], caller=caller_of(membership)))
    assert (again.n_leads, again.n_succeeded) == (3, 3)


def test_a_retry_of_a_retry_takes_the_leads_that_failed_twice(membership: Membership, old_status: LeadStatus) -> None:
    field = factories.CustomFieldFactory.create(organization=membership.organization)
    leads = make_leads(old_status, 10)
    with refusing(*leads[:4]):
        action = run_to_end(make_job(membership, Kind.EDIT, field_params(field, "replace", "x"), leads))
    with refusing(leads[0]):
        again = run_to_end(retry(action=action, outcomes=["failed"], caller=caller_of(membership)))
    assert (again.n_succeeded, again.n_failed) == (3, 1)
    last = run_to_end(retry(action=again, outcomes=["failed"], caller=caller_of(membership)))
    assert (last.n_leads, last.n_succeeded, last.retry_of_id) == (1, 1, again.pk)
    assert Lead.objects.filter(**{f"custom__{field.key}": "x"}).count() == 10


def test_a_retry_is_refused_while_the_job_lives_without_such_leads_and_without_its_ledger(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    leads = make_leads(old_status, 4)
    action = status_job(membership, new_status, leads)
    caller = caller_of(membership)
    with pytest.raises(FieldErrors, match="has not ended"):
        retry(action=action, outcomes=["failed"], caller=caller)
    with refusing(leads[0]):
        action = run_to_end(action)
    with pytest.raises(FieldErrors, match="no leads that are skipped"):
        retry(action=action, outcomes=["skipped"], caller=caller)
    waiting = retry(action=action, outcomes=["failed"], caller=caller)
    BulkAction.objects.filter(pk=action.pk).update(date_ledger_purged=Now())
    with pytest.raises(LedgerPurged):
        retry(action=action, outcomes=["failed"], caller=caller)
    waiting = run_to_end(waiting)
    assert (waiting.status, waiting.error_code) == (Status.ERROR, "ledger_purged")
    check_invariant(action)
