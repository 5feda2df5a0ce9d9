"""Worlds to merge into, and what they hold afterwards."""

from crm.merging import Merged, Row, Rules, merge_rows
from crm.models import Contact, ContactEmail, ContactPhone, Lead, Membership
from tests import factories


def merge(membership: Membership, *rows: Row, rules: Rules | None = None, **options: object) -> Merged:
    return merge_rows(
        organization=membership.organization, by=membership.user, rows=rows, rules=rules or Rules(), **options
    )


def make_contact(lead: Lead, *, email: str | None = None, phone: str | None = None, **columns: object) -> Contact:
    contact = factories.ContactFactory.create(lead=lead, **columns)
    if email:
        ContactEmail.objects.create(organization=lead.organization, contact=contact, email=email)
    if phone:
        ContactPhone.objects.create(organization=lead.organization, contact=contact, phone=phone)
    return contact


def emails_of(contact: Contact) -> list[str]:
    return list(contact.emails.values_list("email", flat=True))


def phones_of(contact: Contact) -> list[str]:
    return list(contact.phones.values_list("phone", flat=True))


def outcomes(merged: Merged) -> list[tuple[str, str | None]]:
    return [(result.outcome.value, result.matched_by and result.matched_by.value) for result in merged.results]
