"""Tasks as Close spells them. Whole pages at once: the number of queries is fixed."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, tzinfo
from uuid import UUID

from django.db.models import prefetch_related_objects

from crm.api.close.conventions import CloseRequest, Fields, close_datetime, pick_fields, wants
from crm.api.close.people import user_names
from crm.api.close.showing import Shown, shown_id
from crm.contacts import contact_name
from crm.ids import close_id
from crm.models import Lead, Task

_REFERENCES = {"lead": "lead_name", "contact": "contact_name"}
_NAMES = ("assigned_to_name", "created_by_name", "updated_by_name")


def serialize_tasks(tasks: Sequence[Task], fields: Fields, request: CloseRequest) -> list[Shown]:
    """The tasks in the order given, each with the keys that `fields` asks for; nothing else is looked up."""
    if not tasks:
        return []
    prefetch_related_objects(tasks, *(name for name, key in _REFERENCES.items() if wants(fields, key)))
    keys = [key for task in tasks for key in (task.assigned_to_id, task.created_by_id, task.updated_by_id)]
    names = user_names(keys) if wants(fields, *_NAMES) else {}
    answers = []
    for task in tasks:
        due = close_datetime(task.due_at) if task.due_at else task.due_date.isoformat() if task.due_date else None
        shown: Shown = {
            "id": close_id("task", task.pk),
            "_type": task.type,
            "organization_id": close_id("orga", task.organization_id),
            "lead_id": close_id("lead", task.lead_id),
            "contact_id": shown_id("cont", task.contact_id),
            "assigned_to": shown_id("user", task.assigned_to_id),
            "assigned_to_name": names.get(task.assigned_to_id),
            "text": task.text,
            "date": due,
            "due_date": due,
            "is_dateless": due is None,
            "is_complete": task.is_complete,
            "priority": task.priority,
            "view": view_of(task, request.tz),
            "object_id": None,
            "object_type": None,
            "created_by": shown_id("user", task.created_by_id),
            "created_by_name": names.get(task.created_by_id),
            "updated_by": shown_id("user", task.updated_by_id),
            "updated_by_name": names.get(task.updated_by_id),
            "date_created": close_datetime(task.date_created),
            "date_updated": close_datetime(task.date_updated),
        }
        if wants(fields, "lead_name"):
            shown["lead_name"] = task.lead.name
        if wants(fields, "contact_name"):
            shown["contact_name"] = contact_name(task.contact) if task.contact else None
        answers.append(pick_fields(shown, fields))
    return answers


def view_of(task: Task, zone: tzinfo) -> str:
    """`archive` once it is complete, `future` while its day (in `zone`) is yet to come, else `inbox`."""
    if task.is_complete:
        return "archive"
    day = task.due_at.astimezone(zone).date() if task.due_at else task.due_date
    return "future" if day is not None and day > datetime.now(UTC).astimezone(zone).date() else "inbox"


def tasks_of_leads(leads: Iterable[Lead], request: CloseRequest) -> dict[UUID, list[Shown]]:
    """What the answers of these leads show of their incomplete tasks, oldest first."""
    by_key = {lead.pk: lead for lead in leads}
    rows = list(Task.objects.filter(lead_id__in=by_key, is_complete=False).order_by("id"))
    for row in rows:
        row.lead = by_key[row.lead_id]
    found: dict[UUID, list[Shown]] = {}
    for row, shown in zip(rows, serialize_tasks(rows, None, request), strict=True):
        found.setdefault(row.lead_id, []).append(shown)
    return found
