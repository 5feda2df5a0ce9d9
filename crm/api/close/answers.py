"""Leads and contacts as Close spells them. Whole pages at once: the number of queries is fixed."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.conf import settings

from crm.api.close.conventions import CloseRequest, Fields, close_datetime, pick_fields, wants, wants_custom
from crm.api.close.opportunity_answers import opportunities_of_leads
from crm.api.close.showing import Shown, custom_fields_of, show_custom, shown_id
from crm.api.close.task_answers import tasks_of_leads
from crm.contacts import contact_name
from crm.ids import close_id
from crm.mail.suppression import reasons_for
from crm.models import (
    Address,
    Contact,
    ContactEmail,
    ContactPhone,
    ContactUrl,
    FieldObject,
    Lead,
    LeadStatus,
    Suppression,
    User,
)
from crm.phones import shown_phone

_OF_CONTACTS = ("contacts", "contact_ids", "contacts_summary", "primary_email", "primary_phone")
_OF_ADDRESSES = ("addresses", "primary_address_summary")


@dataclass
class _Details:
    """The ways to reach each contact of a page."""

    emails: dict[UUID, list[Shown]] = field(default_factory=lambda: defaultdict(list))
    phones: dict[UUID, list[Shown]] = field(default_factory=lambda: defaultdict(list))
    urls: dict[UUID, list[Shown]] = field(default_factory=lambda: defaultdict(list))


def serialize_leads(leads: Sequence[Lead], fields: Fields, request: CloseRequest) -> list[Shown]:
    """The leads in the order given, each with the keys that `fields` asks for; nothing else is looked up."""
    if not leads:
        return []
    organization_id = request.caller.organization.pk
    keys = [lead.pk for lead in leads]
    # A lead without a name shows that of its first contact.
    nameless = wants(fields, "display_name") and not all(lead.name for lead in leads)
    contacts_of = _contacts_of(keys) if nameless or wants(fields, *_OF_CONTACTS) else {}
    people = [contact for contacts in contacts_of.values() for contact in contacts]
    in_full = serialize_contacts(people, None if wants(fields, "contacts") else _SUMMARY, request)
    shown_contacts = {contact.pk: shown for contact, shown in zip(people, in_full, strict=True)}
    addresses_of = _addresses_of(keys) if wants(fields, *_OF_ADDRESSES) else {}
    labels = _status_labels(organization_id) if wants(fields, "status_label") else {}
    names = _names_of_users(leads) if wants(fields, "created_by_name", "updated_by_name") else {}
    custom_fields = custom_fields_of(organization_id, FieldObject.LEAD) if wants_custom(fields) else {}
    opportunities_of = opportunities_of_leads(leads, request) if wants(fields, "opportunities") else {}
    tasks_of = tasks_of_leads(leads, request) if wants(fields, "tasks") else {}
    answers = []
    for lead in leads:
        contacts = [shown_contacts[contact.pk] for contact in contacts_of.get(lead.pk, [])]
        addresses = addresses_of.get(lead.pk, [])
        shown: Shown = {
            "id": close_id("lead", lead.pk),
            "organization_id": close_id("orga", lead.organization_id),
            "name": lead.name,
            "display_name": lead.name or (contacts[0]["display_name"] if contacts else "Unnamed lead"),
            "description": lead.description,
            "url": lead.url,
            "status_id": close_id("stat", lead.status_id),
            "status_label": labels.get(lead.status_id, ""),
            "addresses": addresses,
            "primary_address_summary": _summary(addresses),
            "contact_ids": [contact["id"] for contact in contacts],
            "contacts": contacts,
            "contacts_summary": ", ".join(str(contact["display_name"]) for contact in contacts),
            "primary_email": _first(contacts, "emails"),
            "primary_phone": _first(contacts, "phones"),
            "opportunities": opportunities_of.get(lead.pk, []),
            "tasks": tasks_of.get(lead.pk, []),
            "integration_links": [],
            "html_url": f"{settings.PUBLIC_URL}/admin/crm/lead/{lead.pk}/change/",
            "localtime": None,
            "created_by": shown_id("user", lead.created_by_id),
            "created_by_name": names.get(lead.created_by_id),
            "updated_by": shown_id("user", lead.updated_by_id),
            "updated_by_name": names.get(lead.updated_by_id),
            "date_created": close_datetime(lead.date_created),
            "date_updated": close_datetime(lead.date_updated),
            **show_custom(lead.custom, custom_fields),
        }
        answers.append(pick_fields(shown, fields))
    return answers


# What a lead shows of its contacts when they are not asked for themselves.
_SUMMARY = frozenset({"id", "display_name", "emails", "phones"})


def serialize_contacts(contacts: Sequence[Contact], fields: Fields, request: CloseRequest) -> list[Shown]:
    """The contacts in the order given, each with the keys that `fields` asks for; nothing else is looked up."""
    if not contacts:
        return []
    organization_id = request.caller.organization.pk
    # A contact without a name shows an address or a number instead.
    nameless = wants(fields, "display_name") and not all(contact_name(contact) for contact in contacts)
    details = _details_of(
        [contact.pk for contact in contacts],
        organization_id,
        emails=nameless or wants(fields, "emails"),
        phones=nameless or wants(fields, "phones"),
        urls=wants(fields, "urls"),
    )
    custom_fields = custom_fields_of(organization_id, FieldObject.CONTACT) if wants_custom(fields) else {}
    answers = []
    for contact in contacts:
        emails, phones = details.emails[contact.pk], details.phones[contact.pk]
        fallback = [email["email"] for email in emails[:1]] + [phone["phone_formatted"] for phone in phones[:1]]
        name = contact_name(contact)
        shown: Shown = {
            "id": close_id("cont", contact.pk),
            "lead_id": shown_id("lead", contact.lead_id),
            "organization_id": close_id("orga", contact.organization_id),
            "name": name,
            "display_name": name or (fallback[0] if fallback else "Unnamed contact"),
            "title": contact.title,
            "emails": emails,
            "phones": phones,
            "urls": details.urls[contact.pk],
            "integration_links": [],
            "timezone": None,
            "created_by": shown_id("user", contact.created_by_id),
            "updated_by": shown_id("user", contact.updated_by_id),
            "date_created": close_datetime(contact.date_created),
            "date_updated": close_datetime(contact.date_updated),
            **show_custom(contact.custom, custom_fields),
        }
        answers.append(pick_fields(shown, fields))
    return answers


def _contacts_of(lead_ids: Sequence[UUID]) -> dict[UUID, list[Contact]]:
    found: dict[UUID, list[Contact]] = defaultdict(list)
    for contact in Contact.objects.filter(lead_id__in=lead_ids):
        found[contact.lead_id].append(contact)
    return found


def _details_of(
    contact_ids: Sequence[UUID], organization_id: UUID, *, emails: bool, phones: bool, urls: bool
) -> _Details:
    details = _Details()
    if emails:
        rows = list(ContactEmail.objects.filter(contact_id__in=contact_ids))
        reasons = reasons_for(organization_id, {row.email for row in rows})
        for row in rows:
            is_unsubscribed = reasons.get(row.email) in Suppression.UNWANTED
            details.emails[row.contact_id].append(
                {"email": row.email, "type": row.type, "is_unsubscribed": is_unsubscribed}
            )
    if phones:
        for row in ContactPhone.objects.filter(contact_id__in=contact_ids):
            shown, country = shown_phone(row.phone)
            details.phones[row.contact_id].append(
                {"phone": row.phone, "phone_formatted": shown, "type": row.type, "country": country}
            )
    if urls:
        for row in ContactUrl.objects.filter(contact_id__in=contact_ids):
            details.urls[row.contact_id].append({"url": row.url, "type": row.type})
    return details


def _addresses_of(lead_ids: Sequence[UUID]) -> dict[UUID, list[Shown]]:
    found: dict[UUID, list[Shown]] = defaultdict(list)
    for address in Address.objects.filter(lead_id__in=lead_ids):
        found[address.lead_id].append(
            {
                "label": address.label,
                "address_1": address.address_1,
                "address_2": address.address_2,
                "city": address.city,
                "state": address.state,
                "zipcode": address.zipcode,
                "country": address.country,
                "tz_ids": [],
            }
        )
    return found


def _summary(addresses: Sequence[Shown]) -> str | None:
    """City, state and country of the first address."""
    parts = [str(addresses[0][key]) for key in ("city", "state", "country") if addresses[0][key]] if addresses else []
    return ", ".join(parts) or None


def _first(contacts: Iterable[Shown], key: str) -> object:
    """The first e-mail address (or number) of the first contact that has one."""
    for contact in contacts:
        ways = contact[key]
        if isinstance(ways, list) and ways:
            return ways[0]
    return None


def _status_labels(organization_id: UUID) -> dict[UUID, str]:
    return dict(LeadStatus.objects.filter(organization_id=organization_id).values_list("pk", "label"))


def _names_of_users(leads: Sequence[Lead]) -> dict[UUID | None, str]:
    keys = {key for lead in leads for key in (lead.created_by_id, lead.updated_by_id) if key}
    return {user.pk: user.full_name or user.email for user in User.objects.filter(pk__in=keys)}
