"""`/inbound/mail/`: raw messages, with the token of an account."""

import pytest
from django.test import Client
from pytest_django import Settings

from crm.mail.inbound_access import make_token
from crm.models import EmailAccount, InboundMail, Organization
from tests.crm.mail.test_received import HOSTILE, PLAIN

PATH = "/api/v1/inbound/mail/"


@pytest.fixture
def account(organization: Organization) -> EmailAccount:
    return EmailAccount.objects.create(organization=organization, sender_email="jo@oakvale.example")


@pytest.fixture
def token(account: EmailAccount) -> str:
    return make_token(account)


def hand_in(token: str | None, content: bytes = PLAIN, content_type: str = "message/rfc822", query: str = "") -> tuple:
    headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
    answer = Client().post(PATH + query, content, content_type=content_type, headers=headers)
    return answer.status_code, answer.json()


@pytest.mark.parametrize(
    "content_type", ["message/rfc822", "application/octet-stream", "message/rfc822; charset=utf-8"]
)
def test_a_message_is_taken_once(token: str, content_type: str) -> None:
    assert hand_in(token, content_type=content_type) == (200, {"kind": "unrelated"})
    assert hand_in(token, content_type=content_type) == (200, {"kind": "repeated"})
    assert hand_in(None, query=f"?token={token}") == (200, {"kind": "repeated"})
    assert InboundMail.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("wrong", [None, "", "x", "x.y", "inbox_0000000000000000000000.y", "\x00", "é"])
def test_without_its_token_nothing_is_taken(wrong: str | None) -> None:
    assert hand_in(wrong)[0] == 401
    assert hand_in(None, query="?token=%00")[0] == 401


def test_a_token_is_of_one_account_and_ends_with_the_next(account: EmailAccount, token: str) -> None:
    assert token.partition(".")[2] not in EmailAccount.objects.get().inbound_token
    other = EmailAccount.objects.create(organization=account.organization, sender_email="bo@oakvale.example")
    unset = make_token(other).partition(".")[0]
    EmailAccount.objects.filter(pk=other.pk).update(inbound_token="")
    assert hand_in(f"{unset}.")[0] == 401
    assert hand_in(f"{unset}.{token.partition('.')[2]}")[0] == 401
    newer = make_token(account)
    assert hand_in(token)[0] == 401
    assert hand_in(newer)[0] == 200


@pytest.mark.parametrize("content", [b"", b" \r\n", b"no header", b"\0\xff\0"])
def test_what_is_no_message_is_a_400(token: str, content: bytes) -> None:
    status, answer = hand_in(token, content)
    assert status == 400
    assert "message" in answer["errors"][0]


def test_other_content_and_methods_are_refused(token: str) -> None:
    assert hand_in(token, content_type="application/json")[0] == 415
    answer = Client().get(PATH, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 405


def test_a_message_that_is_too_large_is_a_413(token: str, settings: Settings) -> None:
    settings.INBOUND_MAIL_MAX_BYTES = 1024 * 1024
    status, answer = hand_in(token, PLAIN + b"x" * 1024 * 1024)
    assert (status, answer) == (413, {"error": "The message is larger than 1 MB."})
    assert not InboundMail.objects.exists()


@pytest.mark.parametrize("name", ["nul", "too many parts", "ten megabytes of text", "broken encoded words"])
def test_a_hostile_message_is_never_a_500(token: str, name: str) -> None:
    assert hand_in(token, HOSTILE[name])[0] == 200
