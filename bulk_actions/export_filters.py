"""The filters of the list of opportunities, as an export keeps them: what they meant at its POST."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from typing import cast
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import QuerySet

from bulk_actions.models import BulkAction
from crm.api.close.conventions import CloseRequest
from crm.api.close.opportunity_filters import filtered
from crm.api.close.opportunity_orders import ordered
from crm.opportunities import opportunities_of
from search.compiler import condition_of, found, order_of
from search.resolve import Resolved


@dataclass(frozen=True)
class Filters:
    """`query_params` and `tz`: as much of a request as the list reads. `search`: what the text for opportunities means;
    `of_leads`: searches for the leads that they must be of."""

    query_params: Mapping[str, str]
    tz: tzinfo
    search: Resolved
    of_leads: tuple[Resolved, ...] = ()

    def to_params(self) -> dict[str, object]:
        """What the `params` of a job hold of them; its `resolved_query` is the `search`."""
        return {
            "params": self.query_params,
            "zone": _stored_zone(self.tz),
            "of_leads": [one.to_json() for one in self.of_leads],
        }

    @classmethod
    def of(cls, action: BulkAction) -> "Filters":
        params, search = action.params, Resolved.from_json(action.resolved_query)
        return cls(params["params"], _zone(params["zone"]), search, tuple(map(Resolved.from_json, params["of_leads"])))


def opportunities(filters: Filters, organization_id: UUID) -> QuerySet:
    """Those that the filters let through: in the order that these ask for, else oldest first; nothing is read yet.

    Raises `FieldErrors` for a filter that is wrong.
    """
    asked = cast(CloseRequest, filters)
    rows = filtered(asked, opportunities_of(organization_id)).filter(condition_of(filters.search, organization_id))
    for leads in filters.of_leads:
        rows = rows.filter(lead_id__in=found(leads, organization_id).values("pk"))
    if filters.search.sort:
        return rows.order_by(*order_of(filters.search))
    return ordered(asked, rows) if filters.query_params.get("_order_by", "").strip() else rows.order_by("pk")


def _stored_zone(tz: tzinfo) -> str | float:
    """The name of a zone, or how many seconds it is east of UTC."""
    return tz.key if isinstance(tz, ZoneInfo) else datetime.now(tz).utcoffset().total_seconds()


def _zone(stored: str | float) -> tzinfo:
    return ZoneInfo(stored) if isinstance(stored, str) else timezone(timedelta(seconds=stored))
