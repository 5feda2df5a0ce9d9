"""A receiver of events, trusted, and a webhook that points at it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from crm import secrets
from crm.models import LeadWebhook, Membership
from tests.https import Receiver, receiving

SECRET = "mega_whsec_oakvale"


@pytest.fixture
def receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Iterator[Receiver]:
    settings.ALLOW_PRIVATE_WEBHOOK_HOSTS = True
    with receiving(tmp_path) as (receiver, authority):
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        yield receiver


@pytest.fixture
def webhook(receiver: Receiver, membership: Membership) -> Callable[..., LeadWebhook]:
    """Makes a webhook of `organization`; keyword arguments replace its columns."""

    def webhook(**columns: object) -> LeadWebhook:
        return LeadWebhook.objects.create(
            **{
                "organization": membership.organization,
                "url": receiver.url,
                "event_types": ["lead.created"],
                "secret": secrets.encrypt(SECRET),
                "created_by": membership.user,
                **columns,
            }
        )

    return webhook
