"""`?query=` of the lists of leads and opportunities."""

import json
import time
from datetime import UTC

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given, settings
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
from tests.search.helpers import NOW, settle

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
    assert names(api, close_id("lead", oak.pk)) == names(api, f"id:{close_id('lead', oak.pk)}") == ["Oakvale Mills"]
    assert names(api, "id:lead_x") == names(api, "id:oakvale") == []


def test_slices_of_a_list_are_each_lead_once(api: APIClient, status: LeadStatus) -> None:
    for number in range(30):
        make(status, f"Oakvale {number}")
    parts = [names(api, f"oakvale slice:{part}/4") for part in (1, 2, 3, 4)]
    assert sorted(name for part in parts for name in part) == sorted(names(api, "oakvale"))
    assert names(api, "oakvale slice:1/4") == parts[0]
    assert names(api, "oakvale slice:0/4") == parts[3]


@pytest.mark.parametrize("query", ["oakvale", "oakvale sort:-name", "oakvale sort:updated slice:1/2", "slice:0/3"])
def test_pages_of_a_list_hold_each_lead_once(api: APIClient, status: LeadStatus, query: str) -> None:
    for number in range(25):
        make(status, f"Oakvale {number % 5}")
    whole = api.get(LEADS, {"query": query}).json()
    assert (whole["has_more"], whole["total_results"]) == (False, len(whole["data"]))
    walked: list[str] = []
    while True:
        page = api.get(LEADS, {"query": query, "_skip": len(walked), "_limit": 4, "_fields": "id"}).json()
        walked += [lead["id"] for lead in page["data"]]
        assert page["total_results"] == whole["total_results"]
        assert page["has_more"] is (len(walked) < whole["total_results"])
        if not page["has_more"]:
            break
    assert walked == [lead["id"] for lead in whole["data"]]


def test_pages_of_a_list_of_opportunities(api: APIClient, won: LeadStatus) -> None:
    lead = make(won, "Oakvale")
    first = OpportunityFactory.create(lead=lead, organization=won.organization, value=0)
    for value in (7, 3, 3, 9, 1, 3):
        OpportunityFactory.create(lead=lead, organization=won.organization, value=value, status=first.status)
    query = {"query": "company:oakvale value > 1 sort:-value"}
    pages = [api.get(OPPORTUNITIES, {**query, "_skip": skip, "_limit": 2}).json() for skip in (0, 2, 4)]
    assert [one["value"] for page in pages for one in page["data"]] == [9, 7, 3, 3, 3]
    assert len({one["id"] for page in pages for one in page["data"]}) == 5
    assert [(page["has_more"], page["total_results"]) for page in pages] == [(True, 5), (True, 5), (False, 5)]
    parts = [api.get(OPPORTUNITIES, {"query": f"* slice:{part}/2"}).json()["total_results"] for part in (1, 2)]
    assert sum(parts) == 7


def test_a_list_looks_words_up_in_the_text_index(api: APIClient, status: LeadStatus) -> None:
    make(status, "Oakvale")
    with CaptureQueriesContext(connection) as asked:
        assert names(api, "oakvale not city:lyon") == ["Oakvale"]
    assert any("search_leadwords" in query["sql"] for query in asked)


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


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("a" * 100_000, "at most 65536 characters"),
        ('"' * 100_000, "at most 65536 characters"),
        ('"' * 65_535, "Position 65535: this quotation mark is never closed."),
        ("(" * 60_000 + "a" + ")" * 5_000, "Position 13: the parentheses are nested deeper than 12 levels."),
        ("contact(" * 8_000, "the parentheses are nested deeper than 12 levels."),
        ("not " * 16_000 + "(", "a `)` is missing"),
        ("a or " * 13_000 + "a", "more than 200 `text` nodes"),
        ("name:a or " * 6_500 + "a*b", "`*` stands alone"),
        ("custom.:a" * 7_000, "Position"),
        ("created > " + "9" * 60_000, "a date is needed here"),
        ("contacts > " + "9" * 60_000, "a number is needed here"),
        ("\\" * 60_000 + '"', "never closed"),
    ],
    ids=lambda value: value[:12],
)
def test_hostile_texts_are_refused_in_little_time(api: APIClient, query: str, message: str) -> None:
    began = time.process_time()
    answer = api.post(LEADS, {"_params": {"query": query}}, HTTP_X_HTTP_METHOD_OVERRIDE="GET")
    assert time.process_time() - began < 5
    assert answer.status_code == 400
    told = str(answer.json()["field-errors"])
    assert message in told
    assert len(told) < 20_000


def test_a_list_that_takes_too_long_is_stopped(api: APIClient, status: LeadStatus, settings: Settings) -> None:
    settings.SEARCH_STATEMENT_TIMEOUT_SECONDS = 1
    make(status, "Oakvale")
    settle()  # or the text index would wait for the function below
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
@settings(database=None, max_examples=300)
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
