"""How long searches take over the API, and how long a job takes to load the targets that they find."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from statistics import median

from bench import engine
from bench.queries import Ids, Json, Query, queries
from bench.report import BAR_LEADS, Bar
from bench.world import World, index_filled_afterwards

REPEATS = 5
INDEXED_MS, OTHER_MS = 100, 1000
LOADED = ("a status", "a choice", "a contact's title", "num_contacts > 1")


@dataclass(frozen=True)
class Timed:
    """Milliseconds, medians: of the first page of 100, of the second (0: there is none), of the count."""

    query: str
    is_indexed: bool
    page_ms: float
    next_ms: float
    count_ms: float
    matches: int


def fill(world: World, n_leads: int) -> None:
    """Replace all leads by demo leads, with contacts, deals and activities, analysed and indexed."""
    from crm.demo_data import seed_leads
    from crm.models import Organization

    world.restore(0)
    organization = Organization.objects.get(pk=world.organization)
    with index_filled_afterwards(world.connection):
        for _ in seed_leads(organization=organization, leads=n_leads, seed=1):
            pass
    world.connection.execute("VACUUM (ANALYZE)")
    world.connection.execute("CHECKPOINT")


def timed(world: World) -> list[Timed]:
    """Every query, its first page, its second and its count."""
    return [_timed(world, query) for query in _queries(world)]


def loading(world: World) -> list[tuple[str, float]]:
    """For some queries: seconds in which a job loads its targets, against the bare selection into one array."""
    return [(query.name, _loading_ratio(world, query)) for query in _queries(world) if query.name in LOADED]


def bars(found: list[Timed], ratios: list[tuple[str, float]], n_leads: int) -> list[Bar]:
    made = []
    for each in found:
        bar = (INDEXED_MS if each.is_indexed else OTHER_MS) if n_leads >= BAR_LEADS else None
        what = f"search, {n_leads:,} leads: {each.query}"
        made.append(Bar(f"{what}, first page", each.page_ms, bar, unit="ms"))
        made.append(Bar(f"{what}, count of {each.matches:,}", each.count_ms, bar, unit="ms"))
    bar = 2 if n_leads >= BAR_LEADS else None
    return made + [Bar(f"loading {name}, {n_leads:,} leads: against the bare selection", r, bar) for name, r in ratios]


def _queries(world: World) -> list[Query]:
    crm = world.crm
    fields = crm.call("get", "custom_field_schema/lead")["fields"]
    ids = Ids(
        lead_status=crm.call("get", "status/lead")["data"][0]["id"],
        opportunity_status=crm.call("get", "status/opportunity")["data"][0]["id"],
        fields={field["name"]: field["id"] for field in fields},
    )
    some_email = "SELECT email FROM crm_contactemail WHERE email LIKE '%-%' ORDER BY id LIMIT 1"
    return queries(ids, email=world.connection.execute(some_email).fetchone()[0])


def _timed(world: World, query: Query) -> Timed:
    def search(**more: object) -> Json:
        return world.crm.call("post", "data/search", {"query": query.query, "sort": list(query.sort), **more})

    page_ms, page = _median_ms(search)
    next_ms, _ = _median_ms(lambda: search(cursor=page["cursor"])) if page["cursor"] else (0.0, None)
    count_ms, counted = _median_ms(lambda: search(_limit=0, include_counts=True))
    return Timed(query.name, query.is_indexed, page_ms, next_ms, count_ms, counted["count"]["total"])


def _median_ms(call: Callable[[], Json]) -> tuple[float, Json]:
    answer, took = call(), []  # the first one warms up
    for _ in range(REPEATS):
        began = time.monotonic()
        answer = call()
        took.append((time.monotonic() - began) * 1000)
    return median(took), answer


def _loading_ratio(world: World, query: Query) -> float:
    # No lead has a value in that field: the job changes nothing.
    body = {"type": "clear_custom_field", "custom_field_id": world.field, "s_query": query.query}
    loaded = [engine.loading_seconds(world, "edit", body) for _ in range(REPEATS)]
    return median(loaded) / median(_selection_seconds(world, query) for _ in range(REPEATS))


def _selection_seconds(world: World, query: Query) -> float:
    from django.db import connection
    from django.utils import timezone

    from crm.auth import Caller
    from crm.models import ApiKey, Membership
    from search.compiler import matching
    from search.resolve import resolve

    member = Membership.objects.select_related("organization", "user").get(
        organization=world.organization, user=world.user
    )
    caller = Caller(member.organization, member.user, member, ApiKey(membership=member))
    resolved = resolve(query=query.query, sort=None, caller=caller, tz=UTC, now=timezone.now(), for_bulk=True)
    sql, parameters = matching(resolved, world.organization).values_list("pk").query.sql_with_params()
    with connection.cursor() as cursor:
        began = time.monotonic()
        cursor.execute(f"SELECT cardinality(array_agg(id)) FROM ({sql}) AS found (id)", parameters)
        return time.monotonic() - began
