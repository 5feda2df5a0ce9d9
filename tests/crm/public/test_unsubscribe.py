"""The page behind the link: readable by anybody, and nothing happens until the button is pressed."""

import uuid

import pytest
from django.test import Client

from crm.mail.suppression import reasons_for, suppress
from crm.mail.unsubscribe import token_for
from crm.models import Organization, Suppression

ADDRESS = "ida@oakvale.example"


@pytest.fixture
def anybody() -> Client:
    return Client(enforce_csrf_checks=True)


@pytest.fixture
def page(organization: Organization) -> str:
    return f"/u/{token_for(organization.pk, ADDRESS, uuid.uuid4())}"


def test_opening_the_link_changes_nothing(anybody: Client, organization: Organization, page: str) -> None:
    for answer in (anybody.get(page), anybody.get(page), anybody.head(page)):
        assert answer.status_code == 200
        assert not answer.cookies
        assert answer["Referrer-Policy"] == "no-referrer"
        assert "no-store" in answer["Cache-Control"]
    shown = anybody.get(page).content.decode()
    assert ADDRESS in shown
    assert organization.name in shown
    assert '<form method="post">' in shown
    assert not Suppression.objects.exists()


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("List-Unsubscribe=One-Click", "application/x-www-form-urlencoded"),
        (
            '--b\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--b--\r\n',
            "multipart/form-data; boundary=b",
        ),
        ("--b\r\n\0 broken", "multipart/form-data"),
        ("", "text/plain"),
    ],
)
def test_posting_unsubscribes_at_once_and_twice_does_no_harm(
    anybody: Client, organization: Organization, page: str, body: str, content_type: str
) -> None:
    for _ in range(2):
        answer = anybody.post(page, body, content_type=content_type)
        assert answer.status_code == 200
        assert not answer.cookies
        assert "<form" not in answer.content.decode()
    assert reasons_for(organization.pk, [ADDRESS]) == {ADDRESS: "unsubscribed"}
    assert Suppression.objects.count() == 1
    assert "You are unsubscribed" in anybody.get(page).content.decode()


def test_who_only_bounced_may_still_unsubscribe(anybody: Client, organization: Organization, page: str) -> None:
    suppress(organization.pk, ADDRESS, "bounced")
    assert "<form" in anybody.get(page).content.decode()
    anybody.post(page)
    assert reasons_for(organization.pk, [ADDRESS]) == {ADDRESS: "unsubscribed"}


@pytest.mark.django_db
def test_an_unknown_link_is_a_404_page(anybody: Client, page: str) -> None:
    gone = f"/u/{token_for(uuid.uuid4(), ADDRESS, None)}"
    for wrong in ("/u/x", page[:-1], f"{page}x", "/u/%00", "/u/%ff%fe", gone):
        for answer in (anybody.get(wrong), anybody.post(wrong)):
            assert answer.status_code == 404
            assert "This link is not known" in answer.content.decode()
    assert not Suppression.objects.exists()


def test_other_methods_are_refused(anybody: Client, page: str) -> None:
    assert anybody.put(page).status_code == 405
    assert anybody.delete(page).status_code == 405


def test_names_are_escaped(anybody: Client, organization: Organization, page: str) -> None:
    Organization.objects.filter(pk=organization.pk).update(name="<script>alert(1)</script>")
    assert "<script>" not in anybody.get(page).content.decode()
