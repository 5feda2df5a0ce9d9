"""What a purge does to activities that belong to a deal, or to nobody but a contact."""

import pytest

from crm.models import Activity, Lead, Opportunity
from crm.purge import purge_lead
from tests import factories


@pytest.mark.django_db
def test_a_purge_takes_the_activities_of_its_deals_and_frees_those_of_its_contacts() -> None:
    contact = factories.ContactFactory.create()
    deal = factories.OpportunityFactory.create(lead=contact.lead)
    mine = {"organization": contact.organization, "type": "note", "contact": contact}
    on_deal = Activity.objects.create(**mine, opportunity=deal)
    alone = Activity.objects.create(**mine)
    purge_lead(contact.lead_id)
    assert not Lead.all_objects.exists()
    assert not Opportunity.all_objects.exists()
    assert not Activity.objects.filter(pk=on_deal.pk).exists()
    assert Activity.objects.get(pk=alone.pk).contact_id is None
