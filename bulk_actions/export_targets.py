"""What an export is of: leads, or contacts or opportunities themselves. Of an export of opportunities the `params` are
the filters of their list."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from typing import cast
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import QuerySet

from bulk_actions.models import BulkAction, Kind
from crm.api.close.conventions import CloseRequest
from crm.api.close.opportunity_filters import filtered
from crm.contacts import contacts_of
from crm.models import Lead
from crm.opportunities import opportunities_of


@dataclass(frozen=True)
class _Asked:
    """As much of a request as the filters read."""

    query_params: Mapping[str, str]
    tz: tzinfo


def target_of(type: str, found: str) -> str:
    """The `target` (as `BulkAction.target`) of an export of that type by a query that finds objects of that type.

    A query for what the rows are to be finds the rows themselves; any other finds their leads.
    """
    asked = {"contacts": "contact", "lead_opps": "opportunity"}.get(type)
    return "opportunity" if type == "opps" else found if found == asked else "lead"


def takes_filters(action: BulkAction) -> bool:
    """Whether its targets are found by the filters of the list of opportunities."""
    return action.kind == Kind.EXPORT and action.params["type"] == "opps"


def targets_left(action: BulkAction, keys: Sequence[UUID]) -> set[UUID]:
    """Those of these targets of an export that are there still."""
    rows: QuerySet
    if action.target == "opportunity":
        rows = opportunities_of(action.organization_id)
    elif action.target == "contact":
        rows = contacts_of(action.organization_id)
    else:
        rows = Lead.objects.filter(organization=action.organization_id)
    return set(rows.filter(pk__in=keys).values_list("pk", flat=True))


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
