"""Whom a mail to leads goes to (close-api.md 2.7, `contact_preference`)."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import TextChoices

from crm.models import ContactEmail


class Preference(TextChoices):
    LEAD = "lead"  # the first address of the lead's first contact that has one
    CONTACT = "contact"  # the first address of each contact
    ALL = "all"  # every address of each contact


@dataclass(frozen=True)
class Addressee:
    """An address of a contact, as it is kept there."""

    lead_id: UUID | None
    contact_id: UUID
    address: str


def of_leads(lead_ids: Sequence[UUID], preference: str) -> list[Addressee]:
    """The addressees of these leads, in the order of the leads and of their contacts. One query."""
    rows = ContactEmail.objects.filter(contact__lead__in=lead_ids)
    by_lead: dict[UUID | None, list[Addressee]] = defaultdict(list)
    for one in _ordered(rows, preference):
        by_lead[one.lead_id].append(one)
    found = [by_lead.get(key, []) for key in lead_ids]
    return [one for those in found for one in (those[:1] if preference == Preference.LEAD else those)]


def of_contacts(contact_ids: Sequence[UUID], preference: str) -> list[Addressee]:
    """The addressees among these contacts, in their order: the first address of each, or (`all`) all. One query."""
    by_contact: dict[UUID, list[Addressee]] = defaultdict(list)
    for one in _ordered(ContactEmail.objects.filter(contact__in=contact_ids), preference):
        by_contact[one.contact_id].append(one)
    return [one for key in contact_ids for one in by_contact.get(key, [])]


def _ordered(rows: object, preference: str) -> list[Addressee]:
    ordered = rows.order_by("contact__position", "contact_id", "position", "id")
    found: list[Addressee] = []
    for lead_id, contact_id, address in ordered.values_list("contact__lead_id", "contact_id", "email"):
        if preference == Preference.ALL or not found or found[-1].contact_id != contact_id:
            found.append(Addressee(lead_id, contact_id, address))
    return found
