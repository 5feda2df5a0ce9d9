"""Smart fields of leads: sums, averages and extremes of what their deals are worth, in hundredths."""

from django.db.models import Aggregate, Avg, DecimalField, Expression, F, Max, Min, Q, Subquery, Sum, Value
from django.db.models.functions import Coalesce

from crm.models import Opportunity
from search.deals import annualized
from search.fields import Aggregated, Field, Hanging
from search.nodes import Kind

_KINDS: dict[str, type[Aggregate]] = {"total": Sum, "avg": Avg, "min": Min, "max": Max}
_PERIODS = ("", "annual_", "monthly_", "one_time_", "annualized_")
_STATES = ("", "active_", "won_", "lost_")


def _money(kind: str, period: str, state: str) -> Field:
    """Without a period: the plain values of all periods. A total of nothing is 0, the others of nothing are absent."""
    condition = Q(status__type=state.rstrip("_")) if state else Q()
    if period not in ("", "annualized_"):
        condition &= Q(value_period=period.rstrip("_"))
    deals = Hanging(Opportunity, condition)

    def or_0(number: Expression) -> Expression:
        return Coalesce(number, Value(0, DecimalField())) if kind == "total" else number

    def number() -> Expression:
        worth = annualized(F("value")) if period == "annualized_" else F("value")
        return or_0(_KINDS[kind](worth, output_field=DecimalField()))

    def value() -> Expression:
        found = deals.of_outer().values("lead_id").annotate(worth=number()).values("worth")
        return or_0(Subquery(found, output_field=DecimalField()))

    return Field(Kind.NUMBER, value, aggregated=Aggregated(deals, number, 0 if kind == "total" else None))


MONEY_FIELDS = {
    f"{kind}_{period}{state}opportunity_value": _money(kind, period, state)
    for kind in _KINDS
    for period in _PERIODS
    for state in _STATES
}
