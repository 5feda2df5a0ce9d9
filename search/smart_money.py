"""Smart fields of leads: sums, averages and extremes of what their deals are worth, in hundredths."""

from django.db.models import Aggregate, Avg, DecimalField, Expression, F, Max, Min, OuterRef, Q, Subquery, Sum, Value
from django.db.models.functions import Coalesce

from crm.models import Opportunity
from search.deals import annualized
from search.fields import Field
from search.nodes import Kind

_KINDS: dict[str, type[Aggregate]] = {"total": Sum, "avg": Avg, "min": Min, "max": Max}
_PERIODS = ("", "annual_", "monthly_", "one_time_", "annualized_")
_STATES = ("", "active_", "won_", "lost_")


def _money(kind: str, period: str, state: str) -> Field:
    """Without a period: the plain values of all periods. A total of nothing is 0, the others of nothing are absent."""
    condition = Q(lead_id=OuterRef("pk"))
    if state:
        condition &= Q(status__type=state.rstrip("_"))
    if period not in ("", "annualized_"):
        condition &= Q(value_period=period.rstrip("_"))

    def value() -> Expression:
        worth = annualized(F("value")) if period == "annualized_" else F("value")
        aggregate = _KINDS[kind](worth, output_field=DecimalField())
        deals = Opportunity.objects.filter(condition).order_by().values("lead_id").annotate(worth=aggregate)
        found = Subquery(deals.values("worth"), output_field=DecimalField())
        return Coalesce(found, Value(0, DecimalField())) if kind == "total" else found

    return Field(Kind.NUMBER, value)


MONEY_FIELDS = {
    f"{kind}_{period}{state}opportunity_value": _money(kind, period, state)
    for kind in _KINDS
    for period in _PERIODS
    for state in _STATES
}
