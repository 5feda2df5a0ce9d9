"""Deleting a company the way BlueAI does."""

import pytest
from django.utils import timezone

from crm.companies import delete_company
from crm.contacts import contacts_of
from crm.errors import NotFound
from crm.models import Contact, Lead, Membership, Opportunity
from crm.opportunities import deals_of, opportunities_of
from tests import factories


@pytest.fixture
def lead(membership: Membership) -> Lead:
    return factories.LeadFactory.create(organization=membership.organization)


def test_its_contacts_and_deals_stay_without_it(membership: Membership, lead: Lead) -> None:
    contact = factories.ContactFactory.create(lead=lead)
    deal = factories.OpportunityFactory.create(lead=lead)
    elsewhere = factories.ContactFactory.create(lead__organization=lead.organization)
    delete_company(lead_id=lead.pk, organization=membership.organization, by=membership.user)
    for row in (contact, deal, lead):
        row.refresh_from_db()
    assert (contact.lead_id, contact.detached_from, deal.lead_id, deal.detached_from) == (None, lead.pk, None, lead.pk)
    assert (lead.deleted_at is None, lead.updated_by) == (False, membership.user)
    assert set(contacts_of(lead.organization_id)) == {contact, elsewhere}
    assert list(deals_of(lead.organization_id)) == [deal]
    assert not opportunities_of(lead.organization_id).exists()
    assert Contact.objects.get(pk=elsewhere.pk).lead_id


def test_a_company_of_others_or_a_deleted_one_is_not_found(membership: Membership, lead: Lead) -> None:
    stranger = factories.LeadFactory.create()
    Lead.objects.filter(pk=lead.pk).update(deleted_at=timezone.now())
    for key in (stranger.pk, lead.pk):
        with pytest.raises(NotFound):
            delete_company(lead_id=key, organization=membership.organization, by=membership.user)
    assert Lead.objects.filter(pk=stranger.pk).exists()


def test_a_deal_marked_as_deleted_is_detached_too(membership: Membership, lead: Lead) -> None:
    deal = factories.OpportunityFactory.create(lead=lead, deleted_at=timezone.now())
    delete_company(lead_id=lead.pk, organization=membership.organization, by=membership.user)
    assert Opportunity.all_objects.get(pk=deal.pk).detached_from == lead.pk
