"""Leads as gomega spells them (gomega-api.md 4). A page of them costs a fixed number of queries.

gomega knows one person per lead: the first contact. A lead without any, such as a company of another dialect, shows its
own name, phone and address.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Count, Max

from crm.api.gomega.dates import gomega_datetime
from crm.contacts import contact_name
from crm.custom_values import Scalar, Stored
from crm.models import (
    Activity,
    Contact,
    ContactEmail,
    ContactPhone,
    CustomField,
    FieldObject,
    Lead,
    LeadStatus,
    Membership,
)

LEAD_LINE = "lead_line"  # a reserved slug: it stands among the custom fields, and is a column of the lead
Shown = dict[str, object]


@dataclass(frozen=True)
class Person:
    name: str | None
    phone: str | None
    email: str | None


def show_leads(leads: Sequence[Lead], *, custom: bool) -> list[Shown]:
    """The leads, which are all of one organization; with `custom` also their custom fields."""
    if not leads:
        return []
    organization_id, keys = leads[0].organization_id, [lead.pk for lead in leads]
    people = _people(leads)
    stages = {stage.pk: stage for stage in LeadStatus.objects.filter(pk__in={lead.status_id for lead in leads})}
    owners = _owners(organization_id, {lead.owner_id for lead in leads} - {None})
    seen = _interactions(keys)
    fields = _fields(organization_id) if custom else {}
    return [
        {
            **_basics(lead, people[lead.pk]),
            "customer_id": str(lead.organization_id),
            "status": lead.lifecycle,
            "score": lead.score,
            "qualified": lead.qualified,
            "current_stage": _stage(stages.get(lead.status_id)),
            "owner": owners.get(lead.owner_id),
            "last_interaction_at": gomega_datetime(seen[lead.pk][1]) if lead.pk in seen else None,
            "interaction_count": seen[lead.pk][0] if lead.pk in seen else 0,
            **({"custom_fields": _custom(lead, fields)} if custom else {}),
        }
        for lead in leads
    ]


def event_lead(lead: Lead) -> Shown:
    """A lead as an event tells of it (gomega-api.md 9)."""
    stage = LeadStatus.objects.filter(pk=lead.status_id).first()
    return {
        **_basics(lead, _people([lead])[lead.pk]),
        "lead_line": lead.lead_line,
        "current_stage": {"slug": stage.slug, "name": stage.label} if stage else None,
        "custom_fields": _custom(lead, _fields(lead.organization_id)),
    }


def _basics(lead: Lead, person: Person) -> Shown:
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


def _stage(stage: LeadStatus | None) -> Shown | None:
    if stage is None:
        return None
    return {"id": str(stage.pk), "slug": stage.slug, "name": stage.label, "color": None}


def _people(leads: Sequence[Lead]) -> dict[UUID, Person]:
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


def _owners(organization_id: UUID, user_ids: set[UUID]) -> dict[UUID, Shown]:
    members = Membership.objects.filter(organization_id=organization_id, user_id__in=user_ids).select_related("user")
    return {
        member.user_id: {
            "id": str(member.user_id),
            "name": member.user.full_name or member.user.email,
            "role_name": member.role,
        }
        for member in members
    }


def _interactions(lead_ids: Iterable[UUID]) -> dict[UUID, tuple[int, datetime]]:
    """How many there were, and when the last one was, of each lead with any."""
    activities = Activity.objects.filter(lead_id__in=lead_ids).order_by().values_list("lead_id")
    counted = activities.annotate(count=Count("pk"), last=Max("activity_at"))
    return {lead_id: (count, last) for lead_id, count, last in counted}


def _fields(organization_id: UUID) -> dict[str, CustomField]:
    """The custom fields of leads by their keys."""
    fields = CustomField.objects.filter(organization_id=organization_id, object_type=FieldObject.LEAD)
    return {field.key: field for field in fields}


def _custom(lead: Lead, fields: Mapping[str, CustomField]) -> dict[str, Scalar | None]:
    """All fields by slug, also those without a value. References are spelled as uuids, several values as one text."""
    shown = {field.slug: _value(lead.custom.get(key)) for key, field in fields.items()}
    return {**shown, LEAD_LINE: lead.lead_line}


def _value(stored: Stored | None) -> Scalar | None:
    return ", ".join(map(str, stored)) if isinstance(stored, list) else stored
