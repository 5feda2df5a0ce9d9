"""Status changes that are written down by hand, such as those brought over from elsewhere (close-api.md 4.11).

They are lines of the log only: no lead and no opportunity changes its status by them.
"""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Model, QuerySet

from crm.errors import FieldErrors, NotFound
from crm.lead_parts import GONE, holds_lead, strangers
from crm.models import LeadStatus, LeadStatusChange, OpportunityStatus, OpportunityStatusChange, Organization, User
from crm.opportunities import opportunities_of

Columns = Mapping[str, UUID | datetime | None]  # lead_id, opportunity_id, old_status_id, new_status_id, user_id, ...


@transaction.atomic
def log_lead_status_change(*, organization: Organization, by: User, columns: Columns) -> LeadStatusChange:
    """A change of the lead in `columns`, made by `by` unless they say who. `FieldErrors` for what is not there."""
    problems: dict[str, object] = {}
    if not holds_lead(columns["lead_id"], organization.pk):
        problems["lead_id"] = GONE
    problems |= _unknown(LeadStatus, organization, columns)
    return _written(LeadStatusChange, organization, {"user_id": by.pk, **columns}, problems)


@transaction.atomic
def log_opportunity_status_change(*, organization: Organization, by: User, columns: Columns) -> OpportunityStatusChange:
    """As `log_lead_status_change`, of the opportunity in `columns`; the lead is that of the opportunity."""
    problems: dict[str, object] = {}
    held = opportunities_of(organization.pk).select_for_update(of=("self",), no_key=True)
    opportunity = held.filter(pk=columns["opportunity_id"]).first()
    if opportunity is None:
        problems["opportunity_id"] = GONE
    problems |= _unknown(OpportunityStatus, organization, columns)
    lead_id = opportunity.lead_id if opportunity else None
    return _written(OpportunityStatusChange, organization, {"user_id": by.pk, **columns, "lead_id": lead_id}, problems)


def delete_status_change(changes: QuerySet[Model], change_id: UUID | None) -> None:
    """Delete one of `changes` for good; the status stays. Raises `NotFound`."""
    change = changes.filter(pk=change_id).first()
    if change is None:
        raise NotFound
    change.delete()


def _unknown(model: type[Model], organization: Organization, columns: Columns) -> dict[str, object]:
    named = {name: columns[name] for name in ("old_status_id", "new_status_id") if columns.get(name)}
    statuses = model._default_manager.filter(organization=organization, pk__in=named.values())
    known = set(statuses.values_list("pk", flat=True))
    return {name: GONE for name, key in named.items() if key not in known}


def _written(model: type[Model], organization: Organization, columns: Columns, problems: dict[str, object]) -> Model:
    problems |= strangers(organization.pk, {"user_id": columns["user_id"]})
    if problems:
        raise FieldErrors(problems)
    change = model._default_manager.create(organization=organization, **columns)
    change.refresh_from_db()
    return change
