"""What a query may look like, and how much of it there may be."""

import json
import time
from uuid import uuid4

import pytest

from crm.auth import Caller
from crm.ids import close_id
from search.errors import InvalidSearch
from search.grammar import parse
from search.node_parser import MAX_TEXT_NODES
from search.nodes import And, Ids, MatchAll, Or
from search.reading import MAX_UNKNOWN_KEYS
from search.resolve import Resolved
from tests.factories import CustomFieldFactory, LeadFactory
from tests.search.helpers import (
    MATCH_ALL,
    Json,
    all_of,
    any_of,
    custom,
    day,
    ids,
    no,
    of_type,
    regular,
    related,
    resolved,
    term,
    text,
    where,
)

NAME = regular("lead", "name")
CREATED = regular("lead", "date_created")
STATUS = regular("lead", "status_id")
CREATOR = regular("lead", "created_by")
COUNT = regular("lead", "addresses_count")


def moments(**bounds: object) -> Json:
    return where(CREATED, {"type": "moment_range", **bounds})


def reference(kind: str, *keys: object) -> Json:
    return {"type": "reference", "reference_type": kind, "object_ids": list(keys)}


def test_spellings_of_the_outermost_node() -> None:
    bare = all_of(MATCH_ALL)
    assert parse(bare) == parse({"query": bare}) == parse({"queries": [MATCH_ALL]}) == And((MatchAll(),))
    assert parse({"query": {"queries": [MATCH_ALL]}, "sort": [], "results_limit": None}) == And((MatchAll(),))
    with pytest.raises(InvalidSearch):
        parse(all_of({"queries": []}))


# --- limits -----------------------------------------------------------------------------------------------------------
def nested(levels: int) -> Json:
    query = MATCH_ALL
    for level in range(levels - 1):
        query = all_of(query) if level % 2 else any_of(query)
    return query


def related_levels(levels: int) -> Json:
    names = ("lead", "contact")
    query = MATCH_ALL
    for level in reversed(range(levels - 1)):
        query = related(names[level % 2], names[(level + 1) % 2], query)
    return query


def test_depth_has_a_limit(caller: Caller) -> None:
    lead = LeadFactory.create(organization=caller.organization)
    assert ids(caller, nested(50)) == [lead.pk]
    assert ids(caller, related_levels(50)) == []
    for query in (nested(51), related_levels(51), nested(500)):
        with pytest.raises(InvalidSearch, match="deeper than 50"):
            parse(query)


def test_the_number_of_nodes_has_a_limit(caller: Caller) -> None:
    LeadFactory.create(organization=caller.organization)
    began = time.process_time()
    assert len(ids(caller, any_of(*[where(NAME, term(str(place))) for place in range(9_998)], MATCH_ALL))) == 1
    assert time.process_time() - began < 10
    with pytest.raises(InvalidSearch, match="more than 10000 nodes"):
        parse(all_of(*[MATCH_ALL] * 10_000))


def test_the_number_of_text_nodes_has_a_limit(caller: Caller) -> None:
    most = [text(f"oakvale {place}", "phrase") for place in range(MAX_TEXT_NODES)]
    began = time.process_time()
    assert ids(caller, any_of(*most)) == []
    assert time.process_time() - began < 10
    with pytest.raises(InvalidSearch) as problem:
        parse(all_of(any_of(*most), related("lead", "contact", text("ida")), text("moss")))
    message = f"The query has more than {MAX_TEXT_NODES} `text` nodes."
    assert problem.value.field_errors == {"s_query.queries[1].related_query": message}


def test_fifty_thousand_ids_are_one_node_and_one_array(caller: Caller) -> None:
    lead = LeadFactory.create(organization=caller.organization)
    made_up = [{"type": "id", "value": close_id("lead", uuid4())} for _ in range(49_999)]
    one = {"type": "id", "value": close_id("lead", lead.pk)}
    began = time.process_time()
    node = parse(any_of(*made_up, one))
    assert isinstance(node, Or)
    assert [type(part) for part in node.queries] == [Ids]
    assert ids(caller, any_of(*made_up, one)) == [lead.pk]
    assert ids(caller, any_of(*made_up[1:], no(one), MATCH_ALL, negate=True)) == []
    assert time.process_time() - began < 10
    with pytest.raises(InvalidSearch, match="more than 50000 ids"):
        parse(any_of(*made_up, one, one))


def test_problems_are_limited_too() -> None:
    with pytest.raises(InvalidSearch) as problem:
        parse(all_of(*[{"type": "?"}] * 5_000))
    assert len(problem.value.field_errors) == 100


def test_unknown_keys_are_limited_too() -> None:
    began = time.process_time()
    for query in (
        {**MATCH_ALL, **{f"{place}{'negate' * 40}": 1 for place in range(40_000)}},
        all_of(*[{**MATCH_ALL, **{f"negated{place}": 1 for place in range(20)}}] * 2_000),
    ):
        with pytest.raises(InvalidSearch) as problem:
            parse(query)
        assert len(problem.value.field_errors) == MAX_UNKNOWN_KEYS
        assert max(map(len, problem.value.field_errors)) < 120
    assert time.process_time() - began < 2


def test_hostile_values_are_no_match_or_a_refusal(caller: Caller) -> None:
    LeadFactory.create(organization=caller.organization, name="Oakvale")  # none of the words below
    number = CustomFieldFactory.create(organization=caller.organization, type="number")
    for field in (COUNT, custom(number)):
        for huge in (10**400, -(10**4000), 1e308, 5e-324):
            ids(caller, where(field, {"type": "number_range", "gte": huge}))
            ids(caller, no(where(field, {"type": "number_range", "lt": huge})))
    for evil in ("' OR 1=1 --", "%s", "%(x)s", "{}", "\\", '"', "$1", "'; DROP TABLE crm_lead; --", "?|"):
        for field in (NAME, {**NAME, "field_name": "url"}):
            assert ids(caller, where(field, term(evil))) == []
            for mode in ("full_words", "phrase", "exact_value", "beginning_of_words"):
                assert ids(caller, all_of(where(field, text(evil, mode)), text(evil, mode))) == []
        assert ids(caller, {"type": "id", "value": evil}) == []
        assert ids(caller, where(STATUS, term(evil))) == []
    long = " ".join(str(place) for place in range(12_000))
    for mode in ("full_words", "phrase", "exact_value", "beginning_of_words"):
        assert ids(caller, where(NAME, text(long, mode))) == []
        assert ids(caller, where(NAME, text("東京 " + long[:60_000], mode))) == []
    for first, last in [("0001-01-05", "9999-12-29"), ("9999-12-29", "0001-01-05")]:
        ids(caller, moments(on_or_after=day(first), before=day(last, "end")))


# --- bulk bodies ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("negate", [False, True])
@pytest.mark.parametrize(
    ("query", "path"),
    [
        (any_of(), "s_query.queries[0].queries"),
        (text(" - ", "full_words"), "s_query.queries[0].value"),
        ({"type": "text", "value": ""}, "s_query.queries[0].value"),
        (text("!", "phrase"), "s_query.queries[0].value"),
        (where(NAME, text("%%", "beginning_of_words")), "s_query.queries[0].condition.value"),
        (related("lead", "contact", any_of()), "s_query.queries[0].related_query.queries"),
        ({"type": "id", "value": ""}, "s_query.queries[0].value"),
        ({"type": "id", "value": close_id("cont", uuid4())}, "s_query.queries[0].value"),
        (any_of({"type": "id", "value": "lead_x"}), "s_query.queries[0].queries[0].value"),
        (
            related("lead", "contact", {"type": "id", "value": close_id("lead", uuid4())}),
            "s_query.queries[0].related_query.value",
        ),
        (where(NAME, term()), "s_query.queries[0].condition.values"),
        (where(NAME, term("")), "s_query.queries[0].condition.values"),
        (where(STATUS, term()), "s_query.queries[0].condition.values"),
        (where(STATUS, term("New", "Old")), "s_query.queries[0].condition.values"),
        (where(STATUS, reference("status.lead")), "s_query.queries[0].condition.object_ids"),
        (where(STATUS, reference("status.lead", "stat_x", "")), "s_query.queries[0].condition.object_ids"),
        (where(CREATOR, reference("user")), "s_query.queries[0].condition.object_ids"),
    ],
)
def test_bulk_bodies_refuse_what_would_mean_everything_unsaid(
    caller: Caller, query: Json, path: str, negate: bool
) -> None:
    whole = all_of({**query, "negate": negate})
    resolved(caller, whole)
    with pytest.raises(InvalidSearch) as problem:
        resolved(caller, whole, for_bulk=True)
    assert set(problem.value.field_errors) == {path}


def test_bulk_bodies_may_say_match_all_and_search_for_whole_values(caller: Caller) -> None:
    lead = LeadFactory.create(organization=caller.organization, name="---")
    assert ids(caller, MATCH_ALL, for_bulk=True) == [lead.pk]
    assert ids(caller, all_of(of_type("lead")), for_bulk=True) == [lead.pk]
    assert ids(caller, where(NAME, text("---", "exact_value")), for_bulk=True) == [lead.pk]


@pytest.mark.parametrize(
    ("query", "path"),
    [
        (all_of(), "s_query.queries"),
        (all_of(negate=True), "s_query.queries"),
        ({"queries": []}, "s_query.queries"),
        ({"query": {"queries": []}}, "s_query.query.queries"),
        (all_of(all_of(), all_of(all_of(), all_of(negate=True))), "s_query.queries"),
        (any_of(all_of()), "s_query.queries"),
    ],
)
def test_bulk_bodies_refuse_a_query_without_any_condition(caller: Caller, query: Json, path: str) -> None:
    resolved(caller, query)
    with pytest.raises(InvalidSearch) as problem:
        resolved(caller, query, for_bulk=True)
    assert problem.value.field_errors == {path: "The query holds no condition. For all, say `match_all`."}


def test_bulk_bodies_may_hold_empty_groups_beside_conditions_and_unknown_ids_beside_known_ones(caller: Caller) -> None:
    lead = LeadFactory.create(organization=caller.organization, name="Oakvale")
    other = LeadFactory.create(organization=caller.organization, name="Moss", created_by=caller.user)
    named = where(NAME, text("oakvale"))
    assert ids(caller, all_of(of_type("lead"), all_of(all_of(), named)), for_bulk=True) == [lead.pk]
    assert ids(caller, {"queries": [all_of(), named]}, for_bulk=True) == [lead.pk]
    assert ids(caller, {"type": "id", "value": close_id("lead", uuid4())}, for_bulk=True) == []
    status = reference("status.lead", "stat_x", close_id("stat", lead.status_id))
    assert ids(caller, where(STATUS, status), for_bulk=True) == [lead.pk]
    assert ids(caller, where(CREATOR, reference("user", "CURRENT_USER")), for_bulk=True) == [other.pk]


def test_a_results_limit_stands_beside_the_query_or_in_its_wrapper(caller: Caller) -> None:
    wrapped = {"query": MATCH_ALL, "results_limit": 0}
    assert resolved(caller, wrapped).results_limit == 0
    assert resolved(caller, wrapped, results_limit=0).results_limit == 0
    assert resolved(caller, MATCH_ALL, results_limit=7).results_limit == 7
    assert resolved(caller, MATCH_ALL).results_limit is None
    for query, limit, path in [(MATCH_ALL, -1, "results_limit"), (wrapped, 5, "s_query.results_limit")]:
        with pytest.raises(InvalidSearch) as problem:
            resolved(caller, query, results_limit=limit)
        assert set(problem.value.field_errors) == {path}


def test_a_resolved_query_is_json(caller: Caller) -> None:
    kept = resolved(caller, all_of(where(NAME, text("x")), moments(before={"type": "now"})), sort=[])
    assert Resolved.from_json(json.loads(json.dumps(kept.to_json()))) == kept
