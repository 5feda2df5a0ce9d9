"""Short spellings of queries, and ways to run one."""

from datetime import UTC, datetime, tzinfo
from uuid import UUID

from django.db import connection

from crm.auth import Caller
from crm.ids import close_id
from crm.models import ApiKey, CustomField, Membership
from search.compiler import matching
from search.resolve import Resolved, resolve

NOW = datetime(2031, 3, 16, 9, 30, tzinfo=UTC)
Json = dict[str, object]


def all_of(*queries: Json, negate: bool = False) -> Json:
    return {"type": "and", "queries": list(queries), "negate": negate}


def any_of(*queries: Json, negate: bool = False) -> Json:
    return {"type": "or", "queries": list(queries), "negate": negate}


def no(query: Json) -> Json:
    return {**query, "negate": not query.get("negate", False)}


def of_type(object_type: str) -> Json:
    return {"type": "object_type", "object_type": object_type}


def regular(object_type: str, name: str) -> Json:
    return {"type": "regular_field", "object_type": object_type, "field_name": name}


def custom(field: CustomField) -> Json:
    return {"type": "custom_field", "custom_field_id": close_id("cf", field.pk)}


def where(field: Json, condition: Json) -> Json:
    return {"type": "field_condition", "field": field, "condition": condition}


def related(this: str, other: str, query: Json) -> Json:
    return {"type": "has_related", "this_object_type": this, "related_object_type": other, "related_query": query}


def text(value: str, mode: str = "full_words") -> Json:
    return {"type": "text", "mode": mode, "value": value}


def term(*values: str) -> Json:
    return {"type": "term", "values": list(values)}


def day(value: str, which: str = "start") -> Json:
    return {"type": "fixed_local_date", "value": value, "which": which}


def instant(value: str) -> Json:
    return {"type": "fixed_utc", "value": value}


def shifted(*, direction: str = "past", moment: Json | None = None, edge: str | None = None, **parts: float) -> Json:
    """An offset from `moment`, else from now."""
    return {
        "type": "offset", "direction": direction, "moment": moment or {"type": "now"}, "offset": parts,
        "which_day_end": edge,
    }  # fmt: skip


def period(name: str, which: str = "start") -> Json:
    return {"type": "start_end_of_predefined_relative_period", "range": name, "which": which}


EXISTS: Json = {"type": "exists"}
MATCH_ALL: Json = {"type": "match_all"}


def caller_of(membership: Membership) -> Caller:
    return Caller(membership.organization, membership.user, membership, ApiKey(membership=membership))


def resolved(
    caller: Caller, query: object, *, sort: object = None, tz: tzinfo = UTC, for_bulk: bool = False, **more: object
) -> Resolved:
    return resolve(query=query, sort=sort, caller=caller, tz=tz, now=NOW, for_bulk=for_bulk, **more)


def settle() -> None:
    """Do what a commit does before it commits: bring the text index up to date."""
    connection.check_constraints()


def sort_in() -> None:
    """Do what autovacuum does: sort new words into the text index. The planner takes them for dear to read until then,
    a word for 2,044 in place of 30."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT gin_clean_pending_list('search_leadwords_words')")


def ids(caller: Caller, query: object, **options: object) -> list[UUID]:
    """The keys of what matches, in order; through JSON, as a job would run it."""
    settle()
    kept = Resolved.from_json(resolved(caller, query, **options).to_json())
    return list(matching(kept, caller.organization.pk).values_list("pk", flat=True))
