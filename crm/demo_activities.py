"""The rows of what was done with demo leads, and of what is still to do, in the text form of COPY."""

from datetime import datetime, timedelta
from random import Random
from uuid import UUID

from crm import demo_words as words
from crm.demo_ground import Ground, Lines, line, new_key

# Tables with the columns that we fill; the others have defaults.
ACTIVITY_COLUMNS = {
    "crm_activity": "id, organization_id, lead_id, contact_id, user_id, type, direction, status, activity_at, title, "
    "text, duration, disposition, local_address, remote_address, recipients, date_sent, starts_at, ends_at, has_reply, "
    "details, created_by_id, updated_by_id, date_created, date_updated",
    "crm_task": "id, organization_id, lead_id, type, assigned_to_id, text, due_date, due_at, is_complete, "
    "created_by_id, updated_by_id, date_created, date_updated",
}
_OUR_PHONE = "+12125550100"
# As often as they happen, out of twenty.
_TYPES = 6 * ("note",) + 5 * ("call",) + 6 * ("email",) + 2 * ("sms",) + ("meeting",)


def add_activities(
    lines: Lines,
    ground: Ground,
    rng: Random,
    *,
    lead: UUID,
    contact: UUID,
    domain: str,
    owner: UUID,
    created: datetime,
) -> None:
    """None to twice as many as the ground says, between the making of the lead and today."""
    span = max((ground.today - created).total_seconds(), 0)
    for _ in range(rng.randrange(2 * ground.activities_per_lead + 1)):
        at = created + timedelta(seconds=int(span * rng.random()))
        kind, moment = rng.choice(_TYPES), at.isoformat()
        user = owner if rng.random() < 0.7 else rng.choice(ground.user_ids)
        lines["crm_activity"].append(
            line(
                new_key(at),
                ground.organization_id,
                lead,
                contact if rng.random() < 0.8 else None,
                user,
                kind,
                *_what_was_said(rng, kind, at, domain),
                "{}",
                user,
                user,
                moment,
                moment,
            )
        )


def _what_was_said(rng: Random, kind: str, at: datetime, domain: str) -> tuple[object, ...]:
    """The columns from `direction` to `has_reply`."""
    said, moment = rng.choice(words.SENTENCES), at.isoformat()
    incoming = rng.random() < 0.3
    if kind == "email":
        direction, status = ("incoming", "inbox") if incoming else ("outgoing", "sent")
        address = f"office@{domain}"
        ours = "sales@drover.example"
        sender, to = (address, ours) if incoming else (ours, address)
        reply = not incoming and rng.random() < 0.25
        subject = rng.choice(words.SUBJECTS)
        columns = (subject, said, None, None, sender, None, f"{{{to}}}", moment, None, None, reply)
        return direction, status, moment, *columns
    direction = "inbound" if incoming else "outbound"
    phone = f"+1{rng.choice(words.AREA_CODES)}55501{rng.randrange(100):02}"
    if kind == "call":
        seconds, disposition = rng.randrange(900), rng.choice(words.DISPOSITIONS)
        columns = (None, said, seconds, disposition, _OUR_PHONE, phone, "{}", None, None, None, False)
        return direction, "completed", moment, *columns
    if kind == "sms":
        columns = (None, said, None, None, _OUR_PHONE, phone, "{}", moment, None, None, False)
        return direction, "inbox" if incoming else "sent", moment, *columns
    if kind == "meeting":
        minutes = rng.choice((15, 30, 60))
        ends = (at + timedelta(minutes=minutes)).isoformat()
        columns = (rng.choice(words.SUBJECTS), said, minutes * 60, None, None, None, "{}", None, moment, ends, False)
        return None, "completed", moment, *columns
    return None, None, moment, None, said, None, None, None, None, "{}", None, None, None, False


def add_task(lines: Lines, ground: Ground, rng: Random, *, lead: UUID, owner: UUID, created: datetime) -> None:
    """One task, due within two months of today, or done with since the lead was made."""
    complete = rng.random() < 0.5
    days = rng.randrange(-60, 0) if complete else rng.randrange(-10, 60)
    due = max(ground.today + timedelta(days=days), created)
    at = due + timedelta(hours=rng.randrange(7, 19)) if rng.random() < 0.3 else None
    moment = created.isoformat()
    lines["crm_task"].append(
        line(
            new_key(created),
            ground.organization_id,
            lead,
            "lead",
            owner,
            rng.choice(words.TASKS),
            (at or due).date().isoformat(),
            at.isoformat() if at else None,
            complete,
            owner,
            owner,
            moment,
            moment,
        )
    )
