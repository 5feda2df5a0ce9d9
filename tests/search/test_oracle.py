"""The compiler against a plain matcher, over random worlds and random queries."""

import os
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, timedelta, timezone
from decimal import Decimal
from itertools import product
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.auth import Caller
from crm.models import Lead
from search.nodes import Mode
from search.schema import OBJECT_TYPES, RELATIONS, RESULT_TYPES
from tests.search.helpers import Json, all_of, custom, day, ids, instant, of_type, regular, text, where
from tests.search.pools import DAYS, MOMENTS, NUMBERS, RESULTS, WANTED, World
from tests.search.queries import NEIGHBOURS, REGULAR, nodes, sorts
from tests.search.smart_values import NEVER, SMART
from tests.search.worlds import build, matcher_of

# `make fuzz` sets them: how many queries in all, and the number of the first world.
ALL_QUERIES, FIRST_WORLD = int(os.environ.get("FUZZ_QUERIES", "2048")), int(os.environ.get("FUZZ_FIRST_WORLD", "0"))
WORLDS = max(8, ALL_QUERIES // 500)
QUERIES = ALL_QUERIES // WORLDS  # in each world
ZONES = [UTC, timezone(timedelta(hours=-4)), timezone(timedelta(hours=9)), ZoneInfo("America/New_York")]
ZONES += [ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Beirut"), ZoneInfo("Asia/Kolkata")]


@pytest.mark.parametrize("number", range(FIRST_WORLD, FIRST_WORLD + WORLDS))
def test_the_compiler_selects_and_orders_what_the_matcher_does(caller: Caller, number: int) -> None:
    """2,048 queries in all, about 15 ms each; many more by `make fuzz`."""
    world = build(caller, seed=number, leads=10)
    asked, telling = 0, 0

    @given(data=st.data())
    @settings(database=None, max_examples=QUERIES)
    def ask(data: st.DataObject) -> None:
        nonlocal asked, telling
        object_type = data.draw(st.sampled_from(RESULT_TYPES))
        query = data.draw(nodes(object_type, world, depth=3))
        sort = data.draw(sorts(object_type, world))
        tz = data.draw(st.sampled_from(ZONES))
        matcher, things = matcher_of(caller, world, tz), world.things[object_type]
        found = ids(caller, all_of(of_type(object_type), query), sort=sort, tz=tz)
        expected = matcher.select(query, things.values())
        assert set(found) == expected
        assert found == matcher.in_order((things[key] for key in expected), sort)
        asked += 1
        telling += 0 < len(found) < len(things)

    ask()
    assert asked >= QUERIES
    assert asked * WORLDS >= 2_000
    assert telling > QUERIES // 8  # select some objects and not others; 20 to 40 % do


def types_in(query: object) -> Iterator[str]:
    """Every `type` that stands somewhere in a query: of nodes, conditions, fields and moments."""
    if isinstance(query, dict):
        if isinstance(query.get("type"), str):
            yield query["type"]
        for inner in query.values():
            yield from types_in(inner)
    elif isinstance(query, list):
        for inner in query:
            yield from types_in(inner)


def test_random_queries_say_all_that_the_language_has(caller: Caller) -> None:
    world = build(caller, seed=1, leads=3)
    said: Counter[str] = Counter()

    @given(data=st.data())
    @settings(database=None, max_examples=1000, derandomize=True)
    def draw(data: st.DataObject) -> None:
        object_type = data.draw(st.sampled_from(RESULT_TYPES))
        said.update(set(types_in(data.draw(nodes(object_type, world, depth=3)))))

    draw()
    everything = (
        *("and", "or", "object_type", "id", "text", "field_condition", "has_related", "saved_search", "match_all"),
        *("in_status", "boolean", "current_user", "exists", "term", "reference", "number_range", "moment_range"),
        *("local_time", "now", "fixed_utc", "fixed_local_date", "offset", "start_end_of_predefined_relative_period"),
        *("regular_field", "custom_field"),
    )
    assert [name for name in everything if not said[name]] == []


def test_random_queries_name_every_field_and_every_relation() -> None:
    assert set(REGULAR) == set(OBJECT_TYPES)
    for name, fields in REGULAR.items():
        assert sorted(fields) == sorted(OBJECT_TYPES[name].fields), name
    assert {(this, other) for this, others in NEIGHBOURS.items() for other in others} == set(RELATIONS)
    assert RESULTS == RESULT_TYPES


def agree(caller: Caller, world: World, object_type: str, query: Json) -> None:
    expected = matcher_of(caller, world, ZONES[1]).select(query, world.things[object_type].values())
    assert set(ids(caller, all_of(of_type(object_type), query), tz=ZONES[1])) == expected, query


def of_kind(world: World, type_: str) -> Json:
    return custom(next(one for one in world.custom["lead"] if one.type == type_))


def test_every_text_in_every_mode(caller: Caller) -> None:
    world = build(caller, seed=5, leads=30)
    multiple = next(one for one in world.custom["lead"] if one.type == "choices" and one.accepts_multiple_values)
    fields = [regular("lead", "name"), of_kind(world, "text"), of_kind(world, "choices"), custom(multiple)]
    for wanted, mode in product([*WANTED, "gold", "plated gold", "gold plated", "pla go", "京 mi"], Mode):
        condition = text(wanted, mode)
        for field in fields:
            agree(caller, world, "lead", where(field, condition))
        for object_type in ("lead", "contact"):
            agree(caller, world, object_type, condition)


def test_every_pair_of_bounds(caller: Caller) -> None:
    world = build(caller, seed=6, leads=30)
    edges = [None, {"type": "now"}]
    edges += [day(written, which) for written in DAYS[:3] for which in ("start", "end")]
    edges += [instant(moment.isoformat()) for moment in MOMENTS[4:8]]
    fields = [regular("lead", "date_created"), of_kind(world, "date"), of_kind(world, "datetime")]
    for field, first, last in product(fields, edges, edges):
        agree(caller, world, "lead", where(field, {"type": "moment_range", "on_or_after": first, "before": last}))
    numbers = [regular("lead", "all_urls_count"), of_kind(world, "number")]
    for field, low, high in product(numbers, [None, *NUMBERS], [None, *NUMBERS]):
        agree(caller, world, "lead", where(field, {"type": "number_range", "gt": low, "lte": high}))
        agree(caller, world, "lead", where(field, {"type": "number_range", "gte": low, "lt": high}))


def test_every_local_time(caller: Caller) -> None:
    world = build(caller, seed=9, leads=40)
    times = [None, "00:00:00", "02:30:00", "09:30:00", "10:30:00", "10:30:01", "15:00:00", "23:59:59"]
    assert len({lead.values["timezone_id"] for lead in world.things["lead"].values()}) >= 4
    for first, last in product(times, times):
        condition = {"type": "local_time", "on_or_after": first, "before": last}
        agree(caller, world, "lead", where(regular("lead", "timezone_id"), condition))


def test_every_smart_value(caller: Caller) -> None:
    world = build(caller, seed=8, leads=60)
    for name in [*SMART, *NEVER]:
        value = OBJECT_TYPES["lead"].fields[name].value()
        mine = Lead.objects.filter(organization=caller.organization)
        found = dict(mine.annotate(smart=value).values_list("pk", "smart"))
        expected = {key: thing.values[name] for key, thing in world.things["lead"].items()}
        if isinstance(next((one for one in expected.values() if one is not None), None), Decimal | int):
            found = {key: one and round(one, 3) for key, one in found.items()}
            expected = {key: one and round(one, 3) for key, one in expected.items()}
        assert found == {key: None if one == "" else one for key, one in expected.items()}, name
        assert name in NEVER or len(set(expected.values())) > 1, name
