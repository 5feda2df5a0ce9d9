"""Contacts: making, changing and deleting one (close-api.md 4.2)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.db import transaction
from django.db.models import Max, Q, QuerySet
from django.db.models.functions import Now

from crm.custom_changes import CustomChange, changed_custom, hold_fields
from crm.errors import FieldErrors, NotFound
from crm.models import Contact, ContactEmail, ContactPhone, ContactUrl, Lead, Organization, SequenceSubscription, User
from crm.models.contacts import ContactDetail
from crm.sequences.states import Reason, withdraw


@dataclass(frozen=True)
class Detail:
    """One way to reach a contact: an address, a number in the form that is stored, or a URL."""

    value: str
    type: str


@dataclass(frozen=True)
class ContactDraft:
    """What a write says of a contact. `texts` holds the plain columns that it names; None means "not named"."""

    # name, title, note; first_name and last_name beside their name
    texts: Mapping[str, str | None] = field(default_factory=dict)
    emails: Sequence[Detail] | None = None
    phones: Sequence[Detail] | None = None
    urls: Sequence[Detail] | None = None
    custom: Sequence[CustomChange] = ()


# Model and its column, by the name of the list.
_DETAILS: dict[str, tuple[type[ContactDetail], str]] = {
    "emails": (ContactEmail, "email"),
    "phones": (ContactPhone, "phone"),
    "urls": (ContactUrl, "url"),
}


def contacts_of(organization_id: UUID) -> QuerySet[Contact]:
    """The organization's contacts; those of a deleted lead are not to be seen."""
    live = Q(lead__isnull=True) | Q(lead__deleted_at__isnull=True)
    return Contact.objects.filter(live, organization_id=organization_id)


def contact_name(contact: Contact) -> str | None:
    """What a person is called: the name as typed, else the two parts of it."""
    return contact.name or " ".join(part for part in (contact.first_name, contact.last_name) if part) or contact.name


def split_name(contact: Contact) -> tuple[str, str]:
    """First and last name, for a dialect that has both: as given, or the name split at its last blank (U+3000 is one).

    A name of one word is a first name, and so it stays when it is put together again.
    """
    return split_texts(contact.name, contact.first_name, contact.last_name)


def split_texts(name: str | None, first_name: str | None, last_name: str | None) -> tuple[str, str]:
    """`split_name` of the three columns."""
    if first_name or last_name:
        return first_name or "", last_name or ""
    first, *last = (name or "").rsplit(maxsplit=1) or [""]
    return (first.strip(), last[0]) if last else (first.strip(), "")


@transaction.atomic
def add_contacts(*, lead: Lead, drafts: Sequence[ContactDraft], by: User) -> list[Contact]:
    """Make contacts of `lead`, in the order given, after those it has."""
    if not drafts:
        return []
    hold_fields([change for draft in drafts for change in draft.custom])
    # Waits for another one that is being added: two must not get one position.
    if not Lead.objects.select_for_update(no_key=True).filter(pk=lead.pk).exists():
        raise FieldErrors({"lead": "Object does not exist."})
    first = _next_position(lead.pk)
    return _make_contacts(lead.organization_id, lead, drafts, by, first)


@transaction.atomic
def create_person(*, organization: Organization, by: User, draft: ContactDraft) -> Contact:
    """A new contact without a lead. Only BlueAI knows such."""
    hold_fields(draft.custom)
    return _make_contacts(organization.pk, None, [draft], by, 0)[0]


def _make_contacts(
    organization_id: UUID, lead: Lead | None, drafts: Sequence[ContactDraft], by: User, first: int
) -> list[Contact]:
    # One by one: bulk_create does not read back a key that the database makes.
    contacts = [
        Contact.objects.create(
            organization_id=organization_id,
            lead=lead,
            position=first + offset,
            custom=changed_custom({}, draft.custom),
            created_by=by,
            updated_by=by,
            **draft.texts,
        )
        for offset, draft in enumerate(drafts)
    ]
    pairs = list(zip(contacts, drafts, strict=True))
    for name in _DETAILS:
        _make_details(name, [(contact, getattr(draft, name) or ()) for contact, draft in pairs])
    return contacts


@transaction.atomic
def update_contact(
    *,
    contact_id: UUID,
    organization: Organization,
    by: User,
    draft: ContactDraft | Callable[[Contact], ContactDraft],
    lead_id: UUID | None = None,
    leaves_lead: bool = False,
) -> Contact:
    """Change what `draft` names; a list that it names is replaced whole. `lead_id`: moves the contact to that lead;
    `leaves_lead`: to none.

    A draft that depends on what the contact holds is a function of that, called once nobody else can change it; it has
    no custom values. A write of `name` alone clears first and last name. Raises `NotFound`, or `FieldErrors` for an
    unknown lead.
    """
    if isinstance(draft, ContactDraft):
        hold_fields(draft.custom)
    # The lead before the contact, as a merge of leads takes them.
    lead = None if lead_id is None else _locked_lead(lead_id, organization)
    contact = _hold(contact_id, organization)
    if not isinstance(draft, ContactDraft):
        draft = draft(contact)
    for column, value in draft.texts.items():
        setattr(contact, column, value)
    if "name" in draft.texts and "first_name" not in draft.texts:
        contact.first_name = contact.last_name = None
    contact.custom = changed_custom(contact.custom, draft.custom)
    if lead and lead.pk != contact.lead_id:
        contact.lead, contact.position = lead, _next_position(lead.pk)
        contact.detached_from = None
        SequenceSubscription.objects.filter(contact=contact).update(lead=lead, date_updated=Now())
    elif leaves_lead:
        contact.lead = contact.detached_from = None
    contact.updated_by = by
    contact.date_updated = Now()
    contact.save()
    for name, (model, _) in _DETAILS.items():
        details = getattr(draft, name)
        if details is not None:
            model.objects.filter(contact=contact).delete()
            _make_details(name, [(contact, details)])
    contact.refresh_from_db()
    return contact


@transaction.atomic
def delete_contact(*, contact_id: UUID, organization: Organization) -> None:
    """Delete the contact and what hangs on it, for good; mail of its sequences that waits does not leave. Raises
    `NotFound`."""
    remove_contacts([_hold(contact_id, organization).pk])


def remove_contacts(contact_ids: Sequence[UUID]) -> None:
    """Delete these contacts, which the transaction at hand holds, as `delete_contact` does one."""
    subscriptions = SequenceSubscription.objects.filter(contact__in=contact_ids).values_list("pk", flat=True)
    # With its subscription gone the gate of a mail would let it pass.
    if withdrawn := list(subscriptions):
        withdraw(withdrawn, Reason.LEAD_NOT_VISIBLE)
    Contact.objects.filter(pk__in=contact_ids).delete()


def _hold(contact_id: UUID, organization: Organization) -> Contact:
    contact = contacts_of(organization.pk).select_for_update(of=("self",), no_key=True).filter(pk=contact_id).first()
    if contact is None:
        raise NotFound
    return contact


def _locked_lead(lead_id: UUID, organization: Organization) -> Lead:
    """The live lead, one contact at a time: two must not get one position."""
    lead = Lead.objects.select_for_update(no_key=True).filter(pk=lead_id, organization=organization).first()
    if lead is None:
        raise FieldErrors({"lead": "Object does not exist."})
    return lead


def _next_position(lead_id: UUID) -> int:
    last = Contact.objects.filter(lead_id=lead_id).aggregate(last=Max("position"))["last"]
    return 0 if last is None else last + 1


def _make_details(name: str, details_of: Sequence[tuple[Contact, Sequence[Detail]]]) -> None:
    model, column = _DETAILS[name]
    model.objects.bulk_create(
        model(
            organization_id=contact.organization_id,
            contact=contact,
            position=position,
            type=detail.type,
            **{column: detail.value},
        )
        for contact, details in details_of
        for position, detail in enumerate(details)
    )
