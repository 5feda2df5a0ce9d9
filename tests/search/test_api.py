"""POST /api/v1/data/search/."""

import time
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from django.db import connection
from pytest_django import Settings
from rest_framework.test import APIClient

from crm.auth import make_api_key
from crm.ids import close_id
from crm.models import Lead, Organization
from tests.conftest import client_with
from tests.factories import (
    ContactFactory,
    CustomFieldFactory,
    LeadFactory,
    LeadStatusFactory,
    MembershipFactory,
)
from tests.search.helpers import EXISTS, MATCH_ALL, all_of, custom, no, of_type, regular, text, where

URL = "/api/v1/data/search/"
BY_NAME = [{"direction": "asc", "field": regular("lead", "name")}]


def search(api: APIClient, query: object = MATCH_ALL, **body: object) -> dict[str, object]:
    answer = api.post(URL, {"query": query, **body})
    assert answer.status_code == 200, answer.json()
    return answer.json()


def refused(api: APIClient, body: object) -> dict[str, object]:
    answer = api.post(URL, body)
    assert answer.status_code == 400, answer.json()
    assert set(answer.json()) >= {"errors", "field-errors"}
    assert answer.json()["errors"] or answer.json()["field-errors"]
    return answer.json()["field-errors"]


def walk(api: APIClient, **body: object) -> list[str]:
    seen, cursor = [], None
    while True:
        page = search(api, **body, cursor=cursor)
        seen += [row["id"] for row in page["data"]]
        cursor = page["cursor"]
        if cursor is None:
            return seen


def make_leads(organization: Organization, *names: str | None) -> list[Lead]:
    status = LeadStatusFactory.create(organization=organization)
    return [LeadFactory.create(organization=organization, status=status, name=name) for name in names]


def test_rows_hold_type_and_id_and_what_fields_asks_for(api: APIClient, organization: Organization) -> None:
    [lead] = make_leads(organization, "Oakvale")
    field = CustomFieldFactory.create(organization=organization)
    Lead.objects.filter(pk=lead.pk).update(custom={field.key: "x"})
    contact = ContactFactory.create(lead=lead, title="Founder")
    lead_id, key = close_id("lead", lead.pk), f"custom.cf_{field.key}"

    assert search(api) == {"data": [{"__object_type": "lead", "id": lead_id}], "cursor": None}
    page = search(api, _fields={"lead": ["name", key], "contact": ["title"]}, limit=None, nonsense=1)
    assert page["data"] == [{"__object_type": "lead", "id": lead_id, "name": "Oakvale", key: "x"}]
    page = search(api, of_type("contact"), _fields={"contact": ["title"], "opportunity": ["value"]})
    assert page["data"] == [{"__object_type": "contact", "id": close_id("cont", contact.pk), "title": "Founder"}]


def test_counts(api: APIClient, organization: Organization) -> None:
    make_leads(organization, *"abcde")
    assert search(api, include_counts=True)["count"] == {"total": 5, "limited": 5}
    page = search(api, include_counts=True, results_limit=2)
    assert (len(page["data"]), page["cursor"], page["count"]) == (2, None, {"total": 5, "limited": 2})
    page = search(api, include_counts=True, results_limit=0)
    assert (page["data"], page["cursor"], page["count"]) == ([], None, {"total": 5, "limited": 0})
    assert search(api, include_counts=True, _limit=0)["data"] == []
    assert "count" not in search(api)


def test_sort_puts_absent_values_last_both_ways(api: APIClient, organization: Organization) -> None:
    a, none, b, empty = (close_id("lead", lead.pk) for lead in make_leads(organization, "b", None, "A", ""))
    assert walk(api, sort=BY_NAME, _limit=1) == [b, a, none, empty]
    down = [{"direction": "desc", "field": regular("lead", "name")}]
    assert walk(api, sort=down, _limit=1) == [a, b, none, empty]


@pytest.mark.parametrize("size", [1, 3, 5])
def test_a_walk_has_neither_gap_nor_repeat(
    api: APIClient, organization: Organization, settings: Settings, size: int
) -> None:
    settings.API_REQUESTS_PER_SECOND = 100_000  # a quick machine makes more than 100
    number = CustomFieldFactory.create(organization=organization, type="number")
    moment = CustomFieldFactory.create(organization=organization, type="datetime")
    leads = make_leads(organization, *(["x", "y", None] * 4))
    for place, lead in enumerate(leads):
        values = {number.key: place // 4 / 2, moment.key: f"2031-03-{10 + place // 3}T00:00:00.000000+00:00"}
        Lead.objects.filter(pk=lead.pk).update(
            custom={key: value for key, value in values.items() if place % 5},
            date_created=datetime(2031, 3, 1 + place % 2, tzinfo=UTC),
        )
    fields = [
        regular("lead", "name"),
        regular("lead", "date_created"),
        regular("lead", "addresses_count"),
        custom(number),
        custom(moment),
    ]
    everything = sorted(close_id("lead", lead.pk) for lead in leads)
    for first, second in pairwise([*fields, fields[0]]):
        for direction in ("asc", "desc"):
            sort = [{"direction": direction, "field": first}, {"direction": "desc", "field": second}]
            whole = [row["id"] for row in search(api, sort=sort, _limit=200)["data"]]
            assert walk(api, sort=sort, _limit=size) == whole
            assert sorted(whole) == everything


def test_a_walk_survives_writes_between_its_pages(api: APIClient, organization: Organization) -> None:
    leads = make_leads(organization, *"acegi")
    first = search(api, sort=BY_NAME, _limit=2)
    Lead.objects.filter(pk=leads[1].pk).update(deleted_at=datetime(2031, 1, 1, tzinfo=UTC))  # the row of the cursor
    make_leads(organization, "b", "z")
    rest = search(api, sort=BY_NAME, _limit=200, cursor=first["cursor"], _fields={"lead": ["name"]})
    assert [row["name"] for row in rest["data"]] == ["e", "g", "i", "z"]


def test_a_walk_ends_at_results_limit_and_at_the_walk_limit(
    api: APIClient, organization: Organization, settings: Settings
) -> None:
    make_leads(organization, *"abcdefg")
    assert len(walk(api, _limit=2, results_limit=5)) == 5
    settings.SEARCH_WALK_LIMIT = 3
    assert len(walk(api, _limit=2)) == 3


def test_a_cursor_belongs_to_one_search_of_one_caller(
    api: APIClient, organization: Organization, settings: Settings
) -> None:
    make_leads(organization, *"abc")
    cursor = search(api, _limit=1)["cursor"]
    stranger = client_with(make_api_key(membership=MembershipFactory.create())[1])
    for client, body in [
        (api, {"query": no(MATCH_ALL), "cursor": cursor}),
        (api, {"query": MATCH_ALL, "cursor": cursor, "sort": BY_NAME}),
        (api, {"query": MATCH_ALL, "cursor": cursor, "results_limit": 2}),
        (api, {"query": MATCH_ALL, "cursor": cursor + "x"}),
        (api, {"query": MATCH_ALL, "cursor": "made-up"}),
        (api, {"query": MATCH_ALL, "cursor": 5}),
        (stranger, {"query": MATCH_ALL, "cursor": cursor}),
    ]:
        assert set(refused(client, body)) == {"cursor"}
    settings.SEARCH_CURSOR_SECONDS = -1
    assert refused(api, {"query": MATCH_ALL, "cursor": cursor}) == {"cursor": "Expired cursor"}


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ({"_limit": 201}, "_limit"),
        ({"_limit": -1}, "_limit"),
        ({"_limit": "10"}, "_limit"),
        ({"_limit": True}, "_limit"),
        ({"results_limit": -1}, "results_limit"),
        ({"results_limit": 1.5}, "results_limit"),
        ({"results_limit": 10**30}, "results_limit"),
        ({"include_counts": "yes"}, "include_counts"),
        ({"_fields": ["name"]}, "_fields"),
        ({"_fields": {"lead": ["nonsense"]}}, "_fields"),
        ({"_fields": {"lead": "name"}, "_limit": 500}, "_limit"),
        ({"_fields": {"lead": [1]}}, "_fields"),
        ({"_fields": {"contact": ["status_id"]}}, "_fields"),
        ({"_fields": {"lead": ["custom.cf_nonsense"]}}, "_fields"),
        ({"_fields": {"planet": ["name"]}}, "_fields"),
        ({"sort": {}}, "sort"),
        ({"sort": BY_NAME * 4}, "sort"),
        ({"sort": [{"direction": "up", "field": regular("lead", "name")}]}, "sort[0].direction"),
        ({"sort": [{"field": regular("lead", "name")}]}, "sort[0].direction"),
        ({"sort": [{"direction": "asc", "field": regular("lead", "status_id")}]}, "sort[0].field"),
        ({"sort": [{"direction": "asc", "field": regular("contact", "name")}]}, "sort[0].field.object_type"),
        ({"query": None}, "query"),
        ({"query": {"type": "or", "queries": [{"type": "?"}]}}, "query.queries[0].type"),
    ],
)
def test_a_bad_body_is_refused_at_its_place(api: APIClient, more: dict[str, object], place: str) -> None:
    assert place in refused(api, {"query": MATCH_ALL, **more})


def test_the_query_is_required(api: APIClient) -> None:
    assert refused(api, {}) == {"query": "This field is required."}


def test_a_wrapped_query_brings_its_sort_and_limit(api: APIClient, organization: Organization) -> None:
    make_leads(organization, *"bca")
    wrapped = {"query": MATCH_ALL, "sort": BY_NAME, "results_limit": 2}
    rows = search(api, wrapped, _fields={"lead": ["name"]})["data"]
    assert [row["name"] for row in rows] == ["a", "b"]
    assert refused(api, {"query": wrapped, "results_limit": 3}) == {
        "query.results_limit": "This contradicts the `results_limit` beside the query."
    }


def test_the_callers_zone_decides_what_a_day_is(api: APIClient, organization: Organization) -> None:
    [lead] = make_leads(organization, "x")
    Lead.objects.filter(pk=lead.pk).update(date_created=datetime(2031, 3, 16, 2, tzinfo=UTC))
    days = {which: {"type": "fixed_local_date", "value": "2031-03-15", "which": which} for which in ("start", "end")}
    query = where(
        regular("lead", "date_created"),
        {"type": "moment_range", "on_or_after": days["start"], "before": days["end"]},
    )
    assert search(api, query)["data"] == []
    api.credentials(**api._credentials, HTTP_X_TZ_OFFSET="-4")
    assert len(search(api, query)["data"]) == 1


def test_others_objects_and_deleted_ones_are_never_found(api: APIClient, organization: Organization) -> None:
    foreign = ContactFactory.create()
    gone = ContactFactory.create(lead__organization=organization)
    Lead.objects.filter(pk=gone.lead_id).update(deleted_at=datetime(2031, 1, 1, tzinfo=UTC))
    for object_type, prefix, keys in [
        ("lead", "lead", [foreign.lead_id, gone.lead_id]),
        ("contact", "cont", [foreign.pk, gone.pk]),
    ]:
        for key in keys:
            one = {"type": "id", "value": close_id(prefix, key)}
            assert search(api, all_of(of_type(object_type), one))["data"] == []
        assert search(api, of_type(object_type))["data"] == []
    theirs = CustomFieldFactory.create()
    assert "query.field.custom_field_id" in refused(api, {"query": where(custom(theirs), EXISTS)})


def test_a_search_that_takes_too_long_is_stopped_in_the_database(
    api: APIClient, organization: Organization, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_leads(organization, "x")
    settings.SEARCH_STATEMENT_TIMEOUT_SECONDS = 1
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE OR REPLACE FUNCTION drover_words(value text) RETURNS text[] LANGUAGE sql"
            " RETURN (SELECT ARRAY[value] FROM pg_sleep(20))"
        )
    began = time.monotonic()
    answer = api.post(URL, {"query": text("x")})
    assert answer.status_code == 400
    assert answer.json()["errors"] == ["The search took longer than 1 s and was stopped. Make it narrower."]
    assert time.monotonic() - began < 5
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone()[0] == "0"


def test_without_a_key_nothing_is_found(db: None) -> None:
    assert APIClient().post(URL, {"query": MATCH_ALL}, format="json").status_code == 401
