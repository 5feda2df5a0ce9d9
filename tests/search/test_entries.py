"""Mail number N of a bulk email, as `/email_template/{id}/render/` shows it for a search."""

import json

import pytest
from django.http import HttpResponse

from crm.auth import make_api_key
from crm.models import LeadStatus, Membership
from tests.crm.api.close.conftest import Close

ALL = {"type": "match_all"}
BY_NAME = [{"field": {"type": "regular_field", "object_type": "lead", "field_name": "name"}, "direction": "asc"}]


@pytest.fixture
def close(membership: Membership, status: LeadStatus) -> Close:
    return Close(make_api_key(membership=membership)[1])


@pytest.fixture
def path(close: Close) -> str:
    for name, contacts in {
        "A": [("Ann", ["ann@a.example", "ann2@a.example"]), ("Art", ["art@a.example"])],
        "B": [("Bo", [])],
        "C": [("Cy", []), ("Cleo", ["cleo@c.example"])],
        "D": [("Di", ["di@d.example"])],
    }.items():
        people = [{"name": who, "emails": [{"email": one} for one in emails]} for who, emails in contacts]
        close.post("/lead/", {"name": name, "contacts": people})
    template = {"name": "x", "subject": "{{ contact.name }} {{ contact.email }}", "body": "{{ lead.name }}"}
    return f"/email_template/{close.post('/email_template/', template).json()['id']}/render/"


def ask(close: Close, path: str, **query: object) -> HttpResponse:
    return close.get(path, **{"s_query": json.dumps(ALL), "sort": json.dumps(BY_NAME), **query})


def mails(close: Close, path: str, count: int, **query: object) -> list[str]:
    return [ask(close, path, entry=entry, **query).json()["email"] for entry in range(count)]


def test_each_preference_counts_its_own_mails(close: Close, path: str) -> None:
    assert mails(close, path, 3) == ["ann@a.example", "cleo@c.example", "di@d.example"]
    by_contact = mails(close, path, 4, contact_preference="contact")
    assert by_contact == ["ann@a.example", "art@a.example", "cleo@c.example", "di@d.example"]
    everything = mails(close, path, 5, contact_preference="all")
    assert everything == ["ann@a.example", "ann2@a.example", "art@a.example", "cleo@c.example", "di@d.example"]
    second = ask(close, path, entry=1, contact_preference="all").json()
    assert (second["subject"], second["body"]) == ("Ann ann2@a.example", "A")


def test_the_limit_counts_what_is_found_not_what_has_an_address(close: Close, path: str) -> None:
    assert mails(close, path, 2, results_limit=3) == ["ann@a.example", "cleo@c.example"]
    refused = ask(close, path, entry=2, results_limit=3)
    assert refused.status_code == 400
    assert refused.json()["field-errors"] == {"entry": "The search gives 2 mails, so there is none with this number."}


def test_a_search_may_find_contacts_or_be_written_as_text(close: Close, path: str) -> None:
    contacts = {"type": "and", "queries": [{"type": "object_type", "object_type": "contact"}, ALL]}
    by_name = [{"field": {"type": "regular_field", "object_type": "contact", "field_name": "name"}, "direction": "asc"}]
    found = [
        close.get(path, s_query=json.dumps(contacts), sort=json.dumps(by_name), entry=entry).json()["email"]
        for entry in range(4)
    ]
    assert found == ["ann@a.example", "art@a.example", "cleo@c.example", "di@d.example"]
    assert close.get(path, query="name:D").json()["email"] == "di@d.example"


@pytest.mark.parametrize(
    ("query", "key"),
    [
        ({"entry": 101}, "entry"),
        ({"entry": -1}, "entry"),
        ({"entry": "²"}, "entry"),
        ({"results_limit": "x"}, "results_limit"),
        ({"contact_preference": "nobody"}, "contact_preference"),
        ({"bulk_object_type": "contact"}, "bulk_object_type"),
        ({"s_query": "{"}, "s_query"),
        ({"s_query": "[" * 100_000}, "s_query"),
        ({"s_query": '{"type": "no such"}'}, "s_query.type"),
        ({"sort": "{"}, "sort"),
        ({"query": "name:D"}, "query"),
        ({"s_query": '{"type": "and", "queries": [{"type": "object_type", "object_type": "opportunity"}, '
                     '{"type": "match_all"}]}'}, "s_query"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_by_its_key(close: Close, path: str, query: dict[str, object], key: str) -> None:
    answer = ask(close, path, **{"sort": "", **query})
    assert answer.status_code == 400
    assert key in answer.json()["field-errors"], answer.json()
