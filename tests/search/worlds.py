"""Random small worlds, in the database and as `Thing`s, and random queries over them."""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID, uuid4

from hypothesis import strategies as st

from crm.auth import Caller
from crm.ids import close_id
from crm.models import Contact, CustomField, Lead, Suppression
from tests.factories import CustomFieldFactory, LeadStatusFactory, UserFactory
from tests.search import helpers as q
from tests.search.matcher import Thing

TEXTS = [
    None,
    "",
    "Oakvale Mills",
    "oakvale",
    "Mills & Søn, Oakvale",
    "École du Nord",
    "E\u0301COLE DU NORD",
    "東京タワー株式会社",
    "東京 Mills",
    "กรุงเทพ",
    "10-5 and/or 100%",
    "ida@oakvale.example",
    "lev.adler@blueharbor.example",
    "😀 !?",
    "İzmir ΣΟΦΟΣ",
    "a\\b'c\"%_",
    "हिन्दी",
]
WANTED = [text for text in TEXTS if text is not None]
WANTED += ["mill", "oak mi", "タワー", "東京", "ecole", "nord", "%", "oakvale.example"]
TYPES = ["office", "mobile", "", "url"]
CHOICES = ["Gold", "Silver", "Gold plated", "東京"]
DAYS = ["2031-03-14", "2031-03-15", "2031-03-16", "2031-03-17"]
MOMENTS = [datetime(2031, 3, day, hour, tzinfo=UTC) for day in (14, 15, 16, 17) for hour in (0, 4, 9, 23)]
NUMBERS = [0, 1, -2, 2.5, 10**12]
FIELD_TYPES = [
    ("text", False), ("number", False), ("date", False), ("datetime", False), ("choices", False), ("choices", True),
    ("user", False), ("user", True), ("hidden", False), ("textarea", False), ("contact", True),
]  # fmt: skip
PARTS = ["address_1", "address_2", "city", "state", "zipcode", "country"]


@dataclass
class World:
    things: dict[str, dict[UUID, Thing]] = field(default_factory=lambda: {"lead": {}, "contact": {}})
    custom: dict[str, list[CustomField]] = field(default_factory=dict)
    users: list[UUID] = field(default_factory=list)
    statuses: list[UUID] = field(default_factory=list)

    @property
    def kinds(self) -> dict[str, str]:
        return {one.key: one.type for fields in self.custom.values() for one in fields}


def build(caller: Caller, seed: int, leads: int) -> World:
    """A world in the caller's organization, the same for the same seed."""
    pick = random.Random(seed)
    world = World()
    organization = caller.organization
    world.users = [caller.user.pk, UserFactory.create().pk, UserFactory.create().pk]
    world.statuses = [LeadStatusFactory.create(organization=organization).pk for _ in range(3)]
    for object_type in ("lead", "contact"):
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
    held = {one.key: _custom_value(one, world, pick) for one in world.custom[object_type]}
    return {
        "organization_id": caller.organization.pk,
        "date_created": pick.choice(MOMENTS),
        "date_updated": pick.choice(MOMENTS),
        "created_by_id": pick.choice([None, *world.users]),
        "updated_by_id": pick.choice([None, *world.users]),
        "custom": {key: value for key, value in held.items() if value is not None},
    }


def _custom_value(one: CustomField, world: World, pick: random.Random) -> object:
    if pick.random() < 0.4:
        return None
    contacts = [str(key) for key in world.things["contact"]] or [str(uuid4())]
    pool = {
        "number": NUMBERS,
        "date": DAYS,
        "datetime": [moment.isoformat(timespec="microseconds") for moment in MOMENTS],
        "choices": CHOICES,
        "user": [str(key) for key in world.users],
        "contact": contacts,
    }.get(one.type, [text for text in TEXTS if text])
    if not one.accepts_multiple_values:
        return pick.choice(pool)
    return list(dict.fromkeys(pick.choice(pool) for _ in range(pick.randint(1, 2))))


def _thing(record: Lead | Contact, object_type: str, world: World, plain: dict[str, object]) -> Thing:
    names = {"created_by": record.created_by_id, "updated_by": record.updated_by_id}
    dates = {"date_created": record.date_created, "date_updated": record.date_updated}
    thing = Thing(object_type, record.pk, {**names, **dates, **plain, **record.custom})
    kinds = world.kinds
    for key, value in record.custom.items():
        if kinds[key] in ("text", "textarea", "hidden", "choices"):
            thing.says += value if isinstance(value, list) else [value]
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
REFERENCES = {"created_by": "user", "updated_by": "user", "status_id": "status.lead", "lead_id": "lead"}
REGULAR = {
    "lead": ["name", "display_name", "description", "url", "status_id", "created_by", "updated_by", "date_created",
             "date_updated", "addresses_count", "all_urls_count"],
    "contact": ["name", "title", "lead_id", "created_by", "updated_by", "date_created", "date_updated", "emails_count",
                "phones_count", "urls_count"],
    "contact_email": ["email", "type", "is_unsubscribed"],
    "contact_phone": ["phone", "type"],
    "contact_url": ["url", "type"],
    "address": [*PARTS, "location"],
}  # fmt: skip
NEIGHBOURS = {
    "lead": ["contact", "address", "contact_email", "contact_phone", "contact_url"],
    "contact": ["lead", "contact_email", "contact_phone", "contact_url"],
    "contact_email": ["contact", "lead"],
    "contact_phone": ["contact", "lead"],
    "contact_url": ["contact", "lead"],
    "address": ["lead"],
}
MODES = st.sampled_from(["full_words", "phrase", "exact_value", "beginning_of_words"])


def moments() -> st.SearchStrategy:
    written = [moment.isoformat() for moment in MOMENTS] + ["2031-03-15T22:00:00+09:00", "2031-03-16T00:00:00"]
    return st.one_of(
        st.none(),
        st.just({"type": "now"}),
        st.builds(q.instant, st.sampled_from(written)),
        st.builds(q.day, st.sampled_from(DAYS), st.sampled_from(["start", "end"])),
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


def kind_of_regular(name: str) -> str:
    if name in REFERENCES:
        return REFERENCES[name]
    if name.endswith("_count"):
        return "number"
    if name.startswith("date_"):
        return "moment"
    return "boolean" if name == "is_unsubscribed" else "text"


def kind_of_custom(one: CustomField) -> str:
    kinds = {"number": "number", "date": "moment", "datetime": "moment", "user": "user", "contact": "contact"}
    return kinds.get(one.type, "text")


def leaves(object_type: str, world: World) -> st.SearchStrategy:
    fields = [(q.regular(object_type, name), kind_of_regular(name)) for name in REGULAR[object_type]]
    fields += [(q.custom(one), kind_of_custom(one)) for one in world.custom.get(object_type, [])]
    conditioned = st.sampled_from(fields).flatmap(
        lambda found: conditions(found[1], world).map(lambda condition: q.where(found[0], condition))
    )
    prefix = {"lead": "lead", "contact": "cont"}.get(object_type)
    keys = [close_id(prefix, key) for key in world.things[object_type]] if prefix else []
    some_id = st.sampled_from([*keys, close_id("lead", uuid4()), "lead_made_up"])
    return st.one_of(
        conditioned,
        conditioned,
        st.builds(q.text, st.sampled_from(WANTED), MODES),
        some_id.map(lambda written: {"type": "id", "value": written}),
        st.just(q.MATCH_ALL),
        st.sampled_from(["lead", "contact"]).map(q.of_type),
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
