"""`ingest_mail` and `create_inbound_token`."""

import io
import os
import sys

import pytest
from django.core.management import CommandError, call_command

from crm.ids import close_id
from crm.mail.inbound_access import account_of
from crm.models import EmailAccount, InboundMail, Organization
from tests.crm.mail.test_received import PLAIN


@pytest.fixture
def account(organization: Organization) -> EmailAccount:
    return EmailAccount.objects.create(organization=organization, sender_email="jo@oakvale.example")


def run(monkeypatch: pytest.MonkeyPatch, content: bytes, **options: object) -> str:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    output = io.StringIO()
    call_command("ingest_mail", stdout=output, **options)
    return output.getvalue().strip()


@pytest.mark.parametrize("name", ["Jo@oakvale.example", "id", "uuid"])
def test_a_message_is_taken_for_an_account(monkeypatch: pytest.MonkeyPatch, account: EmailAccount, name: str) -> None:
    names = {"id": close_id("emailacct", account.pk), "uuid": str(account.pk)}
    assert run(monkeypatch, PLAIN, account=names.get(name, name)) == "unrelated"
    assert run(monkeypatch, PLAIN, account=names.get(name, name)) == "repeated"
    assert InboundMail.objects.get().organization_id == account.organization_id


@pytest.mark.django_db
def test_without_an_account_a_message_that_is_tied_to_no_mail_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, PLAIN) == "unrelated"
    assert not InboundMail.objects.exists()


@pytest.mark.django_db
def test_exit_codes_tell_the_mail_server_what_to_do(monkeypatch: pytest.MonkeyPatch, account: EmailAccount) -> None:
    EmailAccount.objects.create(organization=account.organization, sender_email=account.sender_email)
    for content, name, code in (
        (b"no message", None, os.EX_DATAERR),
        (PLAIN, "eve@oakvale.example", os.EX_NOUSER),
        (PLAIN, account.sender_email, os.EX_NOUSER),
    ):
        with pytest.raises(CommandError) as caught:
            run(monkeypatch, content, account=name)
        assert caught.value.returncode == code


def test_a_token_is_printed_last(account: EmailAccount) -> None:
    output = io.StringIO()
    call_command("create_inbound_token", account="jo@oakvale.example", stdout=output)
    assert account_of(output.getvalue().splitlines()[-1]) == account
