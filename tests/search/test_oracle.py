"""The compiler against a plain matcher, over random worlds and queries, and the laws that every query keeps."""

from datetime import UTC, timedelta, timezone
from decimal import Decimal
from itertools import product
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm.auth import Caller
from crm.models import Lead
from search.nodes import Mode
from search.schema import OBJECT_TYPES, RESULT_TYPES
from tests.search.helpers import (
    MATCH_ALL,
    NOW,
    Json,
    all_of,
    any_of,
    custom,
    day,
    ids,
    instant,
    no,
    of_type,
    regular,
    text,
    where,
)
from tests.search.matcher import Matcher
from tests.search.pools import DAYS, MOMENTS, NUMBERS, WANTED, World
from tests.search.smart_values import SMART
from tests.search.worlds import build, nodes

ZONES = [UTC, timezone(timedelta(hours=-4)), timezone(timedelta(hours=9)), ZoneInfo("America/New_York")]
RELAXED = settings(
    deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture(params=range(4))
def world(caller: Caller, request: pytest.FixtureRequest) -> World:
    return build(caller, seed=request.param, leads=10)


@given(data=st.data())
@settings(RELAXED, max_examples=150)
def test_the_compiler_selects_what_the_matcher_selects(caller: Caller, world: World, data: st.DataObject) -> None:
    object_type = data.draw(st.sampled_from(RESULT_TYPES))
    query = data.draw(nodes(object_type, world, depth=3))
    tz = data.draw(st.sampled_from(ZONES))
    matcher = Matcher(caller.user.pk, NOW, tz, world.kinds)

    found = ids(caller, all_of(of_type(object_type), query), tz=tz)
    expected = {key for key, thing in world.things[object_type].items() if matcher.matches(query, thing)}
    assert set(found) == expected
    assert found == sorted(found)


@given(data=st.data())
@settings(RELAXED, max_examples=25)
def test_laws(caller: Caller, world: World, data: st.DataObject) -> None:
    object_type = data.draw(st.sampled_from(RESULT_TYPES))
    left, right = (data.draw(nodes(object_type, world, depth=2)) for _ in range(2))

    def found(query: dict[str, object]) -> set[UUID]:
        return set(ids(caller, all_of(of_type(object_type), query)))

    everything = found(MATCH_ALL)
    assert found(left) | found(no(left)) == everything
    assert not found(left) & found(no(left))
    assert found(all_of(all_of(left, negate=True), negate=True)) == found(left)
    assert found(all_of(left, right)) == found(left) & found(right) == found(all_of(right, left))
    assert found(any_of(left, right)) == found(left) | found(right)
    assert found(all_of(left, right, negate=True)) == found(any_of(no(left), no(right)))


def agree(caller: Caller, world: World, object_type: str, query: Json) -> None:
    matcher = Matcher(caller.user.pk, NOW, ZONES[1], world.kinds)
    expected = {key for key, thing in world.things[object_type].items() if matcher.matches(query, thing)}
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


def test_every_smart_value(caller: Caller) -> None:
    world = build(caller, seed=8, leads=40)
    for name in SMART:
        value = OBJECT_TYPES["lead"].fields[name].value()
        found = dict(Lead.objects.annotate(smart=value).values_list("pk", "smart"))
        expected = {key: thing.values[name] for key, thing in world.things["lead"].items()}
        if isinstance(next((one for one in expected.values() if one is not None), None), Decimal | int):
            found = {key: one and round(one, 6) for key, one in found.items()}
            expected = {key: one and round(one, 6) for key, one in expected.items()}
        assert found == {key: None if one == "" else one for key, one in expected.items()}, name
        assert len(set(expected.values())) > 1, name


def test_worlds_are_not_trivial(caller: Caller) -> None:
    """Queries that select some leads and not others are common enough to prove something."""
    world = build(caller, seed=7, leads=10)
    sizes = []

    @given(data=st.data())
    @settings(RELAXED, max_examples=100, derandomize=True)
    def collect(data: st.DataObject) -> None:
        sizes.append(len(ids(caller, all_of(of_type("lead"), data.draw(nodes("lead", world, depth=2))))))

    collect()
    assert sum(0 < size < 10 for size in sizes) > len(sizes) // 5
