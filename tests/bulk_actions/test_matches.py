"""`on_changed: skip`: a lead that no longer matches the filter when its turn comes stays as it is."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from rest_framework.test import APIClient

from bulk_actions import matches, runner
from bulk_actions.models import Batch, BulkAction, LeadOutcome
from bulk_actions.runner import run_slice
from bulk_actions.sql import named
from bulk_actions.states import Status
from crm.ids import close_id
from crm.models import CustomField, Lead, LeadStatus, Membership
from tests import factories
from tests.bulk_actions.helpers import check_invariant, make_leads, run_to_end, status_job
from tests.search.helpers import all_of, any_of, custom, no, of_type, regular, related, term, text, where
from tests.sessions import other_session, wait_until_blocked

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_doorbells")]

EDIT, DELETE = "/api/v1/bulk_action/edit/", "/api/v1/bulk_action/delete/"
MILL = where(regular("lead", "name"), text("mill"))


def loaded(api: APIClient, path: str, **body: Any) -> BulkAction:
    """A job whose leads are chosen, and none of them changed."""
    answer = api.post(path, {"on_changed": "skip", **body}, format="json")
    assert answer.status_code == 200, answer.content
    action = BulkAction.objects.latest("pk")
    runner.slots.start_if_free(action)
    runner.load(action.pk)
    return action


def skipped(action: BulkAction) -> set[tuple[object, str]]:
    return set(LeadOutcome.objects.filter(action=action.pk).values_list("lead", "code"))


@pytest.fixture
def mills(old_status: LeadStatus) -> list[Lead]:
    """Six leads that the filter finds, and two that it does not."""
    for n in range(8):
        name = f"Mill {n}" if n < 6 else f"Barn {n}"
        factories.LeadFactory.create(organization=old_status.organization, status=old_status, name=name)
    return list(Lead.objects.filter(name__startswith="Mill").order_by("pk"))


def to_status(status: LeadStatus) -> dict[str, str]:
    return {"type": "set_lead_status", "lead_status_id": close_id("stat", status.pk)}


def test_leads_that_no_longer_match_are_skipped_and_say_why(
    api: APIClient, mills: list[Lead], new_status: LeadStatus
) -> None:
    action = loaded(api, EDIT, s_query=MILL, **to_status(new_status))
    Lead.objects.filter(pk=mills[0].pk).update(name="Barn")
    Lead.objects.filter(pk=mills[1].pk).update(deleted_at=timezone.now())
    Lead.all_objects.filter(pk=mills[2].pk).delete()
    Lead.objects.filter(pk=mills[3].pk).update(status=new_status)
    action = run_to_end(action)
    assert (action.status, action.n_succeeded, action.n_unchanged, action.n_skipped) == (Status.DONE, 2, 1, 3)
    assert skipped(action) == {
        (mills[0].pk, "no_longer_matches"), (mills[1].pk, "lead_gone"), (mills[2].pk, "lead_gone"),
    }  # fmt: skip
    assert "no longer matched" in LeadOutcome.objects.get(lead=mills[0].pk).message


def test_without_it_they_are_changed_all_the_same(api: APIClient, mills: list[Lead], new_status: LeadStatus) -> None:
    action = loaded(api, EDIT, s_query=MILL, on_changed="apply", **to_status(new_status))
    Lead.objects.filter(pk=mills[0].pk).update(name="Barn")
    assert run_to_end(action).n_succeeded == 6


def test_a_lead_that_began_to_match_is_none_of_the_job(
    api: APIClient, mills: list[Lead], new_status: LeadStatus
) -> None:
    action = loaded(api, DELETE, s_query=MILL)
    Lead.objects.filter(name__startswith="Barn").update(name="Mill too")
    assert run_to_end(action).n_succeeded == 6
    assert Lead.objects.count() == 2


def test_a_lead_changed_by_a_session_that_commits_while_the_batch_waits_is_judged_by_what_it_holds_then(
    api: APIClient, mills: list[Lead], new_status: LeadStatus
) -> None:
    action = loaded(api, EDIT, s_query=MILL, **to_status(new_status))
    with other_session() as start:
        with transaction.atomic():
            Lead.objects.filter(pk=mills[2].pk).update(name="Barn")
            slice_ = start(lambda: run_slice(action.pk))
            wait_until_blocked(slice_)
        slice_.result(20)
    check_invariant(action)
    assert skipped(action) == {(mills[2].pk, "no_longer_matches")}
    assert action.n_succeeded == 5


@pytest.mark.parametrize("object_type", ["contact", "opportunity"])
def test_a_query_for_contacts_or_opportunities_means_that_the_lead_still_has_one_that_matches(
    api: APIClient, old_status: LeadStatus, new_status: LeadStatus, object_type: str
) -> None:
    make: Callable[..., Any] = factories.ContactFactory.create
    if object_type == "opportunity":
        stage = factories.OpportunityStatusFactory.create(
            organization=old_status.organization, pipeline__organization=old_status.organization
        )
        make = lambda **given: factories.OpportunityFactory.create(status=stage, **given)  # noqa: E731
    leads = make_leads(old_status, 4)
    things = {lead.pk: [make(lead=lead), make(lead=lead)] for lead in leads}
    action = loaded(api, EDIT, s_query=all_of(of_type(object_type)), **to_status(new_status))
    assert action.status == Status.CREATED
    for thing in (things[leads[0].pk][0], *things[leads[1].pk]):
        thing.delete()
    action = run_to_end(action)
    assert (action.n_leads, action.n_succeeded) == (4, 3)
    assert skipped(action) == {(leads[1].pk, "no_longer_matches")}


def test_limit_and_sort_do_not_count_when_the_filter_is_applied_again(
    api: APIClient, mills: list[Lead], new_status: LeadStatus
) -> None:
    action = loaded(api, EDIT, s_query=MILL, results_limit=3, **to_status(new_status))
    factories.LeadFactory.create(organization=mills[0].organization, status=mills[0].status, name="A Mill")
    assert run_to_end(action).n_succeeded == 3


@pytest.mark.parametrize(
    ("query", "n_leads"),
    [
        ({"type": "match_all"}, 8),
        (MILL, 6),
        (no(where(regular("lead", "name"), text("barn"))), 6),
        (any_of(MILL, where(regular("lead", "description"), text("100 % of it"))), 6),
        (all_of(MILL, no(related("lead", "contact", where(regular("contact", "title"), text("Miller"))))), 6),
        (where(regular("lead", "num_opportunities"), {"type": "number_range", "lte": 0, "gte": 0}), 8),
    ],
)
@pytest.mark.usefixtures("mills")
def test_every_form_of_a_filter_still_finds_what_nobody_has_changed(
    api: APIClient, new_status: LeadStatus, query: dict[str, Any], n_leads: int
) -> None:
    action = run_to_end(loaded(api, EDIT, s_query=query, **to_status(new_status)))
    assert (action.n_leads, action.n_succeeded, action.n_skipped) == (n_leads, n_leads, 0)


def test_a_custom_field_that_the_job_itself_changes_does_not_stop_it(api: APIClient, old_status: LeadStatus) -> None:
    field: CustomField = factories.CustomFieldFactory.create(organization=old_status.organization, type="text")
    make_leads(old_status, 2500, custom={field.key: "old % s"})
    query = where(custom(field), term("old % s"))
    body = {"type": "set_custom_field", "custom_field_id": close_id("cf", field.pk), "custom_field_value": "new"}
    action = run_to_end(loaded(api, EDIT, s_query=query, **body))
    assert (action.n_succeeded, action.n_skipped) == (2500, 0)


def test_leads_named_by_their_ids_always_match_while_they_live(api: APIClient, mills: list[Lead]) -> None:
    action = loaded(api, DELETE, lead_ids=[close_id("lead", lead.pk) for lead in mills])
    Lead.objects.filter(pk=mills[0].pk).update(name="Barn")
    Lead.objects.filter(pk=mills[1].pk).update(deleted_at=timezone.now())
    action = run_to_end(action)
    assert (action.n_succeeded, skipped(action)) == (5, {(mills[1].pk, "lead_gone")})


def test_a_filter_over_the_leads_of_another_job_ends_the_job_once_the_ledger_of_that_one_is_gone(
    api: APIClient, membership: Membership, mills: list[Lead], new_status: LeadStatus
) -> None:
    other = run_to_end(status_job(membership, new_status, mills[:2]))
    node = {"type": "bulk_action", "bulk_action_id": other.api_id, "outcome": ["succeeded"], "negate": True}
    action = loaded(api, DELETE, s_query=node)
    matches.condition_of(action.pk)  # as a worker has it in hand between two batches
    BulkAction.objects.filter(pk=other.pk).update(date_ledger_purged=timezone.now())
    Batch.objects.filter(action=other.pk).delete()
    action = run_to_end(action)
    assert (action.n_leads, action.status, action.error_code) == (6, Status.ERROR, "ledger_purged")
    assert Lead.objects.count() == 8


def test_plain_parameters_become_named_ones_and_doubled_signs_stay() -> None:
    assert named("a = %s AND b LIKE '%%s' AND c = %s", [1, "x"], "p") == (
        "a = %(p_0)s AND b LIKE '%%s' AND c = %(p_1)s",
        {"p_0": 1, "p_1": "x"},
    )
