"""`/email_template/{id}/render/` for a lead and a contact."""

import pytest

from crm.ids import parse_close_id
from crm.mail.unsubscribe import read_token, token_in
from crm.models import Contact
from tests.crm.api.close.conftest import Close

TEMPLATE = {
    "name": "Hello",
    "subject": "Hello {{ contact.first_name }}",
    "body": "<p>{{ contact.title }} at {{ lead.display_name }}, {{ contact.email }}</p>",
}


@pytest.fixture
def lead(close: Close) -> dict[str, object]:
    contacts = [
        {"name": "Lev"},
        {"name": "Ida Moss", "title": "CEO", "emails": [{"email": "ida@oakvale.example"}]},
    ]
    return close.post("/lead/", {"name": "Oak & Vale", "contacts": contacts}).json()


@pytest.fixture
def path(close: Close) -> str:
    return f"/email_template/{close.post('/email_template/', TEMPLATE).json()['id']}/render/"


def test_a_mail_is_shown_as_it_would_be_sent(close: Close, lead: dict[str, object], path: str) -> None:
    ida = lead["contact_ids"][1]
    expected = {
        "subject": "Hello Ida",
        "body": "<p>CEO at Oak &amp; Vale, ida@oakvale.example</p>",
        "body_text": "CEO at Oak & Vale, ida@oakvale.example",
        "email": "ida@oakvale.example",
        "contact_id": ida,
        "contact_display_name": "Ida Moss",
        "lead_id": lead["id"],
        "lead_display_name": "Oak & Vale",
        "problems": [],
    }
    assert close.get(path, lead_id=lead["id"], contact_id=ida).json() == expected
    assert close.get(path, contact_id=ida).json() == expected
    assert close.get(path, lead_id=lead["id"]).json() == expected, "the first contact that has an address"
    assert close.get(path, contact_id=ida, _fields="email").json() == {"email": "ida@oakvale.example"}


def test_without_an_address_or_a_contact_it_is_shown_too(close: Close, lead: dict[str, object], path: str) -> None:
    shown = close.get(path, contact_id=lead["contact_ids"][0]).json()
    assert (shown["subject"], shown["email"]) == ("Hello Lev", None)
    alone = close.post("/lead/", {"name": "Elm"}).json()
    shown = close.get(path, lead_id=alone["id"]).json()
    assert (shown["subject"], shown["contact_id"], shown["lead_display_name"]) == ("Hello", None, "Elm")
    assert (shown["contact_display_name"], shown["problems"]) == (None, [])


def test_the_unsubscribe_link_is_shown(close: Close, lead: dict[str, object], path: str) -> None:
    close.put(path.removesuffix("render/"), {"body": "{{ unsubscribe_link }}", "undefined": "error"})
    shown = close.get(path, lead_id=lead["id"]).json()
    recipient = read_token(token_in(shown["body"]))
    assert (recipient.address, recipient.source_id, shown["problems"]) == ("ida@oakvale.example", None, [])


def test_gaps_are_told_where_they_are_errors(close: Close, lead: dict[str, object], path: str) -> None:
    close.put(path.removesuffix("render/"), {"undefined": "error"})
    shown = close.get(path, contact_id=lead["contact_ids"][0]).json()
    assert shown["problems"] == ["body: contact.title has no value (line 1)."]
    assert shown["body"] == "<p> at Oak &amp; Vale, </p>"
    assert close.get(path, contact_id=lead["contact_ids"][1]).json()["problems"] == []


def test_a_name_that_would_break_the_header_is_told(close: Close, lead: dict[str, object], path: str) -> None:
    key = parse_close_id("cont", lead["contact_ids"][1])
    Contact.objects.filter(pk=key).update(name="Ida\nBcc:everyone@oakvale.example")
    shown = close.get(path, contact_id=lead["contact_ids"][1]).json()
    assert shown["subject"] is None
    assert "line break" in shown["problems"][0]


def test_ids_that_are_not_there_or_do_not_belong_together(
    close: Close, stranger: Close, lead: dict[str, object], path: str
) -> None:
    other = close.post("/lead/", {"name": "Elm"}).json()
    gone = "Object does not exist."
    for query, problems in [
        ({}, {"lead_id"}),
        ({"lead_id": "lead_x"}, {"lead_id"}),
        ({"lead_id": other["id"], "contact_id": lead["contact_ids"][0]}, {"contact_id"}),
        ({"lead_id": stranger.post("/lead/", {"name": "theirs"}).json()["id"]}, {"lead_id"}),
    ]:
        answer = close.get(path, **query)
        assert (answer.status_code, set(answer.json()["field-errors"])) == (400, problems)
        if query:
            assert answer.json()["field-errors"] == dict.fromkeys(problems, gone)
    assert stranger.get(path, lead_id=lead["id"]).status_code == 404
