"""Whom a mail to leads goes to."""

import pytest

from crm.mail.recipients import Addressee, Preference, of_contacts, of_leads
from crm.models import Contact, Lead, Organization
from tests import factories


@pytest.fixture
def lead(organization: Organization) -> Lead:
    return factories.LeadFactory.create(organization=organization)


def person(lead: Lead, position: int, *addresses: str) -> Contact:
    contact = factories.ContactFactory.create(lead=lead, position=position)
    for place, address in enumerate(addresses):
        contact.emails.create(organization=lead.organization, email=address, position=place)
    return contact


def test_each_preference(lead: Lead, django_assert_num_queries: object) -> None:
    last = person(lead, 2, "c@x.example")
    first = person(lead, 0)
    second = person(lead, 1, "a@x.example", "b@x.example")
    other = factories.LeadFactory.create(organization=lead.organization)
    alone = person(other, 0, "d@x.example")
    a, b, c, d = (
        Addressee(lead.pk, second.pk, "a@x.example"),
        Addressee(lead.pk, second.pk, "b@x.example"),
        Addressee(lead.pk, last.pk, "c@x.example"),
        Addressee(other.pk, alone.pk, "d@x.example"),
    )
    expected = {Preference.LEAD: [d, a], Preference.CONTACT: [d, a, c], Preference.ALL: [d, a, b, c]}
    for preference, found in expected.items():
        with django_assert_num_queries(1):
            assert of_leads([other.pk, lead.pk], preference) == found
    people = [last.pk, first.pk, second.pk]
    assert of_contacts(people, Preference.CONTACT) == of_contacts(people, Preference.LEAD) == [c, a]
    assert of_contacts(people, Preference.ALL) == [c, a, b]
