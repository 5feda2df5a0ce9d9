"""`/bulk_action/…`: what Close's documentation shows, and what it leaves to us (docs/api-compatibility.md)."""

import time
from typing import Any

import pytest
from rest_framework.test import APIClient

from bulk_actions.api.orders import MAX_UNKNOWN_KEYS
from bulk_actions.models import BulkAction
from crm.auth import make_api_key
from crm.ids import close_id
from crm.models import CustomField, Lead, LeadStatus, LeadStatusChange, Membership, Organization
from tests import factories
from tests.bulk_actions.helpers import check_invariant, make_leads, run_to_end
from tests.conftest import client_with
from tests.contract import check

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_doorbells")]

EDIT, DELETE = "/api/v1/bulk_action/edit/", "/api/v1/bulk_action/delete/"
ALL = {"type": "match_all"}


@pytest.fixture
def field(organization: Organization) -> CustomField:
    return factories.CustomFieldFactory.create(
        organization=organization, name="Origin", type="choices", accepts_multiple_values=True,
        choices=["Spring fair", "Referral"],
    )  # fmt: skip


def post(api: APIClient, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = api.post(path, body, format="json")
    assert answer.status_code == 200, answer.content
    check(path.removeprefix("/api/v1"), "post", 200, answer.json())
    return answer.json()


def refused(api: APIClient, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = api.post(path, body, format="json")
    assert answer.status_code == 400, answer.content
    assert set(answer.json()) == {"errors", "field-errors"}
    assert not BulkAction.objects.exists()
    return answer.json()["field-errors"]


def action_of(answer: dict[str, Any]) -> BulkAction:
    return BulkAction.objects.latest("pk")


def test_a_delete_by_name_with_sort_and_limit_deletes_exactly_the_first(api: APIClient, old_status: LeadStatus) -> None:
    make_leads(old_status, 3)
    named = [
        factories.LeadFactory.create(status=old_status, organization=old_status.organization, name=f"Oakvale Mill {n}")
        for n in range(4)
    ]
    for days, lead in enumerate(named):
        Lead.objects.filter(pk=lead.pk).update(date_created=f"2031-01-0{4 - days}T00:00:00Z")
    made = post(api, DELETE, {
        "s_query": {"type": "and", "queries": [
            {"type": "object_type", "object_type": "lead"},
            {"type": "field_condition", "field": {"type": "regular_field", "object_type": "lead", "field_name": "name"},
             "condition": {"type": "text", "mode": "full_words", "value": "oakvale mill"}}]},
        "sort": [{"direction": "asc", "field": {
            "type": "regular_field", "object_type": "lead", "field_name": "date_created"}}],
        "results_limit": 3,
    })  # fmt: skip
    assert made["status"] == "created"
    assert (made["n_leads"], made["n_leads_processed"], made["query"]) == (None, 0, None)
    assert made["bulk_object_type"] == "lead"
    action = run_to_end(action_of(made))
    assert action.n_succeeded == 3
    assert set(Lead.objects.filter(name__startswith="Oakvale").values_list("pk", flat=True)) == {named[0].pk}
    fetched = api.get(f"{DELETE}{made['id']}/").json()
    check("/bulk_action/delete/{id}/", "get", 200, fetched)
    assert (fetched["status"], fetched["n_leads_processed"], fetched["n_succeeded"]) == ("done", 3, 3)


def test_a_delete_by_a_one_line_query(api: APIClient, old_status: LeadStatus) -> None:
    named = [
        factories.LeadFactory.create(status=old_status, organization=old_status.organization, name=f"Oakvale {n}")
        for n in range(4)
    ]
    kept = make_leads(old_status, 2)
    text = f'name:oakvale status:"{old_status.label}" sort:-name'
    made = post(api, DELETE, {"query": text, "results_limit": 3})
    assert made["query"] == text
    assert made["s_query"]["queries"][:2] == [
        {"type": "object_type", "object_type": "lead"},
        {"type": "field_condition", "field": {"type": "regular_field", "object_type": "lead", "field_name": "name"},
         "condition": {"type": "text", "mode": "full_words", "value": "oakvale"}},
    ]  # fmt: skip
    assert made["sort"][0]["direction"] == "desc"
    assert run_to_end(action_of(made)).n_succeeded == 3
    assert set(Lead.objects.values_list("pk", flat=True)) == {named[0].pk, *(lead.pk for lead in kept)}


def test_slices_of_a_one_line_query_are_each_lead_once(
    api: APIClient, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    make_leads(old_status, 50)
    edit = {"type": "set_lead_status", "lead_status_id": close_id("stat", new_status.pk)}
    sizes = []
    for part in (1, 2, 3):
        action = run_to_end(action_of(post(api, EDIT, {"query": f"* slice:{part}/3", **edit})))
        sizes.append((action.n_leads, action.n_succeeded))
    assert sum(n_leads for n_leads, _ in sizes) == sum(n_changed for _, n_changed in sizes) == 50
    assert all(n_leads for n_leads, _ in sizes)


def test_an_edit_of_the_status(api: APIClient, old_status: LeadStatus, new_status: LeadStatus) -> None:
    leads = make_leads(old_status, 3)
    made = post(
        api, EDIT, {"s_query": ALL, "type": "set_lead_status", "lead_status_id": close_id("stat", new_status.pk)}
    )
    assert (made["type"], made["lead_status_id"]) == ("set_lead_status", close_id("stat", new_status.pk))
    run_to_end(action_of(made))
    assert Lead.objects.filter(status=new_status).count() == 3
    listed = api.get(f"/api/v1/activity/status_change/lead/?lead_id={close_id('lead', leads[0].pk)}").json()["data"]
    assert [change["new_status_id"] for change in listed] == [made["lead_status_id"]]


@pytest.mark.parametrize("by", ["custom_field_id", "custom_field_name"])
def test_edits_of_a_custom_field_by_id_or_by_name(
    api: APIClient, old_status: LeadStatus, field: CustomField, by: str
) -> None:
    [lead] = make_leads(old_status, 1)
    name = {by: close_id("cf", field.pk) if by == "custom_field_id" else "Origin"}
    steps = [
        ({"custom_field_values": ["Referral"]}, ["Referral"]),
        ({"custom_field_values": ["Spring fair"], "custom_field_operation": "add"}, ["Referral", "Spring fair"]),
        ({"custom_field_value": "Referral", "custom_field_operation": "remove"}, ["Spring fair"]),
    ]
    for body, becomes in steps:
        made = post(api, EDIT, {"s_query": ALL, "type": "set_custom_field", **name, **body})
        assert made["custom_field_name"] == "Origin"
        run_to_end(action_of(made))
        assert Lead.objects.get(pk=lead.pk).custom == {field.key: becomes}
    run_to_end(action_of(post(api, EDIT, {"s_query": ALL, "type": "clear_custom_field", **name})))
    assert Lead.objects.get(pk=lead.pk).custom == {}


@pytest.mark.parametrize(
    "body",
    [
        {"s_query": {"query": ALL, "results_limit": 2, "sort": []}},
        {"s_query": {"queries": [ALL]}, "results_limit": 2},
        {"s_query": ALL, "results_limit": 2},
    ],
)
def test_a_query_may_be_bare_wrapped_or_without_its_outer_type(
    api: APIClient, old_status: LeadStatus, body: dict[str, Any]
) -> None:
    make_leads(old_status, 5)
    made = post(api, DELETE, body)
    assert made["s_query"] == body["s_query"]
    assert run_to_end(action_of(made)).n_succeeded == 2


def test_a_limit_of_zero_means_no_lead(api: APIClient, old_status: LeadStatus) -> None:
    make_leads(old_status, 2)
    action = run_to_end(action_of(post(api, DELETE, {"s_query": ALL, "results_limit": 0})))
    assert (action.status, action.n_leads) == ("done", 0)


def test_a_list_of_ids_instead_of_a_query(api: APIClient, old_status: LeadStatus, membership: Membership) -> None:
    leads = make_leads(old_status, 4)
    foreign = factories.LeadFactory.create()
    ids = [close_id("lead", lead.pk) for lead in [*leads[:2], leads[0], foreign]]
    action = run_to_end(action_of(post(api, DELETE, {"lead_ids": ids})))
    assert action.n_succeeded == 2
    assert Lead.objects.filter(pk=foreign.pk).exists()


WORDS = {
    "type": "field_condition",
    "field": {"type": "regular_field", "object_type": "lead", "field_name": "name"},
    "condition": {"type": "text", "mode": "full_words", "value": "--"},
}


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, "s_query"),
        ({"s_query": None}, "s_query"),
        ({"s_query": {"type": "or", "queries": []}}, "s_query.queries"),
        ({"s_query": {"type": "or", "queries": [], "negate": True}}, "s_query.queries"),
        ({"s_query": {"type": "and", "queries": [WORDS]}}, "s_query.queries[0].condition.value"),
        ({"s_query": {**WORDS, "negate": True}}, "s_query.condition.value"),
        ({"s_query": {"type": "sometimes"}}, "s_query.type"),
        ({"s_query": {"type": "object_type", "object_type": "contact"}}, "s_query"),
        ({"s_query": {"type": "object_type", "object_type": "opportunity"}}, "s_query"),
        ({"s_query": ALL, "results_limit": -1}, "results_limit"),
        ({"s_query": ALL, "results_limit": "many"}, "results_limit"),
        ({"s_query": ALL, "send_done_email": "yes"}, "send_done_email"),
        ({"s_query": ALL, "leads_per_minute": 0}, "leads_per_minute"),
        ({"s_query": ALL, "leads_per_minute": True}, "leads_per_minute"),
        ({"s_query": ALL, "bulk_object_type": "contact"}, "bulk_object_type"),
        ({"s_query": ALL, "bulk_object_type": "cloud"}, "bulk_object_type"),
        ({"s_query": ALL, "lead_ids": ["lead_x"]}, "lead_ids"),
        ({"lead_ids": []}, "lead_ids"),
        ({"lead_ids": ["cont_x"]}, "lead_ids[0]"),
        ({"query": "naem:oakvale"}, "query"),
        ({"query": ""}, "query"),
        ({"query": 5}, "query"),
        ({"query": "sort:name"}, "query"),
        ({"query": "name:%"}, "query.queries[1].condition.value"),
        ({"query": "id:lead_x"}, "query.queries[1].value"),
        ({"query": "not lead_id:oakvale"}, "query.queries[1].value"),
        ({"query": "*", "s_query": ALL}, "query"),
        ({"query": "*", "lead_ids": ["lead_x"]}, "lead_ids"),
        ({"query": "* sort:name", "sort": [{"direction": "asc", "field": {}}]}, "sort"),
        ({"s_query": ALL, "result_limit": 5}, "result_limit"),
    ],
)
def test_a_delete_that_is_not_clear_is_refused_with_the_place(api: APIClient, body: dict[str, Any], where: str) -> None:
    assert where in refused(api, DELETE, body)


def test_an_unknown_key_is_answered_with_the_nearest_known_one(api: APIClient) -> None:
    assert refused(api, DELETE, {"s_query": ALL, "result_limit": 5}) == {
        "result_limit": "Unknown key. Did you mean results_limit?"
    }


def test_of_many_unknown_keys_the_first_are_told_in_little_time(api: APIClient) -> None:
    body = {"s_query": ALL, "x" * 10_000: 5, **{f"result_limit{place}": 5 for place in range(40_000)}}
    began = time.process_time()
    told = refused(api, DELETE, body)
    assert time.process_time() - began < 2
    assert list(told) == ["x" * 100, *(f"result_limit{place}" for place in range(MAX_UNKNOWN_KEYS - 1))]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, "type"),
        ({"type": "set_fire"}, "type"),
        ({"type": "set_contact_custom_field"}, "type"),
        ({"type": "set_lead_status"}, "lead_status_id"),
        ({"type": "set_lead_status", "lead_status_id": "stat_unknown"}, "lead_status_id"),
        ({"type": "set_lead_status", "lead_status_id": 7}, "lead_status_id"),
        ({"type": "set_custom_field", "custom_field_value": "Referral"}, "custom_field_id"),
        ({"type": "clear_custom_field", "custom_field_id": "ID", "custom_field_name": "Origin"}, "custom_field_id"),
        ({"type": "clear_custom_field", "custom_field_id": "cf_unknown"}, "custom_field_id"),
        ({"type": "clear_custom_field", "custom_field_name": "origin"}, "custom_field_name"),
        ({"type": "set_custom_field", "custom_field_id": "ID"}, "custom_field_value"),
        ({"type": "set_custom_field", "custom_field_id": "ID", "custom_field_value": "Moon"}, "custom_field_value"),
        ({"type": "set_custom_field", "custom_field_id": "ID", "custom_field_values": [5]}, "custom_field_values"),
        (
            {"type": "set_custom_field", "custom_field_name": "Single", "custom_field_value": "x",
             "custom_field_operation": "add"},
            "custom_field_operation",
        ),
        (
            {"type": "set_custom_field", "custom_field_id": "ID", "custom_field_value": "Referral",
             "custom_field_operation": "mix"},
            "custom_field_operation",
        ),
    ],
)  # fmt: skip
def test_an_edit_with_wrong_parameters_is_refused_with_the_field(
    api: APIClient, field: CustomField, body: dict[str, Any], where: str
) -> None:
    factories.CustomFieldFactory.create(organization=field.organization, name="Single", type="text")
    body = {key: close_id("cf", field.pk) if value == "ID" else value for key, value in body.items()}
    assert where in refused(api, EDIT, {"s_query": ALL, **body})


def test_a_status_of_another_organization_is_unknown(api: APIClient) -> None:
    foreign = factories.LeadStatusFactory.create()
    body = {"s_query": ALL, "type": "set_lead_status", "lead_status_id": close_id("stat", foreign.pk)}
    assert refused(api, EDIT, body) == {"lead_status_id": "Object does not exist."}


def test_pause_and_resume_by_put(api: APIClient, old_status: LeadStatus, new_status: LeadStatus) -> None:
    make_leads(old_status, 50)
    body = {"s_query": ALL, "type": "set_lead_status", "lead_status_id": close_id("stat", new_status.pk)}
    made = post(api, EDIT, {**body, "leads_per_minute": 600})
    from bulk_actions.runner import run_slice

    action = action_of(made)
    run_slice(action.pk)
    paused = api.put(f"{EDIT}{made['id']}/", {"status": "paused"}, format="json")
    assert paused.status_code == 200
    assert paused.json()["status"] == "paused"
    assert paused.json()["n_leads_processed"] == LeadStatusChange.objects.count()
    again = api.put(f"{EDIT}{made['id']}/", {"status": "paused"}, format="json")
    assert (again.status_code, again.json()["status"]) == (200, "paused")  # a client may try again
    resumed = api.put(f"{EDIT}{made['id']}", {"status": "resuming"}, format="json")
    assert resumed.json()["status"] == "resuming"
    for word in ("done", "", None, 5, ["paused"]):
        wrong = api.put(f"{EDIT}{made['id']}/", {"status": word}, format="json")
        assert wrong.status_code == 400
        assert "resuming" in wrong.json()["field-errors"]["status"]
    assert api.put(f"{EDIT}{made['id']}/", {}, format="json").status_code == 400
    BulkAction.objects.update(leads_per_minute=None)
    assert run_to_end(action).n_succeeded == 50


def test_cancel_ends_the_job_and_a_finished_one_cannot_be_cancelled(api: APIClient, old_status: LeadStatus) -> None:
    make_leads(old_status, 5)
    made = post(api, DELETE, {"s_query": ALL})
    answer = api.post(f"{DELETE}{made['id']}/cancel/").json()
    assert (answer["status"], answer["error_code"]) == ("error", "cancelled")
    assert "Cancelled by" in answer["error_message"]
    assert api.post(f"{DELETE}{made['id']}/cancel/").status_code == 400
    assert Lead.objects.count() == 5
    check_invariant(action_of(made))


def test_the_list_is_newest_first_paged_and_filtered(api: APIClient, user: object) -> None:
    ids = [post(api, DELETE, {"s_query": ALL, "results_limit": n})["id"] for n in range(3)]
    listed = api.get(DELETE).json()
    check("/bulk_action/delete/", "get", 200, listed)
    assert [row["id"] for row in listed["data"]] == ids[::-1]
    assert api.get(f"{DELETE}?_limit=1&_skip=1&_fields=id").json() == {"data": [{"id": ids[1]}], "has_more": True}
    api.post(f"{DELETE}{ids[0]}/cancel/")
    for query, found in [
        ("status=error", ids[:1]),
        ("status__in=error,created", ids[::-1]),
        (f"created_by={close_id('user', user.pk)}", ids[::-1]),
        ("created_by=user_unknown", []),
        ("date_created__gte=2040-01-01T00:00:00Z", []),
        ("date_created__lte=2040-01-01T00:00:00Z", ids[::-1]),
        ("colour=blue", ids[::-1]),
    ]:
        assert [row["id"] for row in api.get(f"{DELETE}?{query}").json()["data"]] == found, query
    for query in ("status=running", "status__in=done,running", "date_created__gte=yesterday"):
        assert query.partition("=")[0] in api.get(f"{DELETE}?{query}").json()["field-errors"]


def test_waiting_jobs_say_how_many_come_first(api: APIClient, organization: Organization) -> None:
    ids = [post(api, DELETE, {"s_query": ALL})["id"] for _ in range(7)]
    others = factories.MembershipFactory.create()
    foreign = post(client_with(make_api_key(membership=others)[1]), DELETE, {"s_query": ALL})
    assert foreign["queue_position"] == 1
    words = ["processing", "created", "paused", "resuming", "done", "created", "error"]
    for action, word in zip(BulkAction.objects.filter(organization=organization).order_by("pk"), words, strict=True):
        BulkAction.objects.filter(pk=action.pk).update(status=word)
    places = [None, 1, None, 2, None, 3, None]
    assert [row["queue_position"] for row in api.get(DELETE).json()["data"]] == places[::-1]
    assert [api.get(f"{DELETE}{id}/").json()["queue_position"] for id in ids] == places
    assert api.get(f"{DELETE}?_limit=1&_skip=1").json()["data"][0]["queue_position"] == 3


def test_a_page_of_jobs_costs_a_fixed_number_of_queries(api: APIClient, django_assert_max_num_queries: Any) -> None:
    for _ in range(10):
        post(api, DELETE, {"s_query": ALL})
    with django_assert_max_num_queries(6):
        api.get(DELETE)


def test_without_the_permission_it_is_a_403(organization: Organization, old_status: LeadStatus) -> None:
    member = factories.MembershipFactory.create(organization=organization, role="user")
    api = client_with(make_api_key(membership=member)[1])
    answer = api.post(DELETE, {"s_query": ALL}, format="json")
    assert (answer.status_code, set(answer.json())) == (403, {"error"})
    assert api.get(DELETE).status_code == 200


def test_jobs_of_another_organization_do_not_exist(api: APIClient) -> None:
    made = post(api, DELETE, {"s_query": ALL})
    stranger = client_with(make_api_key(membership=factories.MembershipFactory.create())[1])
    assert stranger.get(DELETE).json()["data"] == []
    for answer in (
        stranger.get(f"{DELETE}{made['id']}/"),
        stranger.put(f"{DELETE}{made['id']}/", {"status": "paused"}, format="json"),
        stranger.post(f"{DELETE}{made['id']}/cancel/"),
        api.get(f"{EDIT}{made['id'].replace('bulkdelete', 'bulkedit')}/"),
        api.get(f"{DELETE}nonsense/"),
    ):
        assert (answer.status_code, set(answer.json())) == (404, {"error"})
    assert action_of(made).status == "created"
