"""Opportunities: making, changing and deleting one (close-api.md 4.3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from crm.contacts import contacts_of
from crm.custom_changes import CustomChange, changed_custom, hold_fields
from crm.errors import FieldErrors, NotFound
from crm.lead_parts import GONE, holds_lead, strangers
from crm.leads import LeadDraft, create_lead
from crm.models import (
    Activity,
    Contact,
    Opportunity,
    OpportunityStatus,
    OpportunityStatusChange,
    Organization,
    StatusType,
    User,
    ValuePeriod,
)
from crm.pipelines import StatusChoice, choose_status

LARGEST_VALUE = 10**15  # hundredths, either side of zero


@dataclass(frozen=True)
class OpportunityDraft:
    """What a write says of an opportunity. `columns` holds the plain columns that it names."""

    columns: Mapping[str, object] = field(default_factory=dict)  # value, confidence, note, date_won, name, ...
    status: StatusChoice = field(default_factory=StatusChoice)
    lead_id: UUID | None = None
    names_lead: bool = False  # whether `lead_id` is meant to be None where it is; Close has no deals without a lead
    user_id: UUID | None = None
    names_user: bool = False  # whether `user_id` is meant to be None where it is
    contact_id: UUID | None = None
    names_contact: bool = False  # whether `contact_id` is meant; it may be meant to be None
    custom: Sequence[CustomChange] = ()


def opportunities_of(organization_id: UUID) -> QuerySet[Opportunity]:
    """The organization's opportunities of live leads. Close sees no others."""
    return Opportunity.objects.filter(
        lead__organization_id=organization_id, lead__deleted_at__isnull=True, organization_id=organization_id
    )


def deals_of(organization_id: UUID) -> QuerySet[Opportunity]:
    """The organization's opportunities, those without a lead as well; those of a deleted lead are not to be seen."""
    live = Q(lead__isnull=True) | Q(lead__deleted_at__isnull=True)
    return Opportunity.objects.filter(live, organization_id=organization_id)


def annualized(value: int | None, period: str) -> int | None:
    """Hundredths per year; what comes once counts as once."""
    return value * 12 if value is not None and period == ValuePeriod.MONTHLY else value


def expected(value: int | None, confidence: int) -> int | None:
    """`confidence` per cent of the value, in whole hundredths."""
    return None if value is None else hundredth(value * confidence)


def hundredth(value: int) -> int:
    """A hundredth of `value`, a half rounded away from zero as PostgreSQL's `round` does."""
    size = (abs(value) + 50) // 100
    return size if value >= 0 else -size


@transaction.atomic
def create_opportunity(*, organization: Organization, by: User, draft: OpportunityDraft, today: date) -> Opportunity:
    """A new opportunity of the lead, or of a new lead without a name. `today` is that of the caller's zone.

    Without a status it gets the first one of its pipeline, without a user the caller. `FieldErrors` for what is gone.
    A draft that names no lead, or no user, on purpose gets none.
    """
    status = choose_status(draft.status, organization.pk)
    hold_fields(draft.custom)
    _hold_references(draft, organization)
    lead_id = draft.lead_id
    if lead_id is None and not draft.names_lead:
        lead_id = create_lead(organization=organization, by=by, draft=LeadDraft()).pk
    opportunity = Opportunity(
        organization=organization,
        lead_id=lead_id,
        contact_id=draft.contact_id,
        user_id=draft.user_id if draft.names_user else draft.user_id or by.pk,
        custom=changed_custom({}, draft.custom),
        created_by=by,
        **draft.columns,
    )
    _enter(opportunity, None, status, draft, today)
    opportunity.updated_by = by
    opportunity.save(force_insert=True)
    opportunity.refresh_from_db()
    _note_change(opportunity, None, by)
    return opportunity


@transaction.atomic
def update_opportunity(
    *, opportunity_id: UUID, organization: Organization, by: User, draft: OpportunityDraft, today: date
) -> Opportunity:
    """Change what `draft` names. Another status leaves an `OpportunityStatusChange`.

    Raises `NotFound`, or `FieldErrors` for what is gone.
    """
    # The status and the fields before the record: everybody takes them in this order.
    seen = deals_of(organization.pk).select_related("status").filter(pk=opportunity_id).first()
    if seen is None:
        raise NotFound
    status = choose_status(draft.status, organization.pk, current=seen.status)
    hold_fields(draft.custom)
    _hold_references(draft, organization)
    held = deals_of(organization.pk).select_for_update(of=("self",), no_key=True)
    opportunity = held.filter(pk=opportunity_id).first()
    if opportunity is None:
        raise NotFound
    old_status = opportunity.status
    for column, value in draft.columns.items():
        setattr(opportunity, column, value)
    if draft.names_lead or draft.lead_id:
        opportunity.lead_id, opportunity.detached_from = draft.lead_id, None
    if draft.names_user or draft.user_id:
        opportunity.user_id = draft.user_id
    if draft.names_contact:
        opportunity.contact_id = draft.contact_id
    opportunity.custom = changed_custom(opportunity.custom, draft.custom)
    # Nothing new said of the status: it stays what it is by now, whatever was seen above.
    _enter(opportunity, old_status, old_status if draft.status.keeps(old_status) else status, draft, today)
    opportunity.updated_by = by
    opportunity.date_updated = Now()
    opportunity.save()
    if opportunity.status_id != old_status.pk:
        _note_change(opportunity, old_status, by)
    opportunity.refresh_from_db()
    return opportunity


@transaction.atomic
def delete_opportunity(*, opportunity_id: UUID, organization: Organization) -> None:
    """Delete the opportunity and the changes of its status, for good; what was done stays. Raises `NotFound`."""
    if not deals_of(organization.pk).filter(pk=opportunity_id).exists():
        raise NotFound
    OpportunityStatusChange.objects.filter(opportunity_id=opportunity_id).delete()
    Activity.objects.filter(opportunity=opportunity_id).update(opportunity=None)
    Opportunity.objects.filter(pk=opportunity_id).delete()


def _enter(
    opportunity: Opportunity,
    old: OpportunityStatus | None,
    new: OpportunityStatus,
    draft: OpportunityDraft,
    today: date,
) -> None:
    """Put the opportunity into a status, and its dates in step with that. A `date_won` that was given goes first.

    A status with a probability gives the opportunity that confidence, unless the draft says another one.
    """
    opportunity.status = new
    if new.probability is not None and "confidence" not in draft.columns and (old is None or new.pk != old.pk):
        opportunity.confidence = new.probability
    given = draft.columns.get("date_won") is not None
    was, now = old.type if old else None, new.type
    if now == StatusType.WON and not given and (was != now or opportunity.date_won is None):
        opportunity.date_won = today
    elif was == StatusType.WON != now and not given:
        opportunity.date_won = None
    if now == StatusType.LOST != was:
        opportunity.date_lost = Now()
    elif was == StatusType.LOST != now:
        opportunity.date_lost = opportunity.lost_reason = None


def _note_change(opportunity: Opportunity, old: OpportunityStatus | None, by: User) -> None:
    OpportunityStatusChange.objects.create(
        organization_id=opportunity.organization_id,
        opportunity=opportunity,
        lead_id=opportunity.lead_id,
        old_status=old,
        new_status_id=opportunity.status_id,
        user=by,
    )


def _hold_references(draft: OpportunityDraft, organization: Organization) -> None:
    """Keep the lead and the contact that are named until this transaction ends; `FieldErrors` for what is not there."""
    problems: dict[str, object] = {}
    if draft.lead_id and not holds_lead(draft.lead_id, organization.pk):
        problems["lead_id"] = GONE
    if draft.contact_id and not _hold_contact(draft.contact_id, organization):
        problems["contact_id"] = GONE
    problems |= strangers(organization.pk, {"user_id": draft.user_id})
    if problems:
        raise FieldErrors(problems)


def _hold_contact(contact_id: UUID, organization: Organization) -> bool:
    """Keep the contact from being deleted until this transaction ends; False when there is none to be seen."""
    held: QuerySet[Contact] = contacts_of(organization.pk).select_for_update(of=("self",), no_key=True)
    return held.filter(pk=contact_id).first() is not None
