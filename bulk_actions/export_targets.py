"""The opportunities that an export of opportunities is of: its `params` are the filters of their list."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from typing import cast
from zoneinfo import ZoneInfo

from django.db.models import QuerySet

from bulk_actions.models import BulkAction, Kind
from crm.api.close.conventions import CloseRequest
from crm.api.close.opportunity_filters import filtered
from crm.opportunities import opportunities_of


@dataclass(frozen=True)
class _Asked:
    """As much of a request as the filters read."""

    query_params: Mapping[str, str]
    tz: tzinfo


def finds_opportunities(action: BulkAction) -> bool:
    """Whether the keys of the job's targets are those of opportunities."""
    return action.kind == Kind.EXPORT and action.params["type"] == "opps"


def opportunities_to_export(action: BulkAction) -> QuerySet:
    """A queryset of their ids, oldest first."""
    zone = action.params["zone"]
    tz = ZoneInfo(zone) if isinstance(zone, str) else timezone(timedelta(seconds=zone))
    rows = opportunities_of(action.organization_id)
    return narrowed(rows, action.params["params"], tz).order_by("pk").values_list("pk")


def stored_zone(tz: tzinfo) -> str | float:
    """The name of a zone, or how many seconds it is east of UTC: what `params` keep of it."""
    return tz.key if isinstance(tz, ZoneInfo) else datetime.now(tz).utcoffset().total_seconds()


def narrowed(rows: QuerySet, filters: Mapping[str, str], tz: tzinfo) -> QuerySet:
    """Those that the filters let through; days are those of `tz`. Raises `FieldErrors` for a filter that is wrong."""
    return filtered(cast(CloseRequest, _Asked(filters, tz)), rows)
