"""Opportunities as the language sees them. Money is in hundredths."""

from decimal import Decimal

from django.db.models import BigIntegerField, Case, DecimalField, Expression, ExpressionWrapper, F, Value, When
from django.db.models.functions import Round

from crm.models import Opportunity, ValuePeriod
from search.documents import opportunity_documents
from search.fields import RECORD_FIELDS, Field, ObjectType, column_field, text_field
from search.nodes import Kind
from search.people import lead_name


def annualized(value: Expression) -> Expression:
    """The value of a year: twelve times a monthly one."""
    monthly = When(value_period=ValuePeriod.MONTHLY, then=value * Value(12))
    return Case(monthly, default=value, output_field=BigIntegerField())


def _expected(value: Expression) -> Expression:
    """In whole hundredths, as the opportunity itself shows it."""
    share = ExpressionWrapper(F("confidence") * Value(Decimal("0.01")), DecimalField())
    return Round(ExpressionWrapper(value * share, DecimalField()))


OPPORTUNITY = ObjectType(
    "opportunity",
    lambda: Opportunity.objects.filter(lead__isnull=False),
    opportunity_documents,
    {
        **RECORD_FIELDS,
        "lead_id": column_field("lead_id", Kind.REFERENCE, "lead"),
        "lead_name": Field(Kind.TEXT, lead_name),
        "contact_id": column_field("contact_id", Kind.REFERENCE, "contact"),
        "user_id": column_field("user_id", Kind.REFERENCE, "user"),
        "status_id": column_field("status_id", Kind.REFERENCE, "status.opportunity"),
        "status_type": text_field("status__type", Kind.CHOICE),
        "status_label": text_field("status__label", Kind.CHOICE),
        "pipeline_id": column_field("status__pipeline_id", Kind.REFERENCE, "pipeline"),
        "pipeline_name": text_field("status__pipeline__name", Kind.CHOICE),
        "value": column_field("value", Kind.NUMBER),
        "value_period": text_field("value_period", Kind.CHOICE),
        "annualized_value": Field(Kind.NUMBER, lambda: annualized(F("value"))),
        "expected_value": Field(Kind.NUMBER, lambda: _expected(F("value"))),
        "annualized_expected_value": Field(Kind.NUMBER, lambda: _expected(annualized(F("value")))),
        "confidence": column_field("confidence", Kind.NUMBER),
        "note": text_field("note"),
        "date_won": column_field("date_won", Kind.DATE),
        "date_lost": column_field("date_lost", Kind.MOMENT),
    },
    prefix="oppo",
    has_custom_fields=True,
)
