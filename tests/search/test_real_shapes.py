"""Shapes of queries that real clients send, and results of every type."""

import pytest
from rest_framework.test import APIClient

from crm.auth import Caller
from crm.ids import base62
from crm.models import Activity, Lead, Organization
from search.errors import InvalidSearch
from tests.factories import ContactFactory, LeadFactory, OpportunityFactory
from tests.search.helpers import MATCH_ALL, NOW, Json, all_of, ids, of_type, regular, resolved
from tests.search.shapes import ALL_OF_THEM, EXTRAS, NOT_YET, shapes_of
from tests.search.worlds import build, matcher_of

UTC = NOW.tzinfo


def test_every_real_shape_selects_what_it_says_and_omits_the_rest(caller: Caller) -> None:
    """48 shapes, and two that stand for what another says beside something that is not supported yet."""
    world = build(caller, seed=11, leads=60)
    matcher = matcher_of(caller, world, UTC)
    shapes = shapes_of(caller, world)
    assert len(shapes) == 50
    trivial = set()
    for name in shapes.keys() - NOT_YET:
        query, sort = shapes[name], EXTRAS.get(name, {}).get("sort", [])
        things = world.things[resolved(caller, query).object_type]
        found, expected = ids(caller, query, sort=sort), matcher.select(query, things.values())
        assert found == matcher.in_order((things[key] for key in expected), sort), name
        if not 0 < len(found) < len(things):
            trivial.add(name)
    assert trivial == ALL_OF_THEM  # which omit leads that are deleted and those of others


def test_what_a_real_shape_asks_for_and_is_not_supported_yet_says_so(caller: Caller) -> None:
    shapes = shapes_of(caller, build(caller, seed=11, leads=2))
    for name in NOT_YET:
        with pytest.raises(InvalidSearch) as problem:
            ids(caller, shapes[name])
        assert "not supported yet" in str(problem.value.field_errors), name


def test_every_real_shape_is_answered_over_http(api: APIClient, caller: Caller) -> None:
    shapes = shapes_of(caller, build(caller, seed=11, leads=4))
    for name, query in shapes.items():
        answer = api.post("/api/v1/data/search/", {"query": query, **EXTRAS.get(name, {})})
        assert answer.status_code == (400 if name in NOT_YET else 200), answer.json()
        assert ("count" in answer.json()) is bool(EXTRAS.get(name, {}).get("include_counts")), name


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
