"""Which leads a bulk action takes: every kind of query, over HTTP and through the worker's code to the last lead."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from rest_framework.test import APIClient

from bulk_actions.models import Batch, BulkAction
from crm.auth import make_api_key
from crm.ids import close_id
from crm.models import Activity, Contact, Lead, LeadStatus, Membership
from search.schema import RESULT_TYPES
from tests import factories
from tests.bulk_actions.helpers import make_leads, run_to_end
from tests.conftest import client_with

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_doorbells")]

EDIT, DELETE, VIEWS = "/api/v1/bulk_action/edit/", "/api/v1/bulk_action/delete/", "/api/v1/saved_search/"
ALL = {"type": "match_all"}
OTHER_TYPES = [name for name in RESULT_TYPES if name != "lead"]
Json = dict[str, Any]


def of_type(object_type: str) -> Json:
    return {"type": "object_type", "object_type": object_type}


def sort_by(object_type: str, name: str, direction: str = "asc") -> list[Json]:
    field = {"type": "regular_field", "object_type": object_type, "field_name": name}
    return [{"direction": direction, "field": field}]


def named(word: str) -> Json:
    field = {"type": "regular_field", "object_type": "lead", "field_name": "name"}
    condition = {"type": "text", "mode": "full_words", "value": word}
    return {"type": "field_condition", "field": field, "condition": condition}


@pytest.fixture
def edit(new_status: LeadStatus) -> Json:
    return {"type": "set_lead_status", "lead_status_id": close_id("stat", new_status.pk)}


def done(api: APIClient, path: str, body: Json) -> BulkAction:
    """The job that `body` orders, run to its end, where the counts are checked."""
    answer = api.post(path, body)
    assert answer.status_code == 200, answer.json()
    action = run_to_end(BulkAction.objects.latest("pk"))
    assert (action.status, action.n_failed, action.n_skipped) == ("done", 0, 0)
    return action


def targets(action: BulkAction) -> list[UUID]:
    batches = Batch.objects.filter(action=action.pk).order_by("pk")
    return [lead for batch in batches for lead in batch.lead_ids]


def refused(api: APIClient, path: str, body: Json) -> Json:
    answer = api.post(path, body)
    assert answer.status_code == 400, answer.json()
    assert not BulkAction.objects.exists()
    return answer.json()["field-errors"]


def make(object_type: str, lead: Lead, **more: object) -> Any:
    if object_type == "contact":
        return factories.ContactFactory.create(lead=lead, **more)
    if object_type == "opportunity":
        return factories.OpportunityFactory.create(lead=lead, **more)
    return Activity.objects.create(
        organization=lead.organization, lead=lead, type=object_type.removeprefix("activity."), **more
    )


# --- objects that are no leads ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("object_type", OTHER_TYPES)
def test_a_query_for_other_objects_edits_their_leads_each_once(
    api: APIClient, old_status: LeadStatus, edit: Json, object_type: str
) -> None:
    first, second, _, deleted = make_leads(old_status, 4)
    for lead in (first, second, first, first, deleted, second):
        make(object_type, lead)
    Lead.all_objects.filter(pk=deleted.pk).update(deleted_at="2031-01-01T00:00Z")
    action = done(api, EDIT, {"s_query": {"type": "and", "queries": [of_type(object_type)]}, **edit})
    assert targets(action) == [first.pk, second.pk]
    assert (action.n_leads, action.n_objects, action.n_succeeded) == (2, 2, 2)


def test_an_opportunity_without_a_lead_has_none_to_edit(api: APIClient, old_status: LeadStatus, edit: Json) -> None:
    factories.OpportunityFactory.create(organization=old_status.organization, lead=None)
    assert done(api, EDIT, {"s_query": of_type("opportunity"), **edit}).n_leads == 0


def test_sort_and_limit_take_the_first_contacts_and_then_their_leads(
    api: APIClient, old_status: LeadStatus, edit: Json
) -> None:
    ada, ben, cem = make_leads(old_status, 3)
    for lead, name in ((ben, "1"), (ada, "2"), (ben, "3"), (cem, "4"), (ada, "5")):
        make("contact", lead, name=name)
    order = {"s_query": of_type("contact"), "sort": sort_by("contact", "name"), **edit}
    assert targets(done(api, EDIT, {**order, "results_limit": 3})) == [ben.pk, ada.pk]
    assert targets(done(api, EDIT, {**order, "results_limit": 4})) == [ben.pk, ada.pk, cem.pk]
    backwards = {**order, "sort": sort_by("contact", "name", "desc"), "results_limit": 2}
    assert targets(done(api, EDIT, backwards)) == [ada.pk, cem.pk]
    assert targets(done(api, EDIT, {**order, "results_limit": 0})) == []


@pytest.mark.parametrize("object_type", OTHER_TYPES)
def test_a_delete_of_other_objects_is_refused_and_says_what_to_do(
    api: APIClient, old_status: LeadStatus, object_type: str
) -> None:
    [lead] = make_leads(old_status, 1)
    make(object_type, lead)
    bodies = [of_type(object_type), {"queries": [of_type(object_type), ALL]}, {"query": of_type(object_type)}]
    for s_query in bodies:
        told = refused(api, DELETE, {"s_query": s_query})
        assert list(told) == ["s_query"]
        assert object_type in told["s_query"]
        assert "has_related" in told["s_query"]
    related = {
        "type": "has_related", "this_object_type": "lead", "related_object_type": object_type, "related_query": ALL,
    }  # fmt: skip
    assert targets(done(api, DELETE, {"s_query": related})) == [lead.pk]


def test_a_smart_view_of_contacts_deletes_no_lead(api: APIClient, old_status: LeadStatus) -> None:
    [lead] = make_leads(old_status, 1)
    make("contact", lead)
    view = api.post(VIEWS, {"name": "People", "type": "contact", "s_query": of_type("contact")}).json()
    node = {"type": "saved_search", "saved_search_id": view["id"]}
    assert "contact" in refused(api, DELETE, {"s_query": node})["s_query"]
    assert done(api, DELETE, {"s_query": {"queries": [of_type("lead"), node]}}).n_leads == 0


# --- the first N ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_sort_and_limit_take_exactly_the_first(
    api: APIClient, old_status: LeadStatus, edit: Json, direction: str
) -> None:
    leads = make_leads(old_status, 6)
    urls = ["c", "a", None, "b", "", "a"]
    for lead, url in zip(leads, urls, strict=True):
        Lead.objects.filter(pk=lead.pk).update(url=url)
    by_url = [1, 5, 3, 0] if direction == "asc" else [0, 3, 1, 5]  # equal ones by id, absent ones last, by id
    order = [leads[place].pk for place in (*by_url, 2, 4)]
    for limit in (1, 3, 5, 6, 7, 100):
        Lead.objects.update(status=old_status)
        body = {"s_query": ALL, "sort": sort_by("lead", "url", direction), "results_limit": limit, **edit}
        assert targets(done(api, EDIT, body)) == order[:limit]
        changed = Lead.objects.exclude(status=old_status).values_list("pk", flat=True)
        assert set(changed) == set(order[:limit])


# --- lists of ids -----------------------------------------------------------------------------------------------------
def test_a_hundred_thousand_ids_are_taken_and_no_more(api: APIClient, old_status: LeadStatus, edit: Json) -> None:
    leads = make_leads(old_status, 100)
    ids = [close_id("lead", lead.pk) for lead in leads]
    ids += [close_id("lead", uuid4()) for _ in range(100_000 - len(ids))]
    action = done(api, EDIT, {"lead_ids": ids, **edit})
    assert targets(action) == [lead.pk for lead in leads]
    answer = api.post(EDIT, {"lead_ids": [*ids, ids[0]], **edit})
    assert answer.status_code == 400
    assert answer.json()["field-errors"] == {"lead_ids": "List is too long: at most 100000 ids."}


def test_ids_are_sorted_and_limited_like_a_query(api: APIClient, old_status: LeadStatus, edit: Json) -> None:
    leads = make_leads(old_status, 4)  # Lead 0 to Lead 3
    ids = [close_id("lead", leads[place].pk) for place in (2, 0, 3, 2)]
    body = {"lead_ids": ids, "sort": sort_by("lead", "name", "desc"), "results_limit": 2, **edit}
    assert targets(done(api, EDIT, body)) == [leads[3].pk, leads[2].pk]
    assert targets(done(api, EDIT, {"lead_ids": ids, **edit})) == [leads[place].pk for place in (0, 2, 3)]


# --- one-line queries -------------------------------------------------------------------------------------------------
def test_a_job_shows_its_text_and_what_it_means(api: APIClient, old_status: LeadStatus, edit: Json) -> None:
    leads = make_leads(old_status, 12)
    text = '(name:"lead 3" or name=“lead” or "lead 5" or lead_status:nowhere) sort:-name slice:1/2'
    assert "Position" in refused(api, EDIT, {"query": text, **edit})["query"]
    text = f'("lead 3" or name:"lead 5" or name="LEAD 7") lead_status:"{old_status.label}" sort:-name'
    action = done(api, EDIT, {"query": text, "results_limit": 2, **edit})
    assert targets(action) == [leads[7].pk, leads[5].pk]
    shown = api.get(f"{EDIT}{action.api_id}/").json()
    assert shown["query"] == text
    assert shown["sort"] == sort_by("lead", "name", "desc")
    assert shown["s_query"]["queries"][0] == of_type("lead")
    again = {key: shown[key] for key in ("s_query", "sort", "results_limit")}
    Lead.objects.update(status=old_status)
    assert targets(done(api, EDIT, {**again, **edit})) == targets(action)


def test_slices_are_parts_of_what_the_rest_finds(api: APIClient, old_status: LeadStatus, edit: Json) -> None:
    leads = make_leads(old_status, 40)
    parts = [targets(done(api, EDIT, {"query": f"lead sort:name slice:{part}/4", **edit})) for part in range(4)]
    assert sorted(key for part in parts for key in part) == [lead.pk for lead in leads]
    assert all(parts)
    limited = {"query": "lead slice:0/4 sort:name", "results_limit": 2, **edit}
    assert targets(done(api, EDIT, limited)) == parts[0][:2]


# --- Smart Views ------------------------------------------------------------------------------------------------------
def test_a_smart_view_as_a_target(api: APIClient, old_status: LeadStatus, edit: Json) -> None:
    leads = make_leads(old_status, 4)
    wrapped = {"query": {"queries": [of_type("lead"), named("lead")]}, "results_limit": 1,
               "sort": sort_by("lead", "name", "desc")}  # fmt: skip
    view = api.post(VIEWS, {"name": "V", "s_query": wrapped}).json()
    node = {"type": "saved_search", "saved_search_id": view["id"]}
    assert done(api, EDIT, {"s_query": node, **edit}).n_leads == 4  # its limit and sort do not count
    assert targets(done(api, EDIT, {"s_query": view["s_query"], **edit})) == [leads[3].pk]  # sent as such they do
    text = api.post(VIEWS, {"name": "T", "query": 'name:"lead 2" or "lead 1"'}).json()
    node = {"type": "saved_search", "saved_search_id": text["id"]}
    assert targets(done(api, DELETE, {"s_query": node})) == [leads[1].pk, leads[2].pk]


def test_the_current_user_of_a_view_is_who_orders_the_job(
    api: APIClient, membership: Membership, old_status: LeadStatus, edit: Json
) -> None:
    mine, yours = make_leads(old_status, 2)
    colleague = factories.MembershipFactory.create(organization=membership.organization)
    Lead.objects.filter(pk=mine.pk).update(created_by=membership.user)
    Lead.objects.filter(pk=yours.pk).update(created_by=colleague.user)
    view = api.post(VIEWS, {"name": "Mine", "query": "created_by:me", "is_shared": True}).json()
    assert view["is_user_dependent"] is True
    body = {"s_query": {"type": "saved_search", "saved_search_id": view["id"]}, **edit}
    assert targets(done(api, EDIT, body)) == [mine.pk]
    theirs = client_with(make_api_key(membership=colleague)[1])
    assert targets(done(theirs, EDIT, body)) == [yours.pk]


def test_a_view_that_one_may_not_see_is_no_target(
    api: APIClient, membership: Membership, old_status: LeadStatus
) -> None:
    colleague = factories.MembershipFactory.create(organization=membership.organization)
    theirs = client_with(make_api_key(membership=colleague)[1])
    view = theirs.post(VIEWS, {"name": "Private", "query": "*"}).json()
    for key in (view["id"], close_id("save", uuid4()), "save_x", "lead_x"):
        told = refused(api, DELETE, {"s_query": {"type": "saved_search", "saved_search_id": key}})
        assert told == {"s_query.saved_search_id": "Object does not exist."}


# --- keys -------------------------------------------------------------------------------------------------------------
KNOWN = {
    "results_limit": 5, "sort": [], "send_done_email": False, "query": None, "lead_ids": None,
    "bulk_object_type": "lead", "template_id": "tmpl_x", "contact_preference": "lead", "sender": "a@b.example",
    "email_account_id": "emailacct_x", "custom_field_id": None, "custom_field_name": None, "custom_field_value": None,
    "custom_field_values": None, "custom_field_operation": None, "action_type": "subscribe", "sequence_id": "seq_x",
    "sender_account_id": "emailacct_x", "sender_name": "A", "sender_email": "a@b.example", "calls_assigned_to": [],
    "from_phone_number_id": None, "_fields": ["id"], "limit": None, "_limit": 100, "include_counts": True,
}  # fmt: skip


@pytest.mark.parametrize("path", [EDIT, DELETE])
def test_keys_of_any_kind_are_known(api: APIClient, old_status: LeadStatus, edit: Json, path: str) -> None:
    make_leads(old_status, 7)
    assert done(api, path, {"s_query": ALL, **KNOWN, **edit}).n_leads == 5


def test_a_slip_in_a_key_is_answered_with_the_nearest_one(api: APIClient, edit: Json) -> None:
    for path in (EDIT, DELETE):
        for key in (*KNOWN, "s_query", "type", "lead_status_id"):
            told = refused(api, path, {"s_query": ALL, **edit, f"{key}x": KNOWN.get(key)})
            assert told[f"{key}x"] == f"Unknown key. Did you mean {key}?"


def test_a_search_ignores_what_the_web_client_sends_along(api: APIClient, old_status: LeadStatus) -> None:
    lead = make_leads(old_status, 1)[0]
    Contact.objects.create(organization=lead.organization, lead=lead)
    more = {"limit": None, "skip": 3, "object_type": "contact", "template_id": "tmpl_x", "no_such_key": {"a": [1]}}
    answer = api.post("/api/v1/data/search/", {"query": ALL, **more})
    assert [row["id"] for row in answer.json()["data"]] == [close_id("lead", lead.pk)]
