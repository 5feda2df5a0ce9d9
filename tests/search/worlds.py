"""Random small worlds, in the database and as `Thing`s, and random queries over them."""

import random
from uuid import uuid4

from hypothesis import strategies as st

from crm.auth import Caller
from crm.ids import close_id
from crm.models import Contact, CustomField, Lead, Suppression
from tests.factories import CustomFieldFactory, LeadStatusFactory, UserFactory
from tests.search import helpers as q
from tests.search.deal_worlds import HANGING, hang_on, make_pipeline
from tests.search.matcher import PREFIX, Thing
from tests.search.pools import (
    CHOICES,
    DAYS,
    FIELD_TYPES,
    MOMENTS,
    NUMBERS,
    PARTS,
    TEXTS,
    TYPES,
    WANTED,
    World,
    custom_texts,
    custom_values,
)
from tests.search.smart_values import SMART

PERIODS = ["today", "yesterday", "tomorrow", "this-week", "last-week", "next-week", "this-month", "last-year"]


def build(caller: Caller, seed: int, leads: int) -> World:
    """A world in the caller's organization, the same for the same seed."""
    pick = random.Random(seed)
    world = World()
    organization = caller.organization
    world.users = [caller.user.pk, UserFactory.create().pk, UserFactory.create().pk]
    world.statuses = [LeadStatusFactory.create(organization=organization).pk for _ in range(3)]
    world.stages = make_pipeline(caller)
    for object_type in ("lead", "contact", "opportunity"):
        world.custom[object_type] = [
            CustomFieldFactory.create(
                organization=organization, object_type=object_type, type=type_, accepts_multiple_values=multiple
            )
            for type_, multiple in FIELD_TYPES
        ]
    Suppression.objects.create(organization=organization, address="ida@oakvale.example", reason="unsubscribed")
    for _ in range(leads):
        _lead(caller, world, pick)
    _contact(caller, world, pick, None, 0)
    return world


def _record(caller: Caller, world: World, pick: random.Random, object_type: str) -> dict[str, object]:
    return {
        "organization_id": caller.organization.pk,
        "date_created": pick.choice(MOMENTS),
        "date_updated": pick.choice(MOMENTS),
        "created_by_id": pick.choice([None, *world.users]),
        "updated_by_id": pick.choice([None, *world.users]),
        "custom": custom_values(world, pick, object_type),
    }


def _thing(record: Lead | Contact, object_type: str, world: World, plain: dict[str, object]) -> Thing:
    names = {"created_by": record.created_by_id, "updated_by": record.updated_by_id}
    dates = {"date_created": record.date_created, "date_updated": record.date_updated}
    thing = Thing(object_type, record.pk, {**names, **dates, **plain, **record.custom})
    thing.says += custom_texts(world, record.custom)
    world.things[object_type][record.pk] = thing
    return thing


def _lead(caller: Caller, world: World, pick: random.Random) -> None:
    plain = {name: pick.choice(TEXTS) for name in ("name", "description", "url")}
    lead = Lead.objects.create(**_record(caller, world, pick, "lead"), **plain, status_id=pick.choice(world.statuses))
    thing = _thing(lead, "lead", world, {**plain, "status_id": lead.status_id})
    thing.says += [text for text in plain.values() if text]
    thing.related = {"address": [], "contact": [], "contact_email": [], "contact_phone": [], "contact_url": []}
    for position in range(pick.randint(0, 2)):
        parts = {part: pick.choice([*TEXTS, "FR"]) for part in PARTS}
        lead.addresses.create(organization=caller.organization, position=position, **parts)
        written = [text for text in parts.values() if text]
        address = Thing("address", None, {**parts, "location": " ".join(written)}, {"lead": [thing]}, written)
        thing.related["address"].append(address)
    people = [_contact(caller, world, pick, thing, position) for position in range(pick.randint(0, 2))]
    urls = sum(contact.values["urls_count"] for contact in people)
    thing.values["addresses_count"] = len(thing.related["address"])
    thing.values["all_urls_count"] = urls + bool(plain["url"])
    thing.values["display_name"] = plain["name"] or (people[0].values["known_by"] if people else None)
    hang_on(caller, world, pick, lead, thing, TEXTS)


def _contact(caller: Caller, world: World, pick: random.Random, lead: Thing | None, position: int) -> Thing:
    plain = {"name": pick.choice(TEXTS), "title": pick.choice(TEXTS)}
    first, last = pick.choice([None, "", "Lev"]), pick.choice([None, "Adler"])
    contact = Contact.objects.create(
        **_record(caller, world, pick, "contact"), **plain, first_name=first, last_name=last,
        lead_id=lead and lead.key, position=position,
    )  # fmt: skip
    name = plain["name"] or " ".join(part for part in (first, last) if part)
    values = {"name": name, "title": plain["title"], "lead_id": contact.lead_id}
    thing = _thing(contact, "contact", world, values)
    thing.says += [text for text in (name, plain["title"]) if text]
    thing.related = {"lead": [lead] if lead else []}
    if lead:
        lead.related["contact"].append(thing)
    for kind in ("email", "phone", "url"):
        details = [
            {kind: pick.choice([text for text in TEXTS if text is not None]), "type": pick.choice(TYPES)}
            for _ in range(pick.randint(0, 2))
        ]
        things = []
        for place, detail in enumerate(details):
            getattr(contact, f"{kind}s").create(organization=caller.organization, position=place, **detail)
            extra = {"is_unsubscribed": detail[kind] == "ida@oakvale.example"} if kind == "email" else {}
            things.append(
                Thing(f"contact_{kind}", None, {**detail, **extra}, {"contact": [thing], "lead": thing.related["lead"]},
                      [detail[kind]])
            )  # fmt: skip
        thing.related[f"contact_{kind}"] = things
        thing.values[f"{kind}s_count"] = len(things)
        thing.says += [detail[kind] for detail in details if detail[kind]]
        if lead:
            lead.related[f"contact_{kind}"] += things
    reach = [other.values[kind] for kind in ("email", "phone") for other in thing.related[f"contact_{kind}"][:1]]
    thing.values["known_by"] = name or (reach[0] if reach else None)
    return thing


# --- queries ----------------------------------------------------------------------------------------------------------
REFERENCES = {"created_by": "user", "updated_by": "user", "user_id": "user", "assigned_to": "user", "lead_id": "lead",
              "contact_id": "contact"}  # fmt: skip
_RECORD = ["created_by", "updated_by", "date_created", "date_updated", "lead_id", "contact_id"]
_ACTIVITY = [*_RECORD, "user_id", "date", "activity_at"]
REGULAR = {
    "lead": ["name", "display_name", "description", "url", "status_id", "created_by", "updated_by", "date_created",
             "date_updated", "addresses_count", "all_urls_count", *SMART],
    "contact": ["name", "title", "lead_id", "created_by", "updated_by", "date_created", "date_updated", "emails_count",
                "phones_count", "urls_count"],
    "contact_email": ["email", "type", "is_unsubscribed"],
    "contact_phone": ["phone", "type"],
    "contact_url": ["url", "type"],
    "address": [*PARTS, "location"],
    "opportunity": [*_RECORD, "user_id", "status_id", "status_type", "status_label", "pipeline_name", "lead_name",
                    "value", "value_period", "annualized_value", "expected_value", "annualized_expected_value",
                    "confidence", "note", "date_won", "date_lost"],
    "activity.email": [*_ACTIVITY, "direction", "status", "date_sent", "has_reply", "subject", "body_text", "sender"],
    "activity.call": [*_ACTIVITY, "direction", "duration", "disposition", "note", "phone", "local_phone"],
    "activity.note": [*_ACTIVITY, "note", "title"],
    "activity.sms": [*_ACTIVITY, "direction", "status", "date_sent", "text", "remote_phone"],
    "activity.meeting": [*_ACTIVITY, "status", "title", "note", "starts_at", "duration"],
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
MODES = st.sampled_from(["full_words", "phrase", "exact_value", "beginning_of_words"])


def moments() -> st.SearchStrategy:
    written = [moment.isoformat() for moment in MOMENTS] + ["2031-03-15T22:00:00+09:00", "2031-03-16T00:00:00"]
    return st.one_of(
        st.none(),
        st.just({"type": "now"}),
        st.builds(q.instant, st.sampled_from(written)),
        st.builds(q.day, st.sampled_from(DAYS), st.sampled_from(["start", "end"])),
        st.builds(q.period, st.sampled_from(PERIODS), st.sampled_from(["start", "end"])),
        st.builds(
            lambda direction, edge, part, size: q.shifted(direction=direction, edge=edge, **{part: size}),
            st.sampled_from(["past", "future"]),
            st.sampled_from([None, "start", "end"]),
            st.sampled_from(["days", "weeks", "hours", "minutes"]),
            st.integers(0, 30),
        ),
    )


def conditions(kind: str, world: World) -> st.SearchStrategy:
    texts = st.builds(q.text, st.sampled_from(WANTED), MODES)
    words = st.sampled_from([*WANTED, *CHOICES, *TYPES, "FR"])
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
    }.get(kind, [])
    strange = [close_id("user", uuid4()), "user_nonsense", ""]
    some = st.lists(st.sampled_from([*keys, *strange]), max_size=3)
    by_kind = {
        "text": [texts, terms],
        "number": [ranges],
        "moment": [times],
        "boolean": [st.builds(lambda value: {"type": "boolean", "value": value}, st.booleans())],
    }
    if kind in by_kind:
        return st.one_of(st.just(q.EXISTS), *by_kind[kind])
    references = [
        some.map(lambda found: q.term(*found)),
        some.map(lambda found: {"type": "reference", "reference_type": kind, "object_ids": found}),
    ]
    if kind == "user":
        mine = st.just({"type": "reference", "reference_type": "user_or_group", "object_ids": ["CURRENT_USER"]})
        references += [st.just({"type": "current_user"}), mine]
    return st.one_of(st.just(q.EXISTS), *references)


def kind_of_regular(object_type: str, name: str) -> str:
    if name == "status_id":
        return f"status.{object_type}"
    if name in REFERENCES:
        return REFERENCES[name]
    if name.endswith("user_id"):
        return "user"
    if name in ("is_unsubscribed", "has_reply", "is_complete"):
        return "boolean"
    if name.endswith(("date", "_created", "_won", "_lost", "_sent", "_at", "_updated")) or name == "date":
        return "moment"
    if name.startswith(("num_", "times_")) or name.endswith(("_count", "value", "duration", "confidence")):
        return "number"
    return "text"


def kind_of_custom(one: CustomField) -> str:
    kinds = {"number": "number", "date": "moment", "datetime": "moment", "user": "user", "contact": "contact"}
    return kinds.get(one.type, "text")


def _in_status(statuses: list[str], first: object, last: object) -> dict[str, object]:
    return {"type": "in_status", "status_ids": statuses, "on_or_after": first, "before": last}


def leaves(object_type: str, world: World) -> st.SearchStrategy:
    fields = [(q.regular(object_type, name), kind_of_regular(object_type, name)) for name in REGULAR[object_type]]
    fields += [(q.custom(one), kind_of_custom(one)) for one in world.custom.get(object_type, [])]
    conditioned = st.sampled_from(fields).flatmap(
        lambda found: conditions(found[1], world).map(lambda condition: q.where(found[0], condition))
    )
    prefix = PREFIX.get(object_type)
    keys = [close_id(prefix, key) for key in world.things.get(object_type, ())] if prefix else []
    some_id = st.sampled_from([*keys, close_id("lead", uuid4()), "lead_made_up"])
    more = []
    if object_type in ("lead", "opportunity"):
        statuses = world.statuses if object_type == "lead" else [stage.pk for stage in world.stages]
        written = st.lists(st.sampled_from([close_id("stat", key) for key in statuses]), max_size=2)
        more = [st.builds(_in_status, written, moments(), moments())]
    return st.one_of(
        conditioned,
        conditioned,
        *more,
        st.builds(q.text, st.sampled_from(WANTED), MODES),
        some_id.map(lambda written: {"type": "id", "value": written}),
        st.just(q.MATCH_ALL),
        st.sampled_from(["lead", "contact", "opportunity"]).map(q.of_type),
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
