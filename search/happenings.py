"""Activities and tasks as the language sees them."""

from collections.abc import Callable

from django.db.models import DateTimeField, Expression, F, Model, QuerySet
from django.db.models.functions import Coalesce

from crm.models import Activity, Task
from search.documents import activity_documents, own_text
from search.expressions import MidnightUtc
from search.fields import RECORD_FIELDS, Field, ObjectType, column_field, text_field
from search.nodes import Kind

_OF_EVERY_ACTIVITY = {
    **RECORD_FIELDS,
    "lead_id": column_field("lead_id", Kind.REFERENCE, "lead"),
    "contact_id": column_field("contact_id", Kind.REFERENCE, "contact"),
    "user_id": column_field("user_id", Kind.REFERENCE, "user"),
    "date": column_field("activity_at", Kind.MOMENT),
    "activity_at": column_field("activity_at", Kind.MOMENT),
}
_PHONES = {
    "local_phone": text_field("local_address"),
    "remote_phone": text_field("remote_address"),
    "phone": text_field("remote_address"),
}
_STATUS = text_field("status", Kind.CHOICE)
_DIRECTION = text_field("direction", Kind.CHOICE)
_DATE_SENT = column_field("date_sent", Kind.MOMENT)
_DURATION = column_field("duration", Kind.NUMBER)

_FIELDS: dict[str, dict[str, Field]] = {
    "email": {
        "direction": _DIRECTION,
        "status": _STATUS,
        "date_sent": _DATE_SENT,
        "has_reply": column_field("has_reply", Kind.BOOLEAN),
        "subject": text_field("title"),
        "body_text": text_field("text"),
        "sender": text_field("local_address"),
    },
    "call": {
        "direction": _DIRECTION,
        "status": _STATUS,
        "duration": _DURATION,
        "disposition": text_field("disposition", Kind.CHOICE),
        "note": text_field("text"),
        **_PHONES,
    },
    "note": {"note": text_field("text"), "title": text_field("title")},
    "sms": {"direction": _DIRECTION, "status": _STATUS, "date_sent": _DATE_SENT, "text": text_field("text"), **_PHONES},
    "meeting": {
        "status": _STATUS,
        "title": text_field("title"),
        "note": text_field("text"),
        "starts_at": column_field("starts_at", Kind.MOMENT),
        "ends_at": column_field("ends_at", Kind.MOMENT),
        "duration": _DURATION,
    },
}


def _activity(kind: str) -> ObjectType:
    objects: Callable[[], QuerySet[Model]] = lambda: Activity.objects.filter(type=kind, lead__isnull=False)  # noqa: E731
    fields = {**_OF_EVERY_ACTIVITY, **_FIELDS[kind]}
    return ObjectType(f"activity.{kind}", objects, activity_documents, fields, prefix="acti")


ACTIVITIES = [_activity(kind) for kind in _FIELDS]


def due() -> Expression:
    """When a task is due: its moment, else the start of its day in UTC."""
    return Coalesce(F("due_at"), MidnightUtc(F("due_date")), output_field=DateTimeField())


TASK = ObjectType(
    "task",
    lambda: Task.objects.all(),
    own_text("text"),
    {
        **RECORD_FIELDS,
        "lead_id": column_field("lead_id", Kind.REFERENCE, "lead"),
        "contact_id": column_field("contact_id", Kind.REFERENCE, "contact"),
        "assigned_to": column_field("assigned_to_id", Kind.REFERENCE, "user"),
        "type": text_field("type", Kind.CHOICE),
        "text": text_field("text"),
        "date": Field(Kind.MOMENT, due),
        "due_date": Field(Kind.MOMENT, due),
        "is_complete": column_field("is_complete", Kind.BOOLEAN),
        "priority": text_field("priority", Kind.CHOICE),
    },
    prefix="task",
)
