"""Smart fields of leads: what contacts, deals, activities and tasks come to. Computed where a query names them."""

from collections.abc import Callable

from django.db.models import (
    Case,
    DateTimeField,
    Expression,
    F,
    JSONField,
    Model,
    OuterRef,
    Q,
    Subquery,
    TextField,
    Value,
    When,
)
from django.db.models.functions import Coalesce, Concat, Upper

from crm.models import (
    Activity,
    Address,
    Contact,
    ContactEmail,
    ContactPhone,
    ContactUrl,
    LeadStatusChange,
    Opportunity,
    OpportunityStatusChange,
    Task,
)
from search.expressions import Exactly, JsonText, Never, text_value
from search.fields import Field, Hanging, OneOf, count_field, present
from search.happenings import due
from search.nodes import Kind
from search.people import all_urls_count, contact_name
from search.zones import zone_of_place

_UNSENT = ("draft", "scheduled", "outbox", "error")
_THROUGH = ~Q(status__in=_UNSENT)  # mail and messages that reached somebody, not drafts
_EMAIL, _SMS, _CALL, _MEETING = Q(type="email"), Q(type="sms"), Q(type="call"), Q(type="meeting")
_IN, _OUT = Q(direction__in=("incoming", "inbound")), Q(direction__in=("outgoing", "outbound"))
_MISSED = Q(disposition__in=("no-answer", "abandoned", "busy", "missed"))
_COMMUNICATION = (_EMAIL & _THROUGH) | (_SMS & _THROUGH) | _CALL | (_MEETING & Q(status="completed"))


def _field_of_first(
    kind: Kind,
    of: Hanging,
    value: Callable[[], Expression],
    *order: Expression | str,
    reference: str | None = None,
    is_first: bool = False,
    is_extreme: bool = False,
) -> Field:
    """What the first one in that order has. For `is_first` and `is_extreme` see `OneOf`."""

    def first() -> Expression:
        return Subquery(of.of_outer().annotate(smart=value()).order_by(*order).values("smart")[:1])

    return Field(kind, first, reference, one_of=OneOf(of, value, is_first, is_extreme))


def _counts() -> dict[str, Field]:
    activities = {
        "activities": Q(),
        "emails": _EMAIL,
        "sent_emails": _EMAIL & _OUT & _THROUGH,
        "received_emails": _EMAIL & _IN,
        "calls": _CALL,
        "outgoing_calls": _CALL & _OUT,
        "incoming_calls": _CALL & _IN,
        "missed_calls": _CALL & _IN & _MISSED,
        "sms": _SMS,
        "sent_sms": _SMS & _OUT & _THROUGH,
        "received_sms": _SMS & _IN,
        "meetings": _MEETING,
        "completed_meetings": _MEETING & Q(status="completed"),
        "upcoming_meetings": _MEETING & Q(status="upcoming"),
        "canceled_meetings": _MEETING & Q(status="canceled"),
        "declined_meetings": _MEETING & Q(status__startswith="declined"),
        "notes": Q(type="note"),
    }
    deals = {
        "opportunities": Q(),
        **{f"{kind}_opportunities": Q(status__type=kind) for kind in ("active", "won", "lost")},
        **{f"{period}_opportunities": Q(value_period=period) for period in ("annual", "monthly", "one_time")},
    }
    tasks = {
        "tasks": Q(),
        "completed_tasks": Q(is_complete=True),
        "incomplete_tasks": Q(is_complete=False),
    }
    counted = {
        "contacts": Hanging(Contact),
        "addresses": Hanging(Address),
        "email_addresses": Hanging(ContactEmail, path="contact__lead_id"),
        "phone_numbers": Hanging(ContactPhone, path="contact__lead_id"),
        "contact_urls": Hanging(ContactUrl, path="contact__lead_id"),
        **{name: Hanging(Activity, condition) for name, condition in activities.items()},
        **{name: Hanging(Opportunity, condition) for name, condition in deals.items()},
        **{name: Hanging(Task, condition) for name, condition in tasks.items()},
    }
    return {
        **{f"num_{name}": count_field(of) for name, of in counted.items()},
        "num_urls": Field(Kind.NUMBER, all_urls_count),
        "times_communicated": count_field(Hanging(Activity, _COMMUNICATION)),
    }


# What each column of an activity is called behind `last_communication_` and its like.
_COLUMNS: dict[str, tuple[str, Kind, str | None]] = {
    "date": ("activity_at", Kind.MOMENT, None),
    "created": ("activity_at", Kind.MOMENT, None),
    "type": ("type", Kind.CHOICE, None),
    "user_id": ("user_id", Kind.REFERENCE, "user"),
    "duration": ("duration", Kind.NUMBER, None),
    "disposition": ("disposition", Kind.CHOICE, None),
    "note": ("text", Kind.TEXT, None),
    "subject": ("title", Kind.TEXT, None),
}


def _activity_field(condition: Q, what: str, *, is_first: bool = False) -> Field:
    column, kind, reference = _COLUMNS[what]
    order = ("activity_at", "pk") if is_first else ("-activity_at", "-pk")
    is_text = kind in (Kind.TEXT, Kind.CHOICE)
    value = (lambda: present(column)) if is_text else (lambda: F(column))
    return _field_of_first(
        kind, Hanging(Activity, condition), value, *order, reference=reference,
        is_first=is_first, is_extreme=column == "activity_at",
    )  # fmt: skip


def _activities() -> dict[str, Field]:
    wanted: list[tuple[str, Q, tuple[str, ...]]] = [
        ("last_communication", _COMMUNICATION, ("date", "type", "user_id")),
        ("last_activity", Q(), ("date", "type", "user_id")),
        ("last_call", _CALL, ("created", "duration", "disposition", "note", "user_id")),
        ("last_outgoing_call", _CALL & _OUT, ("date",)),
        ("last_incoming_call", _CALL & _IN, ("date",)),
        ("last_email", _EMAIL & _THROUGH, ("date", "subject")),
        ("last_incoming_email", _EMAIL & _IN, ("date",)),
        ("last_outgoing_email", _EMAIL & _OUT & _THROUGH, ("date",)),
        ("last_sms", _SMS & _THROUGH, ("date",)),
        ("last_incoming_sms", _SMS & _IN, ("date",)),
        ("last_outgoing_sms", _SMS & _OUT & _THROUGH, ("date",)),
        ("last_note", Q(type="note"), ("date",)),
    ]
    fields = {f"{stem}_{what}": _activity_field(condition, what) for stem, condition, names in wanted for what in names}
    for what in ("date", "type", "user_id"):
        fields[f"first_communication_{what}"] = _activity_field(_COMMUNICATION, what, is_first=True)
    return fields


def _changes() -> dict[str, Field]:
    deal_changes = Hanging(
        OpportunityStatusChange,
        Q(old_status_id__isnull=False, opportunity__deleted_at__isnull=True),
        "opportunity__lead_id",
    )
    changes = {
        "last_lead_status_change_date": Hanging(LeadStatusChange, Q(old_status_id__isnull=False)),
        "last_opportunity_status_change_date": deal_changes,
    }
    return {
        name: _field_of_first(Kind.MOMENT, of, lambda: F("date_created"), "-date_created", is_extreme=True)
        for name, of in changes.items()
    }


def _tasks() -> dict[str, Field]:
    def field(kind: Kind, value: Callable[[], Expression], reference: str | None = None) -> Field:
        of = Hanging(Task, Q(is_complete=False))
        return _field_of_first(kind, of, value, due().asc(nulls_last=True), "pk", reference=reference)

    return {
        "next_task_date": field(Kind.MOMENT, due),
        "next_task_text": field(Kind.TEXT, lambda: present("text")),
        "next_task_user_id": field(Kind.REFERENCE, lambda: F("assigned_to_id"), "user"),
    }


def _primary_opportunity() -> dict[str, Field]:
    """That of the lead's active opportunities, else won, else lost ones, which was made last."""
    columns: dict[str, tuple[str, Kind, str | None]] = {
        "value": ("value", Kind.NUMBER, None),
        "status": ("status__label", Kind.CHOICE, None),
        "status_type": ("status__type", Kind.CHOICE, None),
        "user_id": ("user_id", Kind.REFERENCE, "user"),
        "pipeline_id": ("status__pipeline_id", Kind.REFERENCE, "pipeline"),
        "confidence": ("confidence", Kind.NUMBER, None),
        "date_won": ("date_won", Kind.DATE, None),
        "period": ("value_period", Kind.CHOICE, None),
    }

    rank = Case(When(status__type="active", then=0), When(status__type="won", then=1), default=2)

    def field(column: str, kind: Kind, reference: str | None) -> Field:
        order = (rank.asc(), "-date_created", "-pk")
        return _field_of_first(kind, Hanging(Opportunity), lambda: F(column), *order, reference=reference)

    return {f"primary_opportunity_{name}": field(*column) for name, column in columns.items()}


def _people() -> dict[str, Field]:
    """The first address or number that the first contact with one has."""

    def detail(model: type[Model], column: str) -> Field:
        of = Hanging(model, ~Q(**{column: ""}), "contact__lead_id")
        order = ("contact__position", "contact_id", "position", "pk")
        return _field_of_first(Kind.TEXT, of, lambda: F(column), *order)

    return {
        "primary_email": detail(ContactEmail, "email"),
        "primary_phone": detail(ContactPhone, "phone"),
        "primary_contact_name": _field_of_first(Kind.TEXT, Hanging(Contact), contact_name, "position", "pk"),
    }


def _zone() -> Expression:
    """Of the first address whose country, or state, has one zone."""

    def of_place(place: Expression) -> Expression:
        return JsonText(Value(zone_of_place(), output_field=JSONField()), place)

    country = Upper(Exactly(F("country")))
    state = Concat(country, text_value("/"), Upper(Exactly(F("state"))), output_field=TextField())
    zone = Coalesce(of_place(state), of_place(country))
    found = Address.objects.filter(lead_id=OuterRef("pk")).annotate(zone=zone).filter(zone__isnull=False)
    return Subquery(found.order_by("position", "pk").values("zone")[:1], output_field=TextField())


SMART_FIELDS = {
    **_counts(),
    **_activities(),
    **_changes(),
    **_tasks(),
    **_primary_opportunity(),
    **_people(),
    "timezone_id": Field(Kind.ZONE, _zone),
    # Known names of what is not recorded here: they never have a value.
    "email_last_opened": Field(Kind.MOMENT, lambda: Never(DateTimeField())),
    "first_source": Field(Kind.TEXT, lambda: Never(TextField())),
}
