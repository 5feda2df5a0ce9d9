"""Deals and activities without a lead, and deals deleted by BlueAI, are nothing to Close: in no list, sum or search."""

import pytest
from django.utils import timezone

from crm.ids import close_id
from crm.models import (
    Activity,
    Lead,
    LeadStatus,
    Opportunity,
    OpportunityStatus,
    OpportunityStatusChange,
    Organization,
    User,
)
from tests import factories
from tests.crm.api.close.conftest import Close


@pytest.fixture
def lead(organization: Organization, status: LeadStatus) -> Lead:
    return factories.LeadFactory.create(organization=organization, status=status)


@pytest.fixture
def stage(organization: Organization) -> OpportunityStatus:
    return factories.OpportunityStatusFactory.create(pipeline__organization=organization)


@pytest.fixture
def seen(lead: Lead, stage: OpportunityStatus, user: User) -> Opportunity:
    return factories.OpportunityFactory.create(lead=lead, status=stage, value=100, user=user)


@pytest.fixture(params=["without a lead", "deleted"])
def hidden(request: pytest.FixtureRequest, lead: Lead, stage: OpportunityStatus) -> Opportunity:
    deal = factories.OpportunityFactory.create(lead=lead, status=stage, value=7000)
    gone = {"lead": None} if request.param == "without a lead" else {"deleted_at": timezone.now()}
    Opportunity.objects.filter(pk=deal.pk).update(**gone)
    OpportunityStatusChange.objects.create(
        organization_id=deal.organization_id, opportunity=deal, lead=lead, old_status=stage, new_status=stage
    )
    return deal


def found(close: Close, object_type: str, query: dict[str, object] | None = None) -> list[str]:
    of_type = {"type": "object_type", "object_type": object_type}
    queries = [of_type, query] if query else [of_type]
    answer = close.post("/data/search/", {"query": {"type": "and", "queries": queries}})
    assert answer.status_code == 200, answer.content
    return [row["id"] for row in answer.json()["data"]]


def test_no_list_and_no_sum_has_such_a_deal(close: Close, seen: Opportunity, hidden: Opportunity) -> None:
    answer = close.get("/opportunity/").json()
    assert [row["id"] for row in answer["data"]] == [close_id("oppo", seen.pk)]
    assert (answer["total_results"], answer["total_value_one_time"]) == (1, 100)


def test_it_can_be_neither_read_nor_written(close: Close, seen: Opportunity, hidden: Opportunity) -> None:
    path = f"/opportunity/{close_id('oppo', hidden.pk)}/"
    before = Opportunity.all_objects.values().get(pk=hidden.pk)
    answers = [close.get(path), close.put(path, {"note": "x"}), close.delete(path)]
    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert Opportunity.all_objects.values().get(pk=hidden.pk) == before


def test_its_changes_of_status_are_not_told(close: Close, seen: Opportunity, hidden: Opportunity) -> None:
    assert close.get("/activity/status_change/opportunity/").json()["data"] == []


def test_its_lead_does_not_show_it(close: Close, lead: Lead, seen: Opportunity, hidden: Opportunity) -> None:
    shown = close.get(f"/lead/{close_id('lead', lead.pk)}/").json()["opportunities"]
    assert [row["id"] for row in shown] == [close_id("oppo", seen.pk)]


def test_no_search_finds_or_counts_it(close: Close, lead: Lead, seen: Opportunity, hidden: Opportunity) -> None:
    assert found(close, "opportunity") == [close_id("oppo", seen.pk)]

    def leads(field: str, condition: dict[str, object]) -> list[str]:
        regular = {"type": "regular_field", "object_type": "lead", "field_name": field}
        return found(close, "lead", {"type": "field_condition", "field": regular, "condition": condition})

    mine = [close_id("lead", lead.pk)]
    assert leads("num_opportunities", {"type": "number_range", "gte": 1, "lte": 1}) == mine
    assert leads("total_opportunity_value", {"type": "number_range", "gte": 7000}) == []
    assert leads("last_opportunity_status_change_date", {"type": "exists"}) == []


def test_an_activity_without_a_lead_is_nowhere(close: Close, lead: Lead) -> None:
    seen = factories.ActivityFactory.create(lead=lead, text="seen")
    hidden = Activity.objects.create(organization=lead.organization, type="note", text="hidden")
    assert [row["id"] for row in close.get("/activity/").json()["data"]] == [close_id("acti", seen.pk)]
    assert found(close, "activity.note") == [close_id("acti", seen.pk)]
    path = f"/activity/note/{close_id('acti', hidden.pk)}/"
    answers = [close.get(path), close.put(path, {"note": "x"}), close.delete(path)]
    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert Activity.objects.get(pk=hidden.pk).text == "hidden"
