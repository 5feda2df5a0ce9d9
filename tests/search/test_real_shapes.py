"""Real shapes of queries, where the published collection lies beside the project; and results of every type."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from rest_framework.test import APIClient

from crm.auth import Caller
from crm.ids import base62, close_id
from crm.models import Activity, Lead, Organization
from search.errors import InvalidSearch
from search.models import SavedSearch
from tests.factories import ContactFactory, CustomFieldFactory, LeadFactory, OpportunityFactory
from tests.search.helpers import MATCH_ALL, Json, all_of, ids, of_type, regular

SHAPES = Path(__file__).resolve().parents[3] / "shared" / "spec" / "s_query-examples.json"
NOT_YET = ("custom_activity", "sequence_subscription", "custom_object")


def shapes() -> list[Json]:
    return json.loads(SHAPES.read_text()) if SHAPES.exists() else []


def _nodes(value: object) -> Iterator[Json]:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from _nodes(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _nodes(inner)


def at_home(query: Json, caller: Caller) -> Json:
    """The query with custom fields and Smart Views that exist here: a field of the type that its condition fits."""
    made: dict[str, str] = {}
    types: dict[str, str] = {}
    for node in _nodes(query):
        field = node.get("field")
        if isinstance(field, dict) and field.get("type") == "custom_field":
            fitting = {"reference": "user", "moment_range": "datetime", "term": "choices"}
            known = types.get(field["custom_field_id"], "text")
            types[field["custom_field_id"]] = fitting.get(node["condition"]["type"], known)
        if node.get("type") == "saved_search" and node["saved_search_id"] not in made:
            saved = SavedSearch.objects.create(
                organization=caller.organization, user=caller.user, name="V", s_query={"query": MATCH_ALL}
            )
            made[node["saved_search_id"]] = close_id("save", saved.pk)
    for old, kind in types.items():
        made[old] = f"cf_{CustomFieldFactory.create(organization=caller.organization, type=kind).key}"
    written = json.dumps(query)
    for old, new in made.items():
        written = written.replace(old, new)
    return json.loads(written)


@pytest.mark.parametrize("shape", shapes(), ids=lambda shape: shape["name"])
def test_every_real_shape_is_answered(caller: Caller, shape: Json) -> None:
    query = at_home(shape["query"], caller)
    sort = (shape.get("body_extras") or {}).get("sort")
    if any(name in json.dumps(query) for name in NOT_YET):
        with pytest.raises(InvalidSearch) as problem:
            ids(caller, query, sort=sort)
        assert "not supported yet" in str(problem.value.field_errors)
    else:
        ids(caller, query, sort=sort)


def test_each_type_of_result_is_shown(api: APIClient, organization: Organization) -> None:
    lead = LeadFactory.create(organization=organization, name="Oakvale")
    contact = ContactFactory.create(lead=lead)
    deal = OpportunityFactory.create(lead=lead, value=250_000, note="Soon")
    expected = {"lead": lead, "contact": contact, "opportunity": deal}
    for kind in ("call", "email", "meeting", "note", "sms"):
        expected[f"activity.{kind}"] = Activity.objects.create(organization=organization, lead=lead, type=kind)
    deleted = LeadFactory.create(organization=organization, deleted_at="2031-01-01T00:00Z")
    OpportunityFactory.create(lead=deleted)
    Activity.objects.create(organization=organization, lead=deleted, type="call")
    for object_type, record in expected.items():
        body = {
            "query": all_of(of_type(object_type), MATCH_ALL),
            "_fields": {object_type: ["id", "date_created"]},
            "include_counts": True,
            "sort": [{"direction": "asc", "field": regular(object_type, "date_updated")}],
        }
        answer = api.post("/api/v1/data/search/", body)
        assert answer.status_code == 200, answer.json()
        (row,) = answer.json()["data"]
        assert row["__object_type"] == object_type
        assert row["id"].endswith(base62(record.pk))
        assert set(row) == {"__object_type", "id", "date_created"}
        assert answer.json()["count"]["total"] == 1
    body = {"query": of_type("opportunity"), "_fields": {"opportunity": ["lead_name", "value_formatted", "note"]}}
    (row,) = api.post("/api/v1/data/search/", body).json()["data"]
    assert (row["lead_name"], row["value_formatted"], row["note"]) == ("Oakvale", "$2,500", "Soon")


def test_a_walk_over_opportunities_sorted_by_a_plain_date(api: APIClient, organization: Organization) -> None:
    lead = LeadFactory.create(organization=organization)
    days = ["2031-03-01", None, "2031-03-03", "2031-03-02", None]
    for day in days:
        OpportunityFactory.create(lead=lead, date_won=day)
    body: Json = {
        "query": of_type("opportunity"), "_fields": {"opportunity": ["date_won"]}, "_limit": 1,
        "sort": [{"direction": "desc", "field": regular("opportunity", "date_won")}],
    }  # fmt: skip
    found = []
    while True:
        answer = api.post("/api/v1/data/search/", body).json()
        found += [row["date_won"] for row in answer["data"]]
        if answer["cursor"] is None:
            break
        body["cursor"] = answer["cursor"]
    assert found == ["2031-03-03", "2031-03-02", "2031-03-01", None, None]


def test_a_zone_is_known_where_the_address_tells(caller: Caller) -> None:
    places = [{"country": "DE"}, {"country": "us", "state": "ca"}, {"country": "US"}, {}]
    leads: list[Lead] = []
    for place in places:
        leads.append(LeadFactory.create(organization=caller.organization))
        leads[-1].addresses.create(organization=caller.organization, **place)
    field = regular("lead", "timezone_id")
    for zone, expected in [("Europe/Berlin", leads[:1]), ("America/Los_Angeles", leads[1:2])]:
        query = {"type": "field_condition", "field": field, "condition": {"type": "term", "values": [zone]}}
        assert ids(caller, query) == [lead.pk for lead in expected]
    noon = {"type": "local_time", "on_or_after": "10:00:00", "before": "11:00:00"}  # 9:30 in UTC
    assert ids(caller, {"type": "field_condition", "field": field, "condition": noon}) == [leads[0].pk]
