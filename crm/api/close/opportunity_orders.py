"""What a list of opportunities can be sorted by (close-api.md 4.3)."""

from django.db.models import BigIntegerField, Case, ExpressionWrapper, F, FloatField, QuerySet, TextField, Value, When
from django.db.models.functions import Coalesce, Concat, NullIf, Trim

from crm.api.close.conventions import CloseRequest
from crm.errors import FieldErrors
from crm.models import Opportunity, ValuePeriod

_FULL_NAME = Concat("user__first_name", Value(" "), "user__last_name", output_field=TextField())
# As answers show it: of who has no name, the address.
USER_NAME = Coalesce(NullIf(Trim(_FULL_NAME), Value("")), F("user__email"), output_field=TextField())
_PER_YEAR = Case(
    When(value_period=ValuePeriod.MONTHLY, then=F("value") * 12), default=F("value"), output_field=BigIntegerField()
)
_EXPECTED_PER_YEAR = ExpressionWrapper(_PER_YEAR * F("confidence"), FloatField())
ORDERS = {
    "date_won": F("date_won"),
    "date_updated": F("date_updated"),
    "date_created": F("date_created"),
    "confidence": F("confidence"),
    "user_name": USER_NAME,
    "value": F("value"),
    "annualized_value": _PER_YEAR,
    "annualized_expected_value": _EXPECTED_PER_YEAR,
}


def ordered(request: CloseRequest, rows: QuerySet[Opportunity]) -> QuerySet[Opportunity]:
    """By `_order_by`, what has no value last, the newest of equals first; else the newest first."""
    asked = request.query_params.get("_order_by", "").strip()
    if not asked:
        return rows.order_by("-date_created", "-id")
    name = asked.removeprefix("-")
    if name not in ORDERS:
        raise FieldErrors({"_order_by": f"Not a valid choice. One of: {', '.join(ORDERS)}"})
    expression = ORDERS[name]
    by = expression.desc(nulls_last=True) if asked.startswith("-") else expression.asc(nulls_last=True)
    return rows.order_by(by, "-id")
