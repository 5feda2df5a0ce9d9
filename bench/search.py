"""How long searches take over the API, and how long a job takes to load the targets that they find."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC
from statistics import median

from bench import engine
from bench.findings import Loaded, Searched
from bench.queries import Ids, Json, Query, queries
from bench.unburdened import unburdened
from bench.world import World

REPEATS = 5
LOADED = ("a status", "a choice", "a contact's title", "num_contacts > 1")


def fill(world: World, n_leads: int) -> None:
    """Replace all leads by demo leads, with contacts, deals and activities, analysed and indexed."""
    from crm.demo_data import seed_leads
    from crm.demo_rows import COLUMNS
    from crm.models import Organization

    world.restore(0)
    organization = Organization.objects.get(pk=world.organization)
    with unburdened(world.connection, "search_leadwords"):
        with ExitStack() as tables:
            for table in COLUMNS:
                tables.enter_context(unburdened(world.connection, table))
            for _ in seed_leads(organization=organization, leads=n_leads, seed=1):
                pass
        world.connection.execute(
            "INSERT INTO search_leadwords SELECT * FROM search_words_of(ARRAY(SELECT id FROM crm_lead))"
        )
    world.connection.execute("VACUUM (ANALYZE)")
    world.connection.execute("CHECKPOINT")


def timed(world: World) -> list[Searched]:
    """Every query, its first page, its second and its count."""
    return [_timed(world, query) for query in _queries(world)]


def loading(world: World, repeats: int) -> list[Loaded]:
    """For some queries, how long a job loads their targets, and how long the bare selection into one array takes."""
    return [_loaded(world, query, repeats) for query in _queries(world) if query.name in LOADED]


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


def _timed(world: World, query: Query) -> Searched:
    def search(**more: object) -> Json:
        return world.crm.call("post", "data/search", {"query": query.query, "sort": list(query.sort), **more})

    page_ms, page = _median_ms(search)
    next_ms, _ = _median_ms(lambda: search(cursor=page["cursor"])) if page["cursor"] else (0.0, None)
    count_ms, counted = _median_ms(lambda: search(_limit=0, include_counts=True))
    return Searched(query.name, query.is_indexed, page_ms, next_ms, count_ms, counted["count"]["total"])


def _median_ms(call: Callable[[], Json]) -> tuple[float, Json]:
    answer, took = call(), []  # the first one warms up
    for _ in range(REPEATS):
        began = time.monotonic()
        answer = call()
        took.append((time.monotonic() - began) * 1000)
    return median(took), answer


def _loaded(world: World, query: Query, repeats: int) -> Loaded:
    # No lead has a value in that field: the job changes nothing.
    body = {"type": "clear_custom_field", "custom_field_id": world.number_field, "s_query": query.query}
    return Loaded(
        query.name,
        loading=[engine.loading_seconds(world, "edit", body) for _ in range(repeats)],
        selection=[_selection_seconds(world, query) for _ in range(repeats)],
    )


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
