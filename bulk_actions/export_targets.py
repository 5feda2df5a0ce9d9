"""What an export is of: leads, or contacts or opportunities themselves."""

from collections.abc import Sequence
from uuid import UUID

from django.db.models import QuerySet

from bulk_actions.models import BulkAction, Kind
from crm.contacts import contacts_of
from crm.models import Lead
from crm.opportunities import opportunities_of


def target_of(type: str, found: str) -> str:
    """The `target` (as `BulkAction.target`) of an export of that type by a query that finds objects of that type.

    A query for what the rows are to be finds the rows themselves; any other finds their leads.
    """
    asked = {"contacts": "contact", "lead_opps": "opportunity"}.get(type)
    return "opportunity" if type == "opps" else found if found == asked else "lead"


def takes_filters(action: BulkAction) -> bool:
    """Whether its targets are found by the filters of the list of opportunities (`export_filters`)."""
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
