"""Strict parsing: what is wrong is a 400 with its exact path, and all of it at once; never a 500."""

import json
from uuid import UUID

import pytest
from pytest_django import Settings
from rest_framework.test import APIClient

from bulk_actions.models import BulkAction
from crm.ids import close_id
from crm.models import LeadStatus
from search.errors import InvalidSearch
from search.grammar import parse
from tests.search.helpers import (
    EXISTS,
    MATCH_ALL,
    Json,
    all_of,
    any_of,
    day,
    instant,
    of_type,
    period,
    regular,
    related,
    shifted,
    term,
    text,
    where,
)

NAME = regular("lead", "name")
CREATED = regular("lead", "date_created")
STATUS = regular("lead", "status_id")
CREATOR = regular("lead", "created_by")
COUNT = regular("lead", "addresses_count")
ZONE = regular("lead", "timezone_id")
A_LEAD = close_id("lead", UUID(int=5))


def moments(**bounds: object) -> Json:
    return where(CREATED, {"type": "moment_range", **bounds})


def reference(kind: str, *keys: object) -> Json:
    return {"type": "reference", "reference_type": kind, "object_ids": list(keys)}


def unsubscribed(condition: Json) -> Json:
    return related("lead", "contact_email", where(regular("contact_email", "is_unsubscribed"), condition))


# Each with the paths of its problems.
MALFORMED: list[tuple[object, str]] = [
    # not a node at all
    (None, "s_query"),
    ([], "s_query"),
    ("lead", "s_query"),
    ({}, "s_query.type"),
    ({"type": 5}, "s_query.type"),
    ({"type": "nand", "queries": []}, "s_query.type"),
    # nodes
    ({"type": "and"}, "s_query.queries"),
    ({"type": "and", "queries": {}}, "s_query.queries"),
    ({"type": "and", "queries": [], "querys": []}, "s_query.querys"),
    (all_of(MATCH_ALL, 5), "s_query.queries[1]"),  # type: ignore[arg-type]
    ({**MATCH_ALL, "negate": 1}, "s_query.negate"),
    ({**MATCH_ALL, "negate": None}, "s_query.negate"),
    ({**MATCH_ALL, "value": 1}, "s_query.value"),
    (of_type("planet"), "s_query.object_type"),
    (of_type("custom_object"), "s_query.object_type"),
    ({"type": "object_type"}, "s_query.object_type"),
    ({"type": "id"}, "s_query.value"),
    ({"type": "id", "value": ["lead_x"]}, "s_query.value"),
    (any_of({"type": "id", "value": 7}), "s_query.queries[0].value"),
    (any_of({"type": "id", "value": A_LEAD, "values": []}), "s_query.queries[0].values"),
    ({"type": "text"}, "s_query.value"),
    ({"type": "text", "value": 5}, "s_query.value"),
    ({"type": "text", "value": "x", "mode": "fuzzy"}, "s_query.mode"),
    ({"type": "text", "value": "x\0y"}, "s_query.value"),
    ({"type": "text", "value": "\ud800"}, "s_query.value"),
    ({"type": "text", "value": "x" * 65_537}, "s_query.value"),
    ({"type": "saved_search"}, "s_query.saved_search_id"),
    ({"type": "saved_search", "saved_search_id": 5}, "s_query.saved_search_id"),
    ({"type": "saved_search", "saved_search_id": "save_x"}, "s_query.saved_search_id"),
    ({"type": "saved_search", "saved_search_id": "save_x", "id": "save_x"}, "s_query.id s_query.saved_search_id"),
    ({"type": "in_status"}, "s_query.status_ids"),
    ({"type": "in_status", "status_ids": "stat_x"}, "s_query.status_ids"),
    ({"type": "in_status", "status_ids": [5]}, "s_query.status_ids[0]"),
    ({"type": "in_status", "status_ids": [], "after": None}, "s_query.after"),
    ({"type": "in_status", "status_ids": [], "before": "now"}, "s_query.before"),
    (related("lead", "contact", {"type": "in_status", "status_ids": []}), "s_query.related_query.type"),
    (of_type(["lead"]), "s_query.object_type"),  # type: ignore[arg-type]
    ({"type": ["and"], "queries": []}, "s_query.type"),
    ({"type": None}, "s_query.type"),
    ({"type": "or", "queries": None}, "s_query.queries"),
    (all_of(None), "s_query.queries[0]"),  # type: ignore[arg-type]
    (any_of([]), "s_query.queries[0]"),  # type: ignore[arg-type]
    (any_of(MATCH_ALL, MATCH_ALL, {"queries": []}), "s_query.queries[2].type"),
    ({**EXISTS}, "s_query.type"),
    ({"type": "id", "value": None}, "s_query.value"),
    (
        {"type": "in_status", "status_ids": [], "on_or_after": {"type": "fixed_utc", "value": 5}},
        "s_query.on_or_after.value",
    ),
    # related objects
    (related("contact", "address", MATCH_ALL), "s_query.this_object_type"),
    (related("lead", "lead", MATCH_ALL), "s_query.related_object_type"),
    (related("lead", "custom_object", MATCH_ALL), "s_query.related_object_type"),
    (related("lead", "sequence_subscription", MATCH_ALL), "s_query.related_object_type"),
    (related("lead", "task", related("task", "address", MATCH_ALL)), "s_query.related_query.related_object_type"),
    (related("lead", "planet", MATCH_ALL), "s_query.related_object_type"),
    ({"type": "has_related", "this_object_type": "lead", "related_object_type": "contact"}, "s_query.related_query"),
    (related("lead", "contact", where(NAME, EXISTS)), "s_query.related_query.field.object_type"),
    (related("lead", "contact", related("lead", "contact_url", MATCH_ALL)), "s_query.related_query.this_object_type"),
    (related("lead", "contact", None), "s_query.related_query"),  # type: ignore[arg-type]
    (related("lead", "contact", [MATCH_ALL]), "s_query.related_query"),  # type: ignore[arg-type]
    (related("lead", 5, MATCH_ALL), "s_query.related_object_type"),  # type: ignore[arg-type]
    (related("planet", "contact", MATCH_ALL), "s_query.this_object_type"),
    ({**related("lead", "contact", MATCH_ALL), "query": MATCH_ALL}, "s_query.query"),
    # fields
    ({"type": "field_condition", "condition": EXISTS}, "s_query.field"),
    ({"type": "field_condition", "field": NAME}, "s_query.condition"),
    (where({}, EXISTS), "s_query.field.type"),
    (where({"type": "smart_field"}, EXISTS), "s_query.field.type"),
    (where({"type": "regular_field", "field_name": "name"}, EXISTS), "s_query.field.object_type"),
    (where({**NAME, "field_name": "nmae"}, EXISTS), "s_query.field.field_name"),
    (where({**NAME, "field_name": "num_planets"}, EXISTS), "s_query.field.field_name"),
    (where({**NAME, "extra": 1}, EXISTS), "s_query.field.extra"),
    (where(regular("contact", "title"), EXISTS), "s_query.field.object_type"),
    (where(regular("planet", "title"), EXISTS), "s_query.field.object_type"),
    (where({"type": "custom_field"}, EXISTS), "s_query.field.custom_field_id"),
    (where({"type": "custom_field", "custom_field_id": "cf_x"}, EXISTS), "s_query.field.custom_field_id"),
    (where(None, EXISTS), "s_query.field"),  # type: ignore[arg-type]
    (where("name", EXISTS), "s_query.field"),  # type: ignore[arg-type]
    (where(regular("lead", None), EXISTS), "s_query.field.field_name"),  # type: ignore[arg-type]
    (where({"type": "custom_field", "custom_field_id": 5}, EXISTS), "s_query.field.custom_field_id"),
    # conditions
    (where(NAME, None), "s_query.condition"),  # type: ignore[arg-type]
    (where(NAME, {"type": None}), "s_query.condition.type"),
    (where(NAME, {"type": "text", "mode": None, "value": "x"}), "s_query.condition.mode"),
    (where(NAME, {**text("x"), "values": ["x"]}), "s_query.condition.values"),
    (where(NAME, {"type": "term", "values": None}), "s_query.condition.values"),
    (where(NAME, {"type": "term", "values": [["x"]]}), "s_query.condition.values[0]"),
    (where(NAME, {"type": "term", "values": ["x"], "negate": True}), "s_query.condition.negate"),
    (where(COUNT, {"type": "number_range", "gt": [1]}), "s_query.condition.gt"),
    (where(COUNT, {"type": "moment_range"}), "s_query.condition.type"),
    (where(CREATED, {"type": "number_range", "gt": 1}), "s_query.condition.type"),
    (where(CREATED, term("2031-01-01")), "s_query.condition.type"),
    (unsubscribed({"type": "boolean"}), "s_query.related_query.condition.value"),
    (unsubscribed({"type": "boolean", "value": 1}), "s_query.related_query.condition.value"),
    (unsubscribed({"type": "boolean", "value": "true"}), "s_query.related_query.condition.value"),
    (unsubscribed({"type": "boolean", "value": None}), "s_query.related_query.condition.value"),
    (unsubscribed(term("true")), "s_query.related_query.condition.type"),
    (where(CREATOR, {"type": "current_user", "value": True}), "s_query.condition.value"),
    (where(CREATOR, reference("user", ["user_x"])), "s_query.condition.object_ids[0]"),
    (where(ZONE, {"type": "local_time", "before": "24:00:00"}), "s_query.condition.before"),
    (where(NAME, {}), "s_query.condition.type"),
    (where(NAME, []), "s_query.condition"),  # type: ignore[arg-type]
    (where(NAME, {"type": "regex"}), "s_query.condition.type"),
    (where(NAME, {"type": "local_time"}), "s_query.condition.type"),
    (where(ZONE, {"type": "local_time", "before": "9:00 am"}), "s_query.condition.before"),
    (where(ZONE, {"type": "local_time", "before": 9}), "s_query.condition.before"),
    (where(ZONE, {"type": "local_time", "after": "09:00:00"}), "s_query.condition.after"),
    (where(NAME, {**EXISTS, "value": 1}), "s_query.condition.value"),
    (where(NAME, {"type": "text", "value": "x"}), "s_query.condition.mode"),
    (where(NAME, {"type": "text", "mode": "phrase"}), "s_query.condition.value"),
    (where(NAME, text("x", "contains")), "s_query.condition.mode"),
    (where(NAME, {"type": "number_range", "gt": 1}), "s_query.condition.type"),
    (where(NAME, {"type": "boolean", "value": True}), "s_query.condition.type"),
    (where(NAME, {"type": "current_user"}), "s_query.condition.type"),
    (where(NAME, reference("user", "user_x")), "s_query.condition.type"),
    (where(COUNT, text("5")), "s_query.condition.type"),
    (where(COUNT, term("5")), "s_query.condition.type"),
    (where(COUNT, {"type": "number_range", "gt": "5"}), "s_query.condition.gt"),
    (where(COUNT, {"type": "number_range", "gt": True}), "s_query.condition.gt"),
    (where(COUNT, {"type": "number_range", "lte": float("nan")}), "s_query.condition.lte"),
    (where(COUNT, {"type": "number_range", "lte": float("inf")}), "s_query.condition.lte"),
    (where(COUNT, {"type": "number_range", "from": 5}), "s_query.condition.from"),
    (where(NAME, {"type": "term"}), "s_query.condition.values"),
    (where(NAME, {"type": "term", "values": "x"}), "s_query.condition.values"),
    (where(NAME, {"type": "term", "values": ["x", 5]}), "s_query.condition.values[1]"),
    (where(STATUS, {"type": "current_user"}), "s_query.condition.type"),
    (where(STATUS, reference("user", "user_x")), "s_query.condition.reference_type"),
    (where(STATUS, reference("status.opportunity")), "s_query.condition.reference_type"),
    (where(STATUS, reference("planet")), "s_query.condition.reference_type"),
    (where(STATUS, {"type": "reference", "reference_type": "status.lead"}), "s_query.condition.object_ids"),
    (where(STATUS, reference("status.lead", None)), "s_query.condition.object_ids[0]"),
    # moments
    (moments(on_or_after=[]), "s_query.condition.on_or_after"),
    (moments(before=5), "s_query.condition.before"),
    (moments(before={"value": "2031-01-01"}), "s_query.condition.before.type"),
    (moments(before={"type": "fixed_utc", "value": None}), "s_query.condition.before.value"),
    (moments(before={**shifted(days=1), "offset": [1]}), "s_query.condition.before.offset"),
    (moments(before=shifted(days=True)), "s_query.condition.before.offset.days"),
    (moments(before={**shifted(days=1), "which_day_end": 5}), "s_query.condition.before.which_day_end"),
    (
        moments(before={"type": "start_end_of_predefined_relative_period", "range": "today"}),
        "s_query.condition.before.which",
    ),
    (moments(before={**period("today"), "offset": {}}), "s_query.condition.before.offset"),
    (moments(on_or_after="2031-01-01"), "s_query.condition.on_or_after"),
    (moments(after={"type": "now"}), "s_query.condition.after"),
    (moments(before={"type": "then"}), "s_query.condition.before.type"),
    (moments(before={"type": "now", "value": 1}), "s_query.condition.before.value"),
    (
        moments(before={"type": "offset"}),
        " ".join(f"s_query.condition.before.{key}" for key in ("direction", "moment", "offset")),
    ),
    (moments(before=shifted(days=1, fortnights=1)), "s_query.condition.before.offset.fortnights"),
    (moments(before=shifted(days=1.5)), "s_query.condition.before.offset.days"),
    (moments(before=shifted(days=-1)), "s_query.condition.before.offset.days"),
    (moments(before=shifted(days=10**30)), "s_query.condition.before.offset.days"),
    (moments(before={**shifted(days=1), "direction": "back"}), "s_query.condition.before.direction"),
    (moments(before={**shifted(days=1), "which_day_end": "noon"}), "s_query.condition.before.which_day_end"),
    (moments(before={**shifted(days=1), "moment": None}), "s_query.condition.before.moment"),
    (moments(before={**shifted(days=1), "moment": shifted(day=1)}), "s_query.condition.before.moment.offset.day"),
    (moments(before=period("this-decade")), "s_query.condition.before.range"),
    (moments(before=period("today", "noon")), "s_query.condition.before.which"),
    (moments(before=instant("yesterday")), "s_query.condition.before.value"),
    (moments(before=instant("0001-01-01T00:00:00+14:00")), "s_query.condition.before.value"),
    (moments(before={"type": "fixed_utc"}), "s_query.condition.before.value"),
    (moments(before=day("2031-02-30")), "s_query.condition.before.value"),
    (moments(before=day("9999-12-31", "end")), "s_query.condition.before.value"),
    (moments(before=day("99999-01-01")), "s_query.condition.before.value"),
    (moments(before=day("2031-01-01", "noon")), "s_query.condition.before.which"),
    (moments(before={"type": "fixed_local_date", "value": "2031-01-01"}), "s_query.condition.before.which"),
]


# Only the outermost node has a wrapper and names the result type.
OUTERMOST: list[tuple[object, str]] = [
    ({"query": MATCH_ALL, "limit": 5}, "s_query.limit"),
    ({"query": None}, "s_query.query"),
    ({"query": MATCH_ALL, "results_limit": -1}, "s_query.results_limit"),
    ({"query": MATCH_ALL, "sort": [5]}, "s_query.sort[0]"),
    (of_type("address"), "s_query.object_type"),
]


@pytest.mark.parametrize(("query", "path"), MALFORMED + OUTERMOST)
def test_what_is_wrong_is_told_with_its_path(query: object, path: str) -> None:
    with pytest.raises(InvalidSearch) as problem:
        parse(query)
    assert set(problem.value.field_errors) == set(path.split())
    json.dumps(problem.value.field_errors, ensure_ascii=False).encode()


@pytest.mark.parametrize(("query", "path"), MALFORMED)
def test_what_is_wrong_inside_is_told_with_its_path(query: object, path: str) -> None:
    with pytest.raises(InvalidSearch) as problem:
        parse({"type": "and", "queries": [MATCH_ALL, {"type": "or", "negate": True, "queries": [query]}]}, path="q")
    assert set(problem.value.field_errors) == set(path.replace("s_query", "q.queries[1].queries[0]").split())


def test_every_malformed_query_is_a_400_with_its_path_over_http(
    api: APIClient, status: LeadStatus, settings: Settings
) -> None:
    """Searched for, and as the body of a bulk action; which then does not exist."""
    settings.API_REQUESTS_PER_SECOND = 100_000  # a quick machine makes more than 100
    assert len(MALFORMED) >= 60
    for query, path in MALFORMED:
        for url, key in (("/api/v1/data/search/", "query"), ("/api/v1/bulk_action/delete/", "s_query")):
            answer = api.post(url, json.dumps({key: all_of(query)}), content_type="application/json")
            assert answer.status_code == 400, (query, answer.content)
            problems, paths = answer.json()["field-errors"], set(path.replace("s_query", f"{key}.queries[0]").split())
            if any(written in json.dumps(query) for written in ("NaN", "Infinity", r"\u0000", r"\ud800")):
                assert answer.json()["errors"]  # no JSON, or none that can be kept
            elif key == "query":
                assert set(problems) == paths, query
            else:
                assert paths <= set(problems), query  # which refuses more, such as lists that name nothing
    assert not BulkAction.objects.exists()


def test_all_problems_are_told_at_once() -> None:
    query = all_of(
        of_type("planet"),
        where(NAME, text("x", "fuzzy")),
        {"type": "huh"},
        any_of(where({**NAME, "field_name": "nmae"}, {"type": "number_range", "gt": "x"}), negate=True),
        related("lead", "contact", {"type": "text"}),
    )
    with pytest.raises(InvalidSearch) as problem:
        parse(query, path="query")
    assert set(problem.value.field_errors) == {
        "query.queries[0].object_type",
        "query.queries[1].condition.mode",
        "query.queries[2].type",
        "query.queries[3].queries[0].field.field_name",
        "query.queries[3].queries[0].condition.gt",
        "query.queries[4].related_query.value",
    }


def test_a_misspelt_key_is_named_with_the_one_that_was_meant() -> None:
    with pytest.raises(InvalidSearch) as problem:
        parse({"type": "match_all", "negated": True})
    assert problem.value.field_errors == {"s_query.negated": "Unknown key. Did you mean 'negate'?"}


def test_what_is_not_supported_yet_says_so() -> None:
    for query in (
        of_type("custom_object"),
        of_type("task"),
        related("lead", "sequence_subscription", MATCH_ALL),
        related("lead", "activity.custom_activity", MATCH_ALL),
        where(regular("sequence_subscription", "status"), EXISTS),
    ):
        with pytest.raises(InvalidSearch) as problem:
            parse(query)
        assert all("not supported yet" in message for message in problem.value.field_errors.values())
