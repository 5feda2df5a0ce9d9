"""The laws that every query, every sort and every walk over pages keeps."""

import threading
from collections.abc import Callable, Iterator
from itertools import cycle, pairwise
from uuid import UUID, uuid4

import pytest
from django.db import connection, connections
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.auth import Caller
from crm.models import Lead, LeadStatus, Membership
from search.paging import Cursor, page_of
from search.resolve import Resolved
from search.schema import RESULT_TYPES
from tests.factories import LeadStatusFactory, MembershipFactory
from tests.search.helpers import (
    MATCH_ALL,
    NOW,
    Json,
    all_of,
    any_of,
    caller_of,
    ids,
    no,
    of_type,
    regular,
    resolved,
    settle,
    text,
    where,
)
from tests.search.pools import World
from tests.search.queries import nodes, sortable
from tests.search.test_oracle import ZONES
from tests.search.worlds import build, matcher_of


@pytest.fixture(params=range(2))
def world(caller: Caller, request: pytest.FixtureRequest) -> World:
    return build(caller, seed=100 + request.param, leads=10)


@given(data=st.data())
@settings(database=None, max_examples=40)
def test_negation_and_groups_keep_their_laws(caller: Caller, world: World, data: st.DataObject) -> None:
    object_type = data.draw(st.sampled_from(RESULT_TYPES))
    a, b = (data.draw(nodes(object_type, world, depth=2)) for _ in range(2))

    def found(query: Json) -> set[UUID]:
        return set(ids(caller, all_of(of_type(object_type), query)))

    everything, in_a, in_b = found(MATCH_ALL), found(a), found(b)
    assert everything == set(world.things[object_type])
    assert found(no(a)) == everything - in_a
    assert found(all_of(all_of(a, negate=True), negate=True)) == in_a
    assert found(all_of(a, b)) == found(all_of(b, a)) == in_a & in_b
    assert found(any_of(a, b)) == found(any_of(b, a)) == in_a | in_b
    assert found(all_of(a, b, negate=True)) == found(any_of(no(a), no(b)))
    assert found(any_of(a, b, negate=True)) == found(all_of(no(a), no(b)))
    assert found(all_of(a, any_of(a, b))) == found(any_of(a, all_of(a, b))) == in_a
    assert found(all_of(a, MATCH_ALL)) == found(any_of(a, no(MATCH_ALL))) == found(all_of(a, a)) == in_a
    assert found(any_of(a, no(a))) == everything
    assert found(all_of(a, no(a))) == set()


@pytest.mark.parametrize("object_type", RESULT_TYPES)
def test_every_field_with_an_order_sorts_totally_with_absent_values_last(caller: Caller, object_type: str) -> None:
    world = build(caller, seed=110, leads=12)
    matcher, things = matcher_of(caller, world, ZONES[0]), list(world.things[object_type].values())
    for field in sortable(object_type, world):
        for direction in ("asc", "desc"):
            sort = [{"direction": direction, "field": field}]
            found = ids(caller, of_type(object_type), sort=sort)
            assert found == matcher.in_order(things, sort), field


def walk(kept: Resolved, organization: UUID, size: int, between: Callable[[], object] = lambda: None) -> Iterator[UUID]:
    """Page by page through signed cursors, as the web client would; `between` runs before each further page."""
    after = None
    while True:
        page = page_of(kept, organization, size=size, after=after)
        yield from (row.pk for row in page.rows)
        if not page.has_more:
            return
        written = Cursor(page.values, page.rows[-1].pk, 0, NOW).sign("walk")
        after = Cursor.read(written, "walk")
        between()


@pytest.mark.parametrize("object_type", RESULT_TYPES)
def test_a_walk_by_every_field_has_neither_gap_nor_repeat(caller: Caller, object_type: str) -> None:
    world = build(caller, seed=120, leads=8)
    settle()
    for (field, second), direction in zip(
        pairwise([*sortable(object_type, world), None]), cycle(["asc", "desc"]), strict=False
    ):
        sort = [{"direction": direction, "field": one} for one in (field, second) if one]
        kept = resolved(caller, of_type(object_type), sort=sort)
        whole = ids(caller, of_type(object_type), sort=sort)
        size = max(1, len(whole) // 3)
        assert list(walk(kept, caller.organization.pk, size)) == whole, sort


def in_another_session(work: Callable[[], object]) -> None:
    """Runs and commits in a connection of its own."""
    problems: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as problem:
            problems.append(problem)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    assert problems == []


@pytest.fixture
def committed(transactional_db: None) -> tuple[Caller, LeadStatus]:
    membership: Membership = MembershipFactory.create()
    return caller_of(membership), LeadStatusFactory.create(organization=membership.organization)


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("column", ["name", "date_updated", None])
def test_a_walk_under_concurrent_writes_gives_each_unchanged_row_once(
    committed: tuple[Caller, LeadStatus], column: str | None, direction: str
) -> None:
    """Between any two pages other rows are made, moved ahead, moved back, renamed to nothing and deleted."""
    caller, status = committed
    own = {"organization": caller.organization, "status": status}
    names = [None, "a", "b", "b", "", "c", "d"]
    rows = [Lead(pk=uuid4(), **own, name=name, description="oakvale") for _ in range(6) for name in names]
    Lead.objects.bulk_create(rows)
    still, restless = {lead.pk for lead in rows[::2]}, [lead.pk for lead in rows[1::2]]
    rounds = iter(range(1000))

    def disturb() -> None:
        place = next(rounds)
        one, other, third = (restless[(place * 3 + step) % len(restless)] for step in range(3))
        moment = NOW.replace(year=2000 + place)
        Lead.all_objects.filter(pk=one).update(name="aa" if place % 2 else "zz", date_updated=moment)
        Lead.all_objects.filter(pk=other).update(name=None, deleted_at=None if place % 3 else moment)
        Lead.all_objects.filter(pk=third).delete()
        for name in ("", "0", "bb", "zzz", None):
            Lead.objects.create(pk=uuid4(), **own, name=name, description="oakvale", date_updated=moment)

    sort = [{"direction": direction, "field": regular("lead", column)}] if column else []
    kept = resolved(caller, where(regular("lead", "description"), text("oakvale")), sort=sort)
    seen = list(walk(kept, caller.organization.pk, 4, between=lambda: in_another_session(disturb)))
    assert next(rounds) > 4
    assert connection.in_atomic_block is False
    assert [pk for pk in seen if pk in still] == [pk for pk in dict.fromkeys(seen) if pk in still]
    assert still <= set(seen)
