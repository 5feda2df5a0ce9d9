"""Random small worlds, in the database and as `Thing`s."""

import random
from datetime import tzinfo

from crm.auth import Caller
from crm.ids import close_id
from crm.models import Activity, Contact, Group, Lead, Opportunity, Suppression
from search.models import SavedSearch
from tests.factories import CustomFieldFactory, LeadFactory, LeadStatusFactory, UserFactory
from tests.search import helpers as q
from tests.search.deal_worlds import hang_on, make_pipeline
from tests.search.matcher import Matcher, Thing
from tests.search.pools import (
    FIELD_TYPES,
    MOMENTS,
    PARTS,
    TYPES,
    World,
    custom_texts,
    custom_values,
    random_text,
)

PLACES = [{"country": "us", "state": "ca"}, {"country": "DE"}, {"country": "in"}, {"country": "FR", "state": "NY"}]


def matcher_of(caller: Caller, world: World, tz: tzinfo) -> Matcher:
    return Matcher(caller.user.pk, q.NOW, tz, world.kinds, world.views, world.groups)


def build(caller: Caller, seed: int, leads: int) -> World:
    """A world in the caller's organization, the same for the same seed."""
    pick = random.Random(seed)
    world = World()
    world.texts += [random_text(pick) for _ in range(6)]
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
    world.groups = {_group(caller, world, name, size): world.users[-size:] for name, size in (("Most", 2), ("One", 1))}
    _views(caller, world)
    _strangers(caller, world, pick)
    return world


def _group(caller: Caller, world: World, name: str, size: int) -> str:
    group = Group.objects.create(organization=caller.organization, name=name)
    group.members.set(world.users[-size:])
    return close_id("group", group.pk)


def _views(caller: Caller, world: World) -> None:
    """Smart Views of some types; the last one refers to others."""
    mine = q.where(q.regular("lead", "created_by"), {"type": "current_user"})
    queries = [
        ("lead", q.any_of(mine, q.text("oakvale"))),
        ("contact", q.where(q.regular("contact", "emails_count"), {"type": "number_range", "gt": 0})),
        ("opportunity", q.all_of(q.where(q.regular("opportunity", "status_type"), q.term("active")), negate=True)),
        ("activity.call", q.where(q.regular("activity.call", "direction"), q.term("inbound"))),
    ]
    for place in range(5):
        if place < 4:
            object_type, query = queries[place]
        else:
            parts = [{"type": "saved_search", "saved_search_id": written} for written in world.views]
            object_type, query = "lead", q.any_of(parts[0], q.related("lead", "contact", parts[1]), parts[2])
        row = SavedSearch.objects.create(
            organization=caller.organization, user=caller.user, name=f"View {place}",
            type=object_type.removeprefix("activity."),
            s_query={"query": q.all_of(q.of_type(object_type), query), "sort": [], "results_limit": 1},
        )  # fmt: skip
        world.views[close_id("save", row.pk)] = (object_type, query)


def _strangers(caller: Caller, world: World, pick: random.Random) -> None:
    """What is never found: a lead marked as deleted with all that hangs on it, and the lead of another organization.

    A contact who is alive may stand on records of the deleted lead: it moved.
    """
    gone = LeadFactory.create(organization=caller.organization, name="Oakvale", deleted_at=MOMENTS[0])
    Contact.objects.create(organization=caller.organization, lead=gone, name="Ida Oakvale")
    for key in [None, *world.things["contact"]][:4]:
        own = {"organization": caller.organization, "lead": gone, "contact_id": key}
        for kind in ("email", "call"):
            Activity.objects.create(**own, type=kind, text=pick.choice(world.texts), direction="inbound")
        Opportunity.objects.create(**own, status=pick.choice(world.stages), value=100)
    LeadFactory.create(name="Oakvale")


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
    plain = {name: pick.choice(world.texts) for name in ("name", "description", "url")}
    lead = Lead.objects.create(**_record(caller, world, pick, "lead"), **plain, status_id=pick.choice(world.statuses))
    thing = _thing(lead, "lead", world, {**plain, "status_id": lead.status_id})
    thing.says += [text for text in plain.values() if text]
    thing.related = {"address": [], "contact": [], "contact_email": [], "contact_phone": [], "contact_url": []}
    for position in range(pick.randint(0, 2)):
        parts = {part: pick.choice(world.texts) for part in PARTS}
        if pick.random() < 0.5:
            parts |= pick.choice(PLACES)
        lead.addresses.create(organization=caller.organization, position=position, **parts)
        written = [text for text in parts.values() if text]
        address = Thing("address", None, {**parts, "location": " ".join(written)}, {"lead": [thing]}, written)
        thing.related["address"].append(address)
    people = [_contact(caller, world, pick, thing, position) for position in range(pick.randint(0, 2))]
    urls = sum(contact.values["urls_count"] for contact in people)
    thing.values["addresses_count"] = len(thing.related["address"])
    thing.values["all_urls_count"] = urls + bool(plain["url"])
    thing.values["display_name"] = plain["name"] or (people[0].values["known_by"] if people else None)
    hang_on(caller, world, pick, lead, thing)


def _contact(caller: Caller, world: World, pick: random.Random, lead: Thing | None, position: int) -> Thing:
    plain = {"name": pick.choice(world.texts), "title": pick.choice(world.texts)}
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
            {kind: pick.choice([text for text in world.texts if text is not None]), "type": pick.choice(TYPES)}
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
