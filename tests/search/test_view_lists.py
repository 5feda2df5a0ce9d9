"""`?lead_saved_search_id=` of the list of opportunities."""

import pytest
from rest_framework.test import APIClient

from crm.ids import close_id
from crm.models import LeadStatus
from search.models import SavedSearch
from tests.factories import LeadFactory, MembershipFactory, OpportunityFactory
from tests.search.helpers import Json, all_of, of_type, regular, term, where

OPPORTUNITIES, VIEWS = "/api/v1/opportunity/", "/api/v1/saved_search/"


def view_of(api: APIClient, query: Json, view_type: str = "lead") -> str:
    s_query = {"query": all_of(of_type(view_type), query), "results_limit": 1, "sort": []}
    answer = api.post(VIEWS, {"name": "View", "type": view_type, "s_query": s_query})
    assert answer.status_code == 200, answer.json()
    return answer.json()["id"]


def named(name: str) -> Json:
    return where(regular("lead", "name"), term(name))


def test_the_opportunities_of_the_leads_of_a_view_are_listed_and_summed_up(api: APIClient, status: LeadStatus) -> None:
    organization = status.organization
    oak, elm = (LeadFactory.create(organization=organization, status=status, name=name) for name in ("Oak", "Elm"))
    first = OpportunityFactory.create(lead=oak, organization=organization, value=5)
    for lead, value in ((oak, 7), (elm, 100)):
        OpportunityFactory.create(lead=lead, organization=organization, value=value, status=first.status)
    asked = {"lead_saved_search_id": view_of(api, named("Oak")), "_group_by": "user_id"}
    found = api.get(OPPORTUNITIES, asked).json()
    assert [one["value"] for one in found["data"]] == [7, 5]
    assert (found["total_results"], found["total_value_one_time"]) == (2, 12)
    assert [group["total_value_one_time"] for group in found["groups"]] == [12]
    found = api.get(OPPORTUNITIES, {**asked, "query": "value > 5", "lead_query": "name:oak"}).json()
    assert [one["value"] for one in found["data"]] == [7]
    assert api.get(OPPORTUNITIES, {**asked, "lead_query": "name:elm"}).json()["data"] == []


@pytest.mark.parametrize("id", ["save_x", "x", "lead_0000000000000000000000", "save_0000000000000000000000", "*", "\0"])
def test_an_unknown_view_is_refused(api: APIClient, id: str) -> None:
    answer = api.get(OPPORTUNITIES, {"lead_saved_search_id": id})
    assert answer.status_code == 400
    assert list(answer.json()["field-errors"]) == ["lead_saved_search_id"]


def test_a_view_of_others_or_of_another_type_is_refused(api: APIClient, status: LeadStatus) -> None:
    deals = view_of(api, {"type": "match_all"}, "opportunity")
    stranger = MembershipFactory.create()
    theirs = SavedSearch.objects.create(
        organization=stranger.organization, user=stranger.user, name="Theirs", is_shared=True, s_query={}
    )
    for id, message in (
        (deals, "It is not a Smart View of the type 'lead'."),
        (close_id("save", theirs.pk), "Object does not exist."),
    ):
        answer = api.get(OPPORTUNITIES, {"lead_saved_search_id": id})
        assert (answer.status_code, answer.json()["field-errors"]) == (400, {"lead_saved_search_id": message})
