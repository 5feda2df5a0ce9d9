"""`?query=` of the lists of leads and opportunities."""

import json
from datetime import UTC

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import Settings
from rest_framework.test import APIClient

from crm.auth import Caller
from crm.errors import Invalid
from crm.ids import close_id
from crm.models import Address, Contact, ContactEmail, Lead, LeadStatus, Organization
from search.compiler import matching
from search.resolve import Resolved
from search.schema import OBJECT_TYPES
from search.text_query.names import NAMES
from search.text_query.resolve import resolve_text
from tests.factories import ContactFactory, LeadFactory, LeadStatusFactory, OpportunityFactory
from tests.search.helpers import NOW

LEADS, OPPORTUNITIES = "/api/v1/lead/", "/api/v1/opportunity/"


@pytest.fixture
def won(organization: Organization) -> LeadStatus:
    return LeadStatusFactory.create(organization=organization, label="Good Fit")


def make(status: LeadStatus, name: str) -> Lead:
    return LeadFactory.create(organization=status.organization, status=status, name=name)


def contact_of(lead: Lead, *emails: str, **more: object) -> Contact:
    contact = ContactFactory.create(lead=lead, **more)
    for email in emails:
        ContactEmail.objects.create(contact=contact, organization_id=lead.organization_id, email=email)
    return contact


def names(api: APIClient, query: str, **more: object) -> list[str]:
    answer = api.get(LEADS, {"query": query, **more})
    assert answer.status_code == 200, answer.json()
    assert answer.json()["total_results"] >= len(answer.json()["data"])
    return [lead["name"] for lead in answer.json()["data"]]


def test_a_list_of_leads_is_narrowed_and_sorted(api: APIClient, status: LeadStatus, won: LeadStatus) -> None:
    moss, oak, elm = make(status, "Moss & Sons"), make(won, "Oakvale Mills"), make(won, "elm")
    contact_of(moss, "ida@oakvale.example", title="CEO", name="Ida")
    contact_of(moss, "lev@moss.example", title="Clerk", name="Lev")
    contact_of(oak, "lev@oakvale.example", title="CEO", name="Lev")
    Address.objects.create(lead=elm, organization=elm.organization, city="Lyon")

    assert names(api, "") == names(api, "*") == ["elm", "Oakvale Mills", "Moss & Sons"]
    assert names(api, "* sort:name") == ["elm", "Moss & Sons", "Oakvale Mills"]
    assert names(api, "* sort:-created", _limit=1) == ["elm"]
    assert names(api, "oakvale") == ["Oakvale Mills", "Moss & Sons"]
    assert names(api, 'not "moss sons"') == ["elm", "Oakvale Mills"]
    assert names(api, 'status:"good fit" not name:elm') == ["Oakvale Mills"]
    assert names(api, "email_address:ida@oakvale.example or city:lyon") == ["elm", "Moss & Sons"]
    assert names(api, "contacts > 1") == ["Moss & Sons"]
    assert names(api, "contacts = 0") == names(api, "not contact_name:*") == ["elm"]
    assert names(api, "contact(title:CEO name:lev)") == ["Oakvale Mills"]
    assert names(api, "addresses >= 1 or (title:clerk)") == ["elm", "Moss & Sons"]
    assert names(api, "created > 2000-01-01 updated < 2000-01-01") == []
    assert names(api, close_id("lead", oak.pk)) == ["Oakvale Mills"]


def test_slices_of_a_list_are_each_lead_once(api: APIClient, status: LeadStatus) -> None:
    for number in range(30):
        make(status, f"Oakvale {number}")
    parts = [names(api, f"oakvale slice:{part}/4") for part in (1, 2, 3, 4)]
    assert sorted(name for part in parts for name in part) == sorted(names(api, "oakvale"))
    assert names(api, "oakvale slice:1/4") == parts[0]
    assert names(api, "oakvale slice:0/4") == parts[3]


def test_deleted_and_foreign_leads_are_not_found(api: APIClient, status: LeadStatus) -> None:
    make(LeadStatusFactory.create(), "Oakvale")
    lead = make(status, "Oakvale")
    api.delete(f"{LEADS}{close_id('lead', lead.pk)}/")
    assert names(api, "oakvale") == []


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ('name:"oakvale', "Position 6: this quotation mark is never closed."),
        ("stauts:Trial", "Position 1: unknown field 'stauts' of a lead. Did you mean 'status'?"),
        ("(" * 3_000, "Position 13: the parentheses are nested deeper than 12 levels."),
        ("a\0b", "Value contains characters that cannot be stored."),
    ],
)
def test_what_is_wrong_is_told_under_the_name_of_the_parameter(api: APIClient, query: str, message: str) -> None:
    for path, parameter in ((LEADS, "query"), (OPPORTUNITIES, "lead_query")):
        answer = api.get(path, {parameter: query})
        assert answer.status_code == 400
        assert answer.json()["field-errors"] == {parameter: message}


def test_a_long_query_may_come_in_a_body(api: APIClient, status: LeadStatus) -> None:
    leads = [make(status, f"Lead {number}") for number in range(3)]
    query = " or ".join(f"id:{close_id('lead', lead.pk)}" for lead in leads[:2] * 500)
    answer = api.post(LEADS, {"_params": {"query": query}}, HTTP_X_HTTP_METHOD_OVERRIDE="GET")
    assert answer.json()["total_results"] == 2
    answer = api.post(LEADS, {"_params": {"query": "a" * 100_000}}, HTTP_X_HTTP_METHOD_OVERRIDE="GET")
    assert answer.status_code == 400


def test_a_list_that_takes_too_long_is_stopped(api: APIClient, status: LeadStatus, settings: Settings) -> None:
    settings.SEARCH_STATEMENT_TIMEOUT_SECONDS = 1
    make(status, "Oakvale")
    with connection.cursor() as database:
        database.execute(
            "CREATE OR REPLACE FUNCTION drover_words(value text) RETURNS text[] LANGUAGE sql"
            " RETURN (SELECT ARRAY[value] FROM pg_sleep(20))"
        )
    answer = api.get(LEADS, {"query": "name:oakvale"})
    assert answer.status_code == 400
    assert "was stopped" in answer.json()["errors"][0]


VALUES = ["*", "oak", "oak*", '"a b"', "1", "-3", "9" * 30, "0.5", "2031-03-16", '"0001-01-01T00:00"', "9999-12-31",
          "me", "%", "'; --", "😀", "tr\\ue", "lead_x"]  # fmt: skip


@given(data=st.data())
@settings(deadline=None, database=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_understood_runs(caller: Caller, data: st.DataObject) -> None:
    object_type = data.draw(st.sampled_from(["lead", "contact", "opportunity"]))
    known = sorted({*NAMES[object_type], *OBJECT_TYPES[object_type].fields})
    written = data.draw(st.sampled_from(known)) + data.draw(st.sampled_from([":", "=", ">", "<="]))
    written = data.draw(st.sampled_from(["", "not ", "slice:1/2 "])) + written + data.draw(st.sampled_from(VALUES))
    try:
        _, resolved = resolve_text(written, caller=caller, tz=UTC, now=NOW, object_type=object_type)
    except Invalid:
        return
    kept = Resolved.from_json(json.loads(json.dumps(resolved.to_json())))
    assert list(matching(kept, caller.organization.pk)) == []


def test_a_list_of_opportunities_by_its_own_text_and_by_that_of_leads(api: APIClient, won: LeadStatus) -> None:
    moss, oak = make(won, "Moss"), make(won, "Oakvale")
    small = OpportunityFactory.create(lead=moss, organization=won.organization, value=5_00)
    large = OpportunityFactory.create(lead=oak, organization=won.organization, value=90_00, status=small.status)

    def found(**query: str) -> list[str]:
        answer = api.get(OPPORTUNITIES, query)
        assert answer.status_code == 200, answer.json()
        assert answer.json()["total_results"] == len(answer.json()["data"])
        return [one["id"] for one in answer.json()["data"]]

    first, second = close_id("oppo", small.pk), close_id("oppo", large.pk)
    assert found(query="*") == [second, first]
    assert found(query="* sort:value") == [first, second]
    assert found(query="value > 1000") == [second]
    assert found(query="company:moss") == found(lead_query="moss") == [first]
    assert found(query="value > 1000", lead_query="moss") == []
    assert found(query=f'status:"{small.status.label}"', lead_query="moss or *") == [second, first]
