"""Stored secrets are of no use without a key, and keys can be changed."""

import base64
import os

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from crm import secrets
from crm.models import EmailAccount, LeadWebhook, Organization


def new_key() -> str:
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


def test_a_secret_comes_back_and_does_not_show(settings: Settings) -> None:
    stored = secrets.encrypt("pass wörd")
    assert "pass" not in stored
    assert stored != secrets.encrypt("pass wörd")
    assert secrets.decrypt(stored) == "pass wörd"
    assert secrets.encrypt("") == secrets.decrypt("") == ""
    settings.ENCRYPTION_KEYS = [new_key()]
    with pytest.raises(secrets.Undecryptable) as problem:
        secrets.decrypt(stored)
    assert stored not in str(problem.value)


@pytest.mark.django_db
def test_old_keys_go_after_the_rotation(settings: Settings, organization: Organization) -> None:
    old, new = new_key(), new_key()
    settings.ENCRYPTION_KEYS = [old]
    account = EmailAccount.objects.create(
        organization=organization, sender_email="jo@x.example", smtp_password=secrets.encrypt("s3cret")
    )
    webhook = LeadWebhook.objects.create(
        organization=organization, url="https://x.example/", event_types=[], secret=secrets.encrypt("signs")
    )
    settings.ENCRYPTION_KEYS = [new, old]
    call_command("rotate_secrets")
    settings.ENCRYPTION_KEYS = [new]
    account.refresh_from_db()
    webhook.refresh_from_db()
    assert secrets.decrypt(account.smtp_password) == "s3cret"
    assert secrets.decrypt(webhook.secret) == "signs"
    settings.ENCRYPTION_KEYS = [new_key()]
    with pytest.raises(CommandError, match=str(account.pk)):
        call_command("rotate_secrets")
