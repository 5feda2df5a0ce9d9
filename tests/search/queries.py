"""Random queries over random worlds: every node, condition, moment and field that the worlds know.

Strategies are kept, since making them takes longer than drawing from them.
"""

from functools import cache
from uuid import uuid4

from hypothesis import strategies as st

from crm.ids import close_id
from crm.models import CustomField
from tests.search import helpers as q
from tests.search.deal_worlds import HANGING
from tests.search.matcher import PREFIX
from tests.search.pools import (
    CHOICES,
    CUSTOM_OBJECTS,
    DAYS,
    MOMENTS,
    MORE_DAYS,
    NUMBERS,
    PARTS,
    PIECES,
    RESULTS,
    TYPES,
    WANTED,
    World,
)
from tests.search.smart_values import NEVER, SMART

PERIODS = ["today", "yesterday", "tomorrow"]
PERIODS += [f"{place}-{unit}" for place in ("this", "last", "next") for unit in ("week", "month", "quarter", "year")]
REFERENCES = {"created_by": "user", "updated_by": "user", "user_id": "user", "assigned_to": "user", "lead_id": "lead",
              "contact_id": "contact"}  # fmt: skip
_RECORD = ["created_by", "updated_by", "date_created", "date_updated", "lead_id", "contact_id"]
_ACTIVITY = [*_RECORD, "user_id", "date", "activity_at"]
REGULAR = {
    "lead": ["name", "display_name", "description", "url", "status_id", "created_by", "updated_by", "date_created",
             "date_updated", "addresses_count", "all_urls_count", *SMART, *NEVER],
    "contact": ["name", "title", "lead_id", "created_by", "updated_by", "date_created", "date_updated", "emails_count",
                "phones_count", "urls_count"],
    "contact_email": ["email", "type", "is_unsubscribed"],
    "contact_phone": ["phone", "type"],
    "contact_url": ["url", "type"],
    "address": [*PARTS, "location"],
    "opportunity": [*_RECORD, "user_id", "status_id", "status_type", "status_label", "pipeline_id", "pipeline_name",
                    "lead_name", "value", "value_period", "annualized_value", "expected_value",
                    "annualized_expected_value", "confidence", "note", "date_won", "date_lost"],
    "activity.email": [*_ACTIVITY, "direction", "status", "date_sent", "has_reply", "subject", "body_text", "sender"],
    "activity.call": [*_ACTIVITY, "direction", "status", "duration", "disposition", "note", "phone", "remote_phone",
                      "local_phone"],
    "activity.note": [*_ACTIVITY, "note", "title"],
    "activity.sms": [*_ACTIVITY, "direction", "status", "date_sent", "text", "phone", "remote_phone",
                     "local_phone"],
    "activity.meeting": [*_ACTIVITY, "status", "title", "note", "starts_at", "ends_at",
                         "duration"],
    "task": [*_RECORD, "assigned_to", "type", "text", "date", "due_date", "is_complete", "priority"],
}  # fmt: skip
NEIGHBOURS = {
    "lead": ["contact", "address", "contact_email", "contact_phone", "contact_url", *HANGING],
    "contact": ["lead", "contact_email", "contact_phone", "contact_url", *HANGING],
    "contact_email": ["contact", "lead"],
    "contact_phone": ["contact", "lead"],
    "contact_url": ["contact", "lead"],
    "address": ["lead"],
    **{name: ["lead", "contact"] for name in HANGING},
}
ZONES = ["Europe/Berlin", "Europe/Paris", "Asia/Kolkata", "America/Los_Angeles", "europe/paris"]
ENUMS = ["FR", "us", "incoming", "outgoing", "inbound", "outbound", "completed", "sent", "active", "won", "email",
         "call", "monthly", "lead", "high", "no-answer", "Sales"]  # fmt: skip
MODES = st.sampled_from(["full_words", "phrase", "exact_value", "beginning_of_words"])


@cache
def moments() -> st.SearchStrategy:
    return st.one_of(st.none(), _moment())


@cache
def _moment(depth: int = 2) -> st.SearchStrategy:
    written = [moment.isoformat() for moment in MOMENTS] + ["2031-03-15T22:00:00+09:00", "2031-03-16T00:00:00"]
    edges = st.sampled_from(["start", "end"])
    plain = [
        st.just({"type": "now"}),
        st.builds(q.instant, st.sampled_from(written)),
        st.builds(q.day, st.sampled_from(DAYS + MORE_DAYS), edges),
        st.builds(q.period, st.sampled_from(PERIODS), edges),
    ]
    return st.one_of(*plain, _offsets(depth)) if depth else st.one_of(*plain)


@st.composite
def _offsets(draw: st.DrawFn, depth: int) -> q.Json:
    most = {"years": 2, "months": 14, "weeks": 5, "days": 40, "hours": 50, "minutes": 2000, "seconds": 5000}
    names = draw(st.lists(st.sampled_from(list(most)), max_size=3, unique=True))
    parts = {name: draw(st.one_of(st.none(), st.integers(0, most[name]))) for name in names}
    direction, edge = draw(st.sampled_from(["past", "future"])), draw(st.sampled_from([None, "start", "end"]))
    return q.shifted(direction=direction, edge=edge, moment=draw(_moment(depth - 1)), **parts)


@cache
def wanted_texts(world: World) -> st.SearchStrategy:
    known = [text for text in world.texts if text is not None] + WANTED
    parts = [word for text in known for word in text.split()] + [text[1:-1] for text in known]
    pieces = st.lists(st.sampled_from([*PIECES, " "]), max_size=4).map("".join)
    return st.one_of(st.sampled_from(known), st.sampled_from(known), st.sampled_from(parts), pieces)


@cache
def conditions(kind: str, world: World) -> st.SearchStrategy:
    texts = st.builds(q.text, wanted_texts(world), MODES)
    words = st.sampled_from([*(text for text in world.texts if text), *CHOICES, *TYPES, *ENUMS])
    terms = st.builds(lambda values: q.term(*values), st.lists(words, max_size=3))
    bounds = st.one_of(st.none(), st.sampled_from([*NUMBERS, 2, 3]))
    optional = dict.fromkeys(["gt", "gte", "lt", "lte"], bounds)
    ranges = st.fixed_dictionaries({"type": st.just("number_range")}, optional=optional)
    times = st.fixed_dictionaries(
        {"type": st.just("moment_range")}, optional={"on_or_after": moments(), "before": moments()}
    )
    keys = {
        "user": [close_id("user", key) for key in world.users],
        "status.lead": [close_id("stat", key) for key in world.statuses],
        "status.opportunity": [close_id("stat", stage.pk) for stage in world.stages],
        "lead": [close_id("lead", key) for key in world.things["lead"]],
        "contact": [close_id("cont", key) for key in world.things["contact"]],
        "pipeline": [close_id("pipe", stage.pipeline_id) for stage in world.stages],
        "custom_object": [close_id("custobj", key) for key in CUSTOM_OBJECTS],
    }.get(kind, [])
    strange = [close_id("user", uuid4()), "user_nonsense", ""]
    some = st.lists(st.sampled_from([*keys, *strange]), max_size=3)
    by_kind = {
        "text": [texts, terms],
        "zone": [_local_times(), texts, st.builds(lambda zone: q.term(zone), st.sampled_from(ZONES))],
        "number": [ranges],
        "moment": [times],
        "boolean": [st.builds(lambda value: {"type": "boolean", "value": value}, st.booleans())],
    }
    if kind in by_kind:
        return st.one_of(*by_kind[kind], st.just(q.EXISTS))
    references = [some.map(lambda found: q.term(*found))]
    if kind != "pipeline":
        references.append(some.map(lambda found: {"type": "reference", "reference_type": kind, "object_ids": found}))
    if kind == "user":
        whom = st.lists(st.sampled_from([*keys, *strange, *world.groups, "CURRENT_USER"]), max_size=3)
        others = whom.map(lambda found: {"type": "reference", "reference_type": "user_or_group", "object_ids": found})
        references += [st.just({"type": "current_user"}), others, others]
    return st.one_of(*references, st.just(q.EXISTS))


@cache
def _local_times() -> st.SearchStrategy:
    times = st.sampled_from([None, "00:00:00", "02:30:00", "09:30:00", "10:30:00", "10:30:01", "15:00:00", "23:59:59"])
    return st.fixed_dictionaries({"type": st.just("local_time")}, optional={"on_or_after": times, "before": times})


def kind_of_regular(object_type: str, name: str) -> str:
    if name == "status_id":
        return f"status.{object_type}"
    if name in REFERENCES:
        return REFERENCES[name]
    if name.endswith("user_id"):
        return "user"
    if name.endswith("pipeline_id"):
        return "pipeline"
    if name == "timezone_id":
        return "zone"
    if name in ("is_unsubscribed", "has_reply", "is_complete"):
        return "boolean"
    if name.endswith(("date", "_created", "_won", "_lost", "_sent", "_at", "_updated", "_opened")) or name == "date":
        return "moment"
    if name.startswith(("num_", "times_")) or name.endswith(("_count", "value", "duration", "confidence")):
        return "number"
    return "text"


def kind_of_custom(one: CustomField) -> str:
    kinds = {"date": "moment", "datetime": "moment"}
    kinds |= {name: name for name in ("number", "user", "contact", "custom_object")}
    return kinds.get(one.type, "text")


def _in_status(statuses: list[str], first: object, last: object) -> dict[str, object]:
    return {"type": "in_status", "status_ids": statuses, "on_or_after": first, "before": last}


@cache
def leaves(object_type: str, world: World) -> st.SearchStrategy:
    fields = [(q.regular(object_type, name), kind_of_regular(object_type, name)) for name in REGULAR[object_type]]
    fields += [(q.custom(one), kind_of_custom(one)) for one in world.custom.get(object_type, [])]
    by_kind: dict[str, list[q.Json]] = {}
    for field, kind in fields:
        by_kind.setdefault(kind, []).append(field)
    kinds = [*sorted(by_kind), *(kind for kind in by_kind if kind == "zone")]  # only there a local time can stand
    one_field = st.sampled_from(kinds).flatmap(
        lambda kind: st.tuples(st.sampled_from(by_kind[kind]), conditions(kind, world))
    )
    conditioned = one_field.map(lambda drawn: q.where(*drawn))
    prefix = PREFIX.get(object_type)
    keys = [close_id(prefix, key) for key in world.things.get(object_type, ())] if prefix else []
    some_id = st.sampled_from([*keys, close_id("lead", uuid4()), "lead_made_up", ""])
    some_id = some_id.map(lambda written: {"type": "id", "value": written})
    views = st.sampled_from(list(world.views)).map(lambda view: {"type": "saved_search", "saved_search_id": view})
    more = [] if object_type in ("address", "task") else [views]
    if object_type in ("lead", "opportunity"):
        statuses = world.statuses if object_type == "lead" else [stage.pk for stage in world.stages]
        written = st.lists(st.sampled_from([close_id("stat", key) for key in statuses]), max_size=2)
        more += [st.builds(_in_status, written, moments(), moments())] * 2
    return st.one_of(
        *[conditioned] * 4,
        *more,
        st.builds(q.text, wanted_texts(world), MODES),
        wanted_texts(world).map(lambda wanted: {"type": "text", "value": wanted}),
        some_id,
        st.lists(some_id, max_size=4).map(lambda ids: q.any_of(*ids)),
        st.just(q.MATCH_ALL),
        st.sampled_from(RESULTS).map(q.of_type),
    )


@st.composite
def nodes(draw: st.DrawFn, object_type: str, world: World, depth: int) -> dict[str, object]:
    """A query over objects of that type."""
    shape = draw(st.sampled_from(["leaf", "leaf", "and", "or", "related", "related"])) if depth else "leaf"
    if shape == "leaf":
        node = draw(leaves(object_type, world))
    elif shape == "related":
        other = draw(st.sampled_from(NEIGHBOURS[object_type]))
        node = q.related(object_type, other, draw(nodes(other, world, depth - 1)))
    else:
        node = {"type": shape, "queries": draw(st.lists(nodes(object_type, world, depth - 1), max_size=3))}
    return {**node, "negate": True} if draw(st.booleans()) else node


@cache
def sortable(object_type: str, world: World) -> list[q.Json]:
    """Every field of that type that has an order."""
    ordered = ("text", "number", "moment", "zone")
    fields = [
        q.regular(object_type, name) for name in REGULAR[object_type] if kind_of_regular(object_type, name) in ordered
    ]
    mine = [one for one in world.custom.get(object_type, []) if not one.accepts_multiple_values]
    return fields + [q.custom(one) for one in mine if kind_of_custom(one) in ordered]


@st.composite
def sorts(draw: st.DrawFn, object_type: str, world: World) -> list[q.Json]:
    """Up to three fields with an order."""
    chosen = draw(st.lists(st.sampled_from(sortable(object_type, world)), max_size=3))
    return [{"direction": draw(st.sampled_from(["asc", "desc"])), "field": field} for field in chosen]
