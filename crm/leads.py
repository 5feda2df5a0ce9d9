"""Leads: making, changing and deleting one (close-api.md 4.1)."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from crm.contacts import ContactDraft, add_contacts
from crm.custom_changes import CustomChange, changed_custom, hold_fields
from crm.errors import FieldErrors, NotFound
from crm.models import Address, Contact, Lead, LeadStatusChange, Organization, User
from crm.statuses import hold_default_status, hold_status
from crm.webhooks.events import note_created


@dataclass(frozen=True)
class AddressDraft:
    label: str | None = None
    address_1: str | None = None
    address_2: str | None = None
    city: str | None = None
    state: str | None = None
    zipcode: str | None = None
    country: str | None = None  # two letters, upper case


@dataclass(frozen=True)
class LeadDraft:
    """What a write says of a lead. `texts` holds the plain columns that it names; None means "not named"."""

    # name, description, url; of BlueAI also industry, phone, email, name_kana, department, employee_count
    texts: Mapping[str, object] = field(default_factory=dict)
    status_id: UUID | None = None
    addresses: Sequence[AddressDraft] | None = None
    custom: Sequence[CustomChange] = ()


def leads_of(organization_id: UUID) -> QuerySet[Lead]:
    """The organization's leads, without those marked as deleted."""
    return Lead.objects.filter(organization_id=organization_id)


@transaction.atomic
def create_lead(
    *, organization: Organization, by: User, draft: LeadDraft, contacts: Sequence[ContactDraft] = ()
) -> Lead:
    """A new lead with its addresses and contacts. Without a status it gets the organization's first one."""
    if draft.status_id is None:
        status_id = hold_default_status(organization.pk)
    else:
        status_id = _held_status(draft.status_id, organization)
    hold_fields(draft.custom)
    lead = Lead.objects.create(
        organization=organization,
        status_id=status_id,
        custom=changed_custom({}, draft.custom),
        created_by=by,
        updated_by=by,
        **draft.texts,
    )
    _make_addresses(lead, draft.addresses or ())
    add_contacts(lead=lead, drafts=contacts, by=by)
    note_created(lead)
    return lead


@transaction.atomic
def update_lead(*, lead_id: UUID, organization: Organization, by: User, draft: LeadDraft) -> Lead:
    """Change what `draft` names; addresses are replaced whole. Another status leaves a `LeadStatusChange`.

    Raises `NotFound`, or `FieldErrors` for a status that is gone.
    """
    # The status and the fields before the lead: bulk edits take them in this order.
    new_status_id = None if draft.status_id is None else _held_status(draft.status_id, organization)
    hold_fields(draft.custom)
    lead = _hold(lead_id, organization)
    old_status_id = lead.status_id
    for column, value in draft.texts.items():
        setattr(lead, column, value)
    lead.custom = changed_custom(lead.custom, draft.custom)
    if new_status_id is not None and new_status_id != old_status_id:
        lead.status_id = new_status_id
        LeadStatusChange.objects.create(
            organization=organization, lead=lead, old_status_id=old_status_id, new_status_id=new_status_id, user=by
        )
    lead.updated_by = by
    lead.date_updated = Now()
    lead.save()
    if draft.addresses is not None:
        Address.objects.filter(lead=lead).delete()
        _make_addresses(lead, draft.addresses)
    lead.refresh_from_db()
    return lead


@transaction.atomic
def delete_lead(*, lead_id: UUID, organization: Organization, by: User) -> None:
    """Mark the lead as deleted: nothing reads it or its contacts any more. Raises `NotFound`."""
    lead = _hold(lead_id, organization)
    lead.deleted_at = lead.date_updated = Now()
    lead.updated_by = by
    lead.save(update_fields=["deleted_at", "date_updated", "updated_by"])


@transaction.atomic
def create_contact(
    *, organization: Organization, by: User, draft: ContactDraft, lead_id: UUID | None = None
) -> Contact:
    """A new contact of that lead, or of a new lead named after it. `FieldErrors` for an unknown lead."""
    if lead_id is None:
        named = LeadDraft(texts={"name": draft.texts.get("name")})
        made = create_lead(organization=organization, by=by, draft=named, contacts=[draft])
        return Contact.objects.get(lead=made)
    lead = leads_of(organization.pk).filter(pk=lead_id).first()
    if lead is None:
        raise FieldErrors({"lead": "Object does not exist."})
    return add_contacts(lead=lead, drafts=[draft], by=by)[0]


def _hold(lead_id: UUID, organization: Organization) -> Lead:
    lead = leads_of(organization.pk).select_for_update(no_key=True).filter(pk=lead_id).first()
    if lead is None:
        raise NotFound
    return lead


def _held_status(status_id: UUID, organization: Organization) -> UUID:
    if not hold_status(status_id, organization.pk):
        raise FieldErrors({"status_id": "Object does not exist."})
    return status_id


def _make_addresses(lead: Lead, drafts: Sequence[AddressDraft]) -> None:
    Address.objects.bulk_create(
        Address(organization_id=lead.organization_id, lead=lead, position=position, **asdict(draft))
        for position, draft in enumerate(drafts)
    )
