"""The query node about what became of leads: `{"type": "bulk_action", "bulk_action_id", "outcome"}`."""

from typing import Any

import pytest
from django.db.models.functions import Now
from django.utils import timezone
from rest_framework.test import APIClient

from bulk_actions import loading, slots
from bulk_actions.models import BulkAction, Kind
from bulk_actions.results import all_of
from bulk_actions.states import Status
from bulk_actions.targets import OUTCOMES
from bulk_actions.undoing import undo
from crm.ids import close_id
from crm.models import Lead, LeadStatus, Membership
from search.node_parser import MAX_EXTERNAL_NODES
from tests import factories
from tests.bulk_actions.helpers import (
    caller_of,
    check_invariant,
    make_job,
    make_leads,
    refusing,
    run_a_little,
    run_to_end,
    status_job,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_doorbells")]

SEARCH, EDIT, DELETE = "/api/v1/data/search/", "/api/v1/bulk_action/edit/", "/api/v1/bulk_action/delete/"


def node(action: BulkAction, *outcomes: str, **more: object) -> dict[str, Any]:
    return {"type": "bulk_action", "bulk_action_id": action.api_id, "outcome": list(outcomes), **more}


def found(api: APIClient, query: dict[str, Any]) -> set[str]:
    answer = api.post(SEARCH, {"query": query, "_limit": 200})
    assert answer.status_code == 200, answer.content
    return {row["id"] for row in answer.json()["data"]}


def refused(api: APIClient, query: dict[str, Any], path: str = SEARCH, **body: object) -> dict[str, str]:
    answer = api.post(path, {"query" if path == SEARCH else "s_query": query, **body})
    assert answer.status_code == 400, answer.content
    return answer.json()["field-errors"]


@pytest.fixture
def mixed(membership: Membership, old_status: LeadStatus, new_status: LeadStatus) -> BulkAction:
    """10 leads: 0 failed, 1 and 2 skipped, 3 unchanged, the others succeeded; and three leads beside."""
    leads = make_leads(old_status, 10)
    make_leads(old_status, 3)
    action = status_job(membership, new_status, leads)
    slots.start_if_free(action)
    loading.load(action.pk)
    skipped = Lead.all_objects.filter(pk__in=[leads[1].pk, leads[2].pk])
    skipped.update(deleted_at=timezone.now())
    Lead.objects.filter(pk=leads[3].pk).update(status=new_status)
    with refusing(leads[0]):
        action = run_to_end(action)
    skipped.update(deleted_at=None)
    assert (action.n_succeeded, action.n_unchanged, action.n_skipped, action.n_failed) == (6, 1, 2, 1)
    return action


def test_the_node_finds_the_leads_with_the_outcome_and_its_negation_all_others(
    api: APIClient, mixed: BulkAction
) -> None:
    everything = {close_id("lead", key) for key in Lead.objects.values_list("pk", flat=True)}
    by_outcome: dict[str, set[str]] = {outcome: set() for outcome in OUTCOMES}
    for row in all_of(mixed, OUTCOMES):
        by_outcome[row.outcome].add(close_id("lead", row.lead_id))
    assert [len(by_outcome[outcome]) for outcome in OUTCOMES] == [6, 1, 2, 1, 0, 0]
    for outcome in OUTCOMES:
        assert found(api, node(mixed, outcome)) == by_outcome[outcome]
        assert found(api, node(mixed, outcome, negate=True)) == everything - by_outcome[outcome]
    both = by_outcome["failed"] | by_outcome["skipped"]
    assert found(api, node(mixed, "skipped", "failed", "failed")) == both
    assert found(api, {"type": "or", "queries": [node(mixed, "failed"), node(mixed, "skipped")]}) == both
    assert found(api, {"type": "and", "queries": [node(mixed, "failed"), node(mixed, "skipped")]}) == set()
    of_contacts = {"type": "and", "queries": [
        {"type": "object_type", "object_type": "contact"},
        {"type": "has_related", "this_object_type": "contact", "related_object_type": "lead",
         "related_query": node(mixed, "failed")}]}  # fmt: skip
    [failed] = [row.lead_id for row in all_of(mixed, ["failed"])]
    contact = factories.ContactFactory.create(lead=Lead.objects.get(pk=failed))
    assert found(api, of_contacts) == {close_id("cont", contact.pk)}
    check_invariant(mixed)


def test_pending_leads_are_found_while_the_job_runs(
    api: APIClient, membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    action = status_job(membership, new_status, make_leads(old_status, 150), leads_per_minute=3000)
    assert found(api, node(action, "pending")) == set()
    run_a_little(action)
    BulkAction.objects.filter(pk=action.pk).update(status=Status.PAUSED)
    done, pending = found(api, node(action, "succeeded")), found(api, node(action, "pending"))
    assert done
    assert pending
    assert not done & pending
    assert len(done | pending) == 150
    check_invariant(action)


def test_a_deleted_lead_is_not_found_until_it_is_brought_back(
    api: APIClient, membership: Membership, old_status: LeadStatus
) -> None:
    leads = make_leads(old_status, 3)
    action = run_to_end(make_job(membership, Kind.DELETE, {}, leads))
    assert found(api, node(action, "succeeded")) == set()
    run_to_end(undo(action=action, caller=caller_of(membership)))
    assert found(api, node(action, "succeeded")) == {close_id("lead", lead.pk) for lead in leads}
    # The text index has them too.
    assert len(found(api, {"type": "text", "value": "lead"})) == 3


def test_a_bulk_action_and_a_smart_view_may_be_about_what_another_job_left(
    api: APIClient, mixed: BulkAction, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    status = {"type": "set_lead_status", "lead_status_id": close_id("stat", new_status.pk)}
    made = api.post(EDIT, {"s_query": node(mixed, "failed", "skipped"), **status})
    assert made.status_code == 200, made.content
    edit = run_to_end(BulkAction.objects.latest("pk"))
    assert (edit.n_leads, edit.n_succeeded) == (3, 3)
    query = {"type": "and", "queries": [{"type": "object_type", "object_type": "lead"}, node(mixed, "failed")]}
    view = api.post("/api/v1/saved_search/", {"name": "Failed yesterday", "s_query": {"query": query}}).json()
    assert len(found(api, {"type": "saved_search", "saved_search_id": view["id"]})) == 1
    made = api.post(DELETE, {"s_query": {"type": "saved_search", "saved_search_id": view["id"]}})
    assert made.status_code == 200, made.content
    assert run_to_end(BulkAction.objects.latest("pk")).n_succeeded == 1


@pytest.mark.parametrize("path", [SEARCH, EDIT, DELETE])
def test_an_unknown_or_foreign_job_is_refused(
    api: APIClient, membership: Membership, old_status: LeadStatus, new_status: LeadStatus, path: str
) -> None:
    own = run_to_end(status_job(membership, new_status, make_leads(old_status, 1)))
    stranger = factories.MembershipFactory.create()
    status = factories.LeadStatusFactory.create(organization=stranger.organization)
    foreign = run_to_end(status_job(stranger, status, make_leads(status, 1)))
    where = "query" if path == SEARCH else "s_query"
    body = {} if path != EDIT else {
        "type": "set_lead_status", "lead_status_id": close_id("stat", new_status.pk)
    }  # fmt: skip
    for id_ in (foreign.api_id, own.api_id.replace("bulkedit", "bulkdelete"), own.api_id[:-1], "", own.api_id + "0"):
        asked = {**node(own, "failed"), "bulk_action_id": id_}
        assert refused(api, asked, path, **body)[f"{where}.bulk_action_id"] == "Object does not exist."
        nested = {"type": "and", "queries": [{"type": "match_all"}, {**asked, "negate": True}]}
        assert f"{where}.queries[1].bulk_action_id" in refused(api, nested, path, **body)
    assert BulkAction.objects.count() == 2


def test_the_node_is_read_strictly(api: APIClient, mixed: BulkAction) -> None:
    good = node(mixed, "failed")
    for wrong, path in (
        ({"outcome": []}, "outcome"),
        ({"outcome": "failed"}, "outcome"),
        ({"outcome": None}, "outcome"),
        ({"outcome": ["failed", "Skipped"]}, "outcome"),
        ({"outcome": ["failed", 1]}, "outcome[1]"),
        ({"bulk_action_id": None}, "bulk_action_id"),
        ({"bulk_action_id": [mixed.api_id]}, "bulk_action_id"),
        ({"outcomes": ["failed"]}, "outcomes"),
        ({"negate": "yes"}, "negate"),
    ):
        assert f"query.{path}" in refused(api, {**good, **wrong})
    for key in ("bulk_action_id", "outcome"):
        assert refused(api, {k: v for k, v in good.items() if k != key}) == {f"query.{key}": "This field is required."}
    contacts = {"type": "and", "queries": [{"type": "object_type", "object_type": "contact"}, good]}
    assert "has_related" in refused(api, contacts)["query.queries[1]"]
    many = {"type": "or", "queries": [good] * (MAX_EXTERNAL_NODES + 1)}
    assert f"more than {MAX_EXTERNAL_NODES}" in refused(api, many)[f"query.queries[{MAX_EXTERNAL_NODES}]"]
    assert found(api, {"type": "or", "queries": [good] * MAX_EXTERNAL_NODES}) == found(api, good)


def test_a_purged_ledger_is_refused_and_never_means_every_lead(
    api: APIClient, membership: Membership, mixed: BulkAction
) -> None:
    view = api.post("/api/v1/saved_search/", {"name": "Failed", "s_query": {"type": "and", "queries": [
        {"type": "object_type", "object_type": "lead"}, node(mixed, "failed", negate=True)]}}).json()  # fmt: skip
    made = api.post(DELETE, {"s_query": node(mixed, "succeeded", "failed", negate=True)})
    assert made.status_code == 200, made.content
    waiting = BulkAction.objects.latest("pk")
    BulkAction.objects.filter(pk=mixed.pk).update(date_ledger_purged=Now())
    assert refused(api, node(mixed, "failed"))["query.bulk_action_id"].startswith("ledger_purged")
    asked = {"type": "saved_search", "saved_search_id": view["id"]}
    assert any(told.startswith("ledger_purged") for told in refused(api, asked, DELETE).values())
    waiting = run_to_end(waiting)
    assert (waiting.status, waiting.error_code) == (Status.ERROR, "ledger_purged")
    assert Lead.objects.count() == 13
