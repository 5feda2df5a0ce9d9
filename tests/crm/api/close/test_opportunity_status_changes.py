"""`/activity/status_change/opportunity/`."""

from crm.ids import close_id
from crm.models import Opportunity, OpportunityStatusChange, Organization, User
from tests import factories
from tests.crm.api.close.conftest import Close

PATH = "/activity/status_change/opportunity/"


def change_of(opportunity: Opportunity, user: User) -> str:
    made = OpportunityStatusChange.objects.create(
        organization_id=opportunity.organization_id,
        opportunity=opportunity,
        lead=opportunity.lead,
        new_status=opportunity.status,
        user=user,
    )
    return close_id("acti", made.pk)


def test_changes_are_listed_fetched_and_filtered(close: Close, organization: Organization, user: User) -> None:
    lead = factories.LeadFactory.create(organization=organization)
    first, second = (factories.OpportunityFactory.create(lead=lead) for _ in range(2))
    old, new = change_of(first, user), change_of(second, user)
    listed = close.get(PATH).json()["data"]
    assert [row["id"] for row in listed] == [new, old]
    assert (listed[1]["new_status_label"], listed[1]["old_status_id"]) == (first.status.label, None)
    assert close.get(f"{PATH}{old}/").json() == listed[1]
    for query in ({"opportunity_id": close_id("oppo", first.pk)}, {"id__in": old}):
        assert [row["id"] for row in close.get(PATH, **query).json()["data"]] == [old]
    assert close.get(PATH, lead_id="lead_x").json()["data"] == []
    assert close.get(PATH, activity_at__lt="2020-01-01").json()["data"] == []


def test_theirs_and_those_of_deleted_leads_are_not_seen(
    close: Close, stranger: Close, organization: Organization, user: User
) -> None:
    lead = factories.LeadFactory.create(organization=organization)
    change = change_of(factories.OpportunityFactory.create(lead=lead), user)
    assert stranger.get(PATH).json()["data"] == []
    assert stranger.get(f"{PATH}{change}/").status_code == 404
    close.delete(f"/lead/{close_id('lead', lead.pk)}/")
    assert close.get(PATH).json()["data"] == []
    assert close.get(f"{PATH}{change}/").status_code == 404
