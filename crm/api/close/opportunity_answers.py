"""Opportunities as Close spells them. Whole pages at once: the number of queries is fixed."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from django.db.models import prefetch_related_objects

from crm.api.close.conventions import CloseRequest, Fields, close_datetime, pick_fields, wants, wants_custom
from crm.api.close.showing import Shown, custom_fields_of, show_custom, shown_id
from crm.contacts import contact_name
from crm.ids import close_id
from crm.models import FieldObject, Lead, Opportunity, User, ValuePeriod
from crm.opportunities import annualized, expected

# What is shown of the records that an opportunity refers to.
_REFERENCES = {
    "status__pipeline": ("status_label", "status_type", "status_display_name", "pipeline_id", "pipeline_name"),
    "lead": ("lead_name",),
    "contact": ("contact_name",),
    "user": ("user_name",),
    "created_by": ("created_by_name", "user_name"),
    "updated_by": ("updated_by_name",),
}
_SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "INR": "₹", "KRW": "₩"}
_PERIOD_WORDS = {ValuePeriod.ONE_TIME: "", ValuePeriod.MONTHLY: " monthly", ValuePeriod.ANNUAL: " annually"}


def format_value(value: int | None, currency: str, period: str) -> str | None:
    """`$2,500 annually`, with hundredths only where there are some."""
    if value is None:
        return None
    whole, rest = divmod(abs(value), 100)
    amount = f"{whole:,}" + (f".{rest:02}" if rest else "")
    symbol = _SYMBOLS.get(currency, f"{currency} ")
    return f"{'-' if value < 0 else ''}{symbol}{amount}{_PERIOD_WORDS[ValuePeriod(period)]}"


def serialize_opportunities(rows: Sequence[Opportunity], fields: Fields, request: CloseRequest) -> list[Shown]:
    """The opportunities in the order given, each with the keys that `fields` asks for; nothing else is looked up."""
    if not rows:
        return []
    organization = request.caller.organization
    # What the rows bring along already is not looked up again.
    prefetch_related_objects(rows, *(name for name, keys in _REFERENCES.items() if wants(fields, *keys)))
    has_custom = wants_custom(fields) and any(row.custom for row in rows)
    custom_fields = custom_fields_of(organization.pk, FieldObject.OPPORTUNITY) if has_custom else {}
    answers = []
    for row in rows:
        per_year = annualized(row.value, row.value_period)
        shown: Shown = {
            "id": close_id("oppo", row.pk),
            "organization_id": close_id("orga", row.organization_id),
            "lead_id": shown_id("lead", row.lead_id),
            "contact_id": shown_id("cont", row.contact_id),
            # Close has no deal without a user: one that another dialect assigned to nobody shows who made it.
            "user_id": shown_id("user", row.user_id or row.created_by_id),
            "status_id": close_id("stat", row.status_id),
            "value": row.value,
            "value_period": row.value_period,
            "value_currency": organization.currency,
            "value_formatted": format_value(row.value, organization.currency, row.value_period),
            "annualized_value": per_year,
            "expected_value": expected(row.value, row.confidence),
            "annualized_expected_value": expected(per_year, row.confidence),
            "confidence": row.confidence,
            "note": row.note,
            "date_won": row.date_won.isoformat() if row.date_won else None,
            "date_lost": close_datetime(row.date_lost) if row.date_lost else None,
            "attachments": [],
            "integration_links": [],
            "created_by": shown_id("user", row.created_by_id),
            "updated_by": shown_id("user", row.updated_by_id),
            "date_created": close_datetime(row.date_created),
            "date_updated": close_datetime(row.date_updated),
            **_references(row, fields),
            **show_custom(row.custom, custom_fields),
        }
        answers.append(pick_fields(shown, fields))
    return answers


def opportunities_of_leads(leads: Iterable[Lead], request: CloseRequest) -> dict[UUID, list[Shown]]:
    """What the answers of these leads show of their opportunities, oldest first."""
    by_key: Mapping[UUID, Lead] = {lead.pk: lead for lead in leads}
    # Few rows, found by index: one query with joins is cheaper than one per kind of reference.
    others = [name for name in _REFERENCES if name != "lead"]
    rows = list(Opportunity.objects.filter(lead_id__in=by_key).select_related(*others).order_by("id"))
    for row in rows:
        row.lead = by_key[row.lead_id]
    found: dict[UUID, list[Shown]] = {}
    for row, shown in zip(rows, serialize_opportunities(rows, None, request), strict=True):
        found.setdefault(row.lead_id, []).append(shown)
    return found


def _references(row: Opportunity, fields: Fields) -> Shown:
    """Only what was looked up is touched: anything else would cost a query per row."""
    shown: Shown = {}
    if wants(fields, *_REFERENCES["status__pipeline"]):
        status = row.status
        shown |= {
            "status_label": status.label,
            "status_type": status.type,
            "status_display_name": status.label,
            "pipeline_id": close_id("pipe", status.pipeline_id),
            "pipeline_name": status.pipeline.name,
        }
    if wants(fields, "lead_name"):
        shown["lead_name"] = row.lead.name if row.lead else None
    if wants(fields, "contact_name"):
        shown["contact_name"] = contact_name(row.contact) if row.contact else None
    for column in ("user", "created_by", "updated_by"):
        if wants(fields, f"{column}_name"):
            person = getattr(row, column)
            shown[f"{column}_name"] = _name(person or row.created_by if column == "user" else person)
    return shown


def _name(user: User | None) -> str | None:
    return (user.full_name or user.email) if user else None
