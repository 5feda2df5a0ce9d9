"""A lead as an event tells of it, which gomega's answers do in the same words (gomega-api.md 4 and 9).

gomega knows one person per lead: the first contact. A lead without any, such as a company of another dialect, shows its
own name, phone and address.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from crm.contacts import contact_name
from crm.custom_values import Scalar, Stored
from crm.models import Contact, ContactEmail, ContactPhone, CustomField, FieldObject, Lead, LeadStatus
from crm.webhooks.dates import gomega_datetime

LEAD_LINE = "lead_line"  # a reserved slug: it stands among the custom fields, and is a column of the lead
Shown = dict[str, object]


@dataclass(frozen=True)
class Person:
    name: str | None
    phone: str | None
    email: str | None


def event_lead(lead: Lead) -> Shown:
    """A lead as an event tells of it (gomega-api.md 9)."""
    stage = LeadStatus.objects.filter(pk=lead.status_id).first()
    return {
        **basics(lead, people_of([lead])[lead.pk]),
        "lead_line": lead.lead_line,
        "current_stage": {"slug": stage.slug, "name": stage.label} if stage else None,
        "custom_fields": custom_of(lead, fields_of(lead.organization_id)),
    }


def basics(lead: Lead, person: Person) -> Shown:
    """What every spelling of a lead says of it."""
    return {
        "id": str(lead.pk),
        "contact_name": person.name,
        "contact_phone": person.phone,
        "contact_email": person.email,
        "source_platform": lead.source_platform,
        "source_type": lead.source_type,
        "created_at": gomega_datetime(lead.date_created),
        "updated_at": gomega_datetime(lead.date_updated),
    }


def people_of(leads: Sequence[Lead]) -> dict[UUID, Person]:
    """The person that each of the leads is shown with, in three queries."""
    contacts = Contact.objects.filter(lead__in=leads).order_by("lead_id", "position", "id").distinct("lead_id")
    first = {contact.lead_id: contact for contact in contacts}
    keys = [contact.pk for contact in first.values()]
    emails = _first_details(ContactEmail.objects.filter(contact__in=keys), "email")
    phones = _first_details(ContactPhone.objects.filter(contact__in=keys), "phone")
    people = {}
    for lead in leads:
        contact = first.get(lead.pk)
        if contact is None:
            people[lead.pk] = Person(lead.name, lead.phone, lead.email)
        else:
            people[lead.pk] = Person(contact_name(contact), phones.get(contact.pk), emails.get(contact.pk))
    return people


def _first_details(details: "Iterable", column: str) -> dict[UUID, str]:
    ordered = details.order_by("contact_id", "position", "id").distinct("contact_id")
    return dict(ordered.values_list("contact_id", column))


def fields_of(organization_id: UUID) -> dict[str, CustomField]:
    """The custom fields of leads by their keys."""
    fields = CustomField.objects.filter(organization_id=organization_id, object_type=FieldObject.LEAD)
    return {field.key: field for field in fields}


def custom_of(lead: Lead, fields: Mapping[str, CustomField]) -> dict[str, Scalar | None]:
    """All fields by slug, also those without a value. References are spelled as uuids, several values as one text."""
    shown = {field.slug: _value(lead.custom.get(key)) for key, field in fields.items()}
    return {**shown, LEAD_LINE: lead.lead_line}


def _value(stored: Stored | None) -> Scalar | None:
    return ", ".join(map(str, stored)) if isinstance(stored, list) else stored
