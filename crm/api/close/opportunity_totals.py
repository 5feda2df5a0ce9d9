"""Numbers and sums over opportunities, of all that match and by group (close-api.md 4.3). Money in hundredths."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from django.db.models import Count, DateField, Expression, F, Q, QuerySet, Sum
from django.db.models.functions import TruncMonth, TruncQuarter, TruncWeek, TruncYear

from crm.api.close.conventions import CloseRequest
from crm.api.close.opportunity_orders import USER_NAME
from crm.api.close.showing import shown_id
from crm.errors import FieldErrors
from crm.models import Opportunity, ValuePeriod

_PERIODS = {str(period): Q(value_period=period) for period in ValuePeriod}


@dataclass(frozen=True)
class Grouping:
    """What opportunities are put together by. `order` sorts groups, the last of its expressions telling them apart."""

    order: tuple[Expression, ...]
    show: Callable[[object], object]


def _by_user(key: UUID | None) -> str | None:
    return shown_id("user", key)


def _by_day(first: date | None) -> str | None:
    return first.isoformat() if first else None


def _won(trunc: type[TruncWeek]) -> Grouping:
    return Grouping((trunc("date_won", output_field=DateField()),), _by_day)


GROUPINGS: Mapping[str, Grouping] = {
    "user_id": Grouping((USER_NAME, F("user_id")), _by_user),
    "date_won__week": _won(TruncWeek),
    "date_won__month": _won(TruncMonth),
    "date_won__quarter": _won(TruncQuarter),
    "date_won__year": _won(TruncYear),
}


def totals(rows: QuerySet[Opportunity]) -> dict[str, object]:
    """Over all of `rows`, in one statement."""
    return _shown(rows.order_by().aggregate(**_sums()))


def grouped(
    request: CloseRequest, rows: QuerySet[Opportunity]
) -> tuple[QuerySet[Opportunity], dict[str, list[dict[str, object]]]]:
    """By `_group_by`, with a `-` the other way round: `rows` (in their order within each group), and what to answer of
    the groups beside them. What belongs to no group comes last.
    """
    asked = request.query_params.get("_group_by", "").strip()
    if not asked:
        return rows, {}
    grouping = GROUPINGS.get(asked.removeprefix("-"))
    if grouping is None:
        raise FieldErrors({"_group_by": f"Not a valid choice. One of: {', '.join(GROUPINGS)}."})
    names = [f"group_{place}" for place in range(len(grouping.order))]
    rows = rows.annotate(**dict(zip(names, grouping.order, strict=True)))
    order = [F(name).desc(nulls_last=True) if asked[0] == "-" else F(name).asc(nulls_last=True) for name in names]
    found = rows.order_by().values(*names).annotate(**_sums()).order_by(*order)
    groups = [{"group": grouping.show(one[names[-1]]), **_shown(one)} for one in found]
    return rows.order_by(*order, *rows.query.order_by), {"groups": groups}


def _sums() -> dict[str, Expression]:
    expected = F("value") * F("confidence")
    sums: dict[str, Expression] = {"total_results": Count("pk")}
    for period, condition in _PERIODS.items():
        sums[f"count_{period}"] = Count("pk", filter=condition)
        sums[f"total_value_{period}"] = Sum("value", filter=condition)
        sums[f"expected_value_{period}"] = Sum(expected, filter=condition)
    return sums


def _shown(found: Mapping[str, object]) -> dict[str, object]:
    answer: dict[str, object] = {
        "total_results": found["total_results"],
        "count_by_value_period": {period: found[f"count_{period}"] for period in _PERIODS},
    }
    for kind, divisor in (("total_value", 1), ("expected_value", 100)):
        values = {period: int(found[f"{kind}_{period}"] or 0) for period in _PERIODS}
        per_year = values["one_time"] + 12 * values["monthly"] + values["annual"]
        answer |= {f"{kind}_{period}": _divided(value, divisor) for period, value in values.items()}
        answer[f"{kind}_annualized"] = _divided(per_year, divisor)
    return answer


def _divided(number: int, divisor: int) -> int:
    """Rounded to the nearest, halves away from zero."""
    size = (2 * abs(number) + divisor) // (2 * divisor)
    return size if number >= 0 else -size
