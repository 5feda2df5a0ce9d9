"""What hangs on the leads of a random world: opportunities, activities, tasks, changes of status."""

import random
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

from crm.auth import Caller
from crm.models import (
    Activity,
    Lead,
    LeadStatusChange,
    Opportunity,
    OpportunityStatus,
    OpportunityStatusChange,
    Task,
)
from tests.factories import OpportunityStatusFactory, PipelineFactory
from tests.search.matcher import Thing
from tests.search.pools import DAYS, MOMENTS, MORE_DAYS, World, custom_texts, custom_values
from tests.search.smart_values import KINDS, add_smart_values

STATUSES = {
    "call": ["completed", "no-answer", None],
    "email": ["inbox", "draft", "sent", "outbox", None],
    "sms": ["inbox", "sent", "error", None],
    "meeting": ["upcoming", "completed", "canceled", "declined-by-lead", None],
}
DIRECTIONS = {"email": ["incoming", "outgoing"], "call": ["inbound", "outbound"], "sms": ["inbound", "outbound"]}
DISPOSITIONS = [None, "", "answered", "no-answer", "busy", "abandoned", "missed"]
HANGING = ["opportunity", "task", *(f"activity.{kind}" for kind in KINDS)]


def make_pipeline(caller: Caller) -> list[OpportunityStatus]:
    pipeline = PipelineFactory.create(organization=caller.organization)
    return [OpportunityStatusFactory.create(pipeline=pipeline, type=type_) for type_ in ("active", "won", "lost")]


def hang_on(caller: Caller, world: World, pick: random.Random, lead: Lead, thing: Thing) -> None:
    """Adds a few of each kind to the lead, in the database and as `Thing`s."""
    for kind in HANGING:
        thing.related[kind] = []
    people: list[Thing] = thing.related["contact"]
    for _ in range(pick.randint(0, 3)):
        _opportunity(caller, world, pick, thing, pick.choice([None, *people]))
    for _ in range(pick.randint(0, 4)):
        _activity(caller, world, pick, thing, pick.choice([None, *people]))
    for _ in range(pick.randint(0, 2)):
        _task(caller, world, pick, thing, pick.choice([None, *people]))
    thing.entered = _lead_entries(caller, world, pick, lead)
    add_smart_values(thing)


def _add(thing: Thing, lead: Thing, contact: Thing | None) -> None:
    thing.related |= {"lead": [lead], "contact": [contact] if contact else []}
    for other in (lead, contact):
        if other:
            other.related.setdefault(thing.object_type, []).append(thing)


def _shared(world: World, pick: random.Random, lead: Thing, contact: Thing | None) -> dict[str, object]:
    return {
        "lead_id": lead.key,
        "contact_id": contact.key if contact else None,
        "date_created": pick.choice(MOMENTS),
        "date_updated": pick.choice(MOMENTS),
        "created_by_id": pick.choice([None, *world.users]),
        "updated_by_id": pick.choice([None, *world.users]),
    }


def _named(columns: dict[str, object]) -> dict[str, object]:
    renamed = {"created_by_id": "created_by", "updated_by_id": "updated_by", "assigned_to_id": "assigned_to"}
    return {renamed.get(name, name): value for name, value in columns.items()}


def _opportunity(caller: Caller, world: World, pick: random.Random, lead: Thing, contact: Thing | None) -> None:
    status = pick.choice(world.stages)
    columns = {
        **_shared(world, pick, lead, contact),
        "user_id": pick.choice([None, *world.users]),
        "status_id": status.pk,
        "value": pick.choice([None, 0, 100, 12_345, 10**12]),
        "value_period": pick.choice(["one_time", "monthly", "annual"]),
        "confidence": pick.choice([0, 33, 100]),
        "note": pick.choice(world.texts),
        "date_won": pick.choice([None, *(datetime.fromisoformat(day).date() for day in DAYS + MORE_DAYS)]),
        "date_lost": pick.choice([None, *MOMENTS]),
        "custom": custom_values(world, pick, "opportunity"),
    }
    deal = Opportunity.objects.create(organization=caller.organization, **columns)
    value = columns["value"]
    yearly = value * 12 if value is not None and columns["value_period"] == "monthly" else value
    thing = Thing("opportunity", deal.pk, {
        **_named(columns), **columns["custom"], "status_type": status.type, "status_label": status.label,
        "pipeline_id": status.pipeline_id, "pipeline_name": "Sales", "lead_name": lead.values["display_name"],
        "annualized_value": yearly, "expected_value": _share(value, columns["confidence"]),
        "annualized_expected_value": _share(yearly, columns["confidence"]),
    })  # fmt: skip
    thing.says = [text for text in [columns["note"]] if text] + custom_texts(world, columns["custom"])
    world.things["opportunity"][deal.pk] = thing
    _add(thing, lead, contact)
    thing.entered = [(deal.date_created, status.pk)]
    if pick.random() < 0.5:
        first, date = pick.choice(world.stages), pick.choice(MOMENTS)
        old = None if pick.random() < 0.3 else first
        OpportunityStatusChange.objects.create(
            organization=caller.organization, opportunity=deal, old_status=old, new_status=status, date_created=date
        )
        thing.entered = [(date, status.pk)] + ([(deal.date_created, old.pk)] if old else [])
        thing.changed = date if old else None


def _share(value: int | None, confidence: object) -> int | None:
    return None if value is None else int(Decimal(value * confidence) / 100 + Decimal("0.5"))  # type: ignore[operator]


def _activity(caller: Caller, world: World, pick: random.Random, lead: Thing, contact: Thing | None) -> None:
    kind = pick.choice(KINDS)
    is_phone = kind in ("call", "sms")
    columns = {
        **_shared(world, pick, lead, contact),
        "user_id": pick.choice([None, *world.users]),
        "activity_at": pick.choice(MOMENTS),
        "direction": pick.choice([None, *DIRECTIONS.get(kind, [])]),
        "status": pick.choice(STATUSES.get(kind, [None])),
        "title": pick.choice(world.texts) if kind in ("email", "note", "meeting") else None,
        "text": pick.choice(world.texts),
        "duration": pick.choice([None, 0, 60]) if kind in ("call", "meeting") else None,
        "disposition": pick.choice(DISPOSITIONS) if kind == "call" else None,
        "local_address": pick.choice(world.texts) if is_phone or kind == "email" else None,
        "remote_address": pick.choice(world.texts) if is_phone else None,
        "recipients": ["ida@oakvale.example"] if kind == "email" and pick.random() < 0.3 else [],
        "date_sent": pick.choice([None, *MOMENTS]) if kind in ("email", "sms") else None,
        "starts_at": pick.choice([None, *MOMENTS]) if kind == "meeting" else None,
        "ends_at": pick.choice([None, *MOMENTS]) if kind == "meeting" else None,
        "has_reply": kind == "email" and pick.random() < 0.5,
    }
    activity = Activity.objects.create(organization=caller.organization, type=kind, **columns)
    values = {**_named(columns), "date": columns["activity_at"], "type": kind}
    values |= {"note": columns["text"], "body_text": columns["text"], "subject": columns["title"]}
    values |= {"sender": columns["local_address"], "local_phone": columns["local_address"]}
    values |= {"remote_phone": columns["remote_address"], "phone": columns["remote_address"]}
    thing = Thing(f"activity.{kind}", activity.pk, values)
    said = [columns[name] for name in ("title", "text", "local_address", "remote_address")]
    thing.says = [text for text in [*said, *columns["recipients"]] if text]
    world.things[f"activity.{kind}"][activity.pk] = thing
    _add(thing, lead, contact)


def _task(caller: Caller, world: World, pick: random.Random, lead: Thing, contact: Thing | None) -> None:
    due = pick.choice([None, *MOMENTS])
    is_moment = due is not None and pick.random() < 0.5
    columns = {
        **_shared(world, pick, lead, contact),
        "assigned_to_id": pick.choice([None, *world.users]),
        "type": pick.choice(["lead", "outgoing_call"]),
        "text": pick.choice([text or "" for text in world.texts]),
        "due_date": due and due.date(),
        "due_at": due if is_moment else None,
        "is_complete": pick.random() < 0.4,
        "priority": pick.choice([None, "high"]),
    }
    task = Task.objects.create(organization=caller.organization, **columns)
    date = due if is_moment or due is None else datetime.combine(due.date(), time(), UTC)
    thing = Thing("task", task.pk, {**_named(columns), "date": date, "due_date": date})
    thing.says = [text for text in [columns["text"]] if text]
    _add(thing, lead, contact)


def _lead_entries(caller: Caller, world: World, pick: random.Random, lead: Lead) -> list[tuple[datetime, UUID]]:
    if pick.random() < 0.5:
        return [(lead.date_created, lead.status_id)]
    date, first, middle = pick.choice(MOMENTS), pick.choice(world.statuses), pick.choice(world.statuses)
    steps = [(date, first, middle), (date + timedelta(hours=1), middle, lead.status_id)]
    for at, old, new in steps:
        LeadStatusChange.objects.create(
            organization=caller.organization, lead=lead, old_status_id=old, new_status_id=new, date_created=at
        )
    return [(lead.date_created, first), *((at, new) for at, _, new in steps)]
