"""A mail server for the tests of delivery, and mails to deliver."""

import uuid
from collections.abc import Callable, Iterator

import pytest
from pytest_django import Settings

from crm import secrets
from crm.mail import delivery
from crm.mail.outbox import new_message_id
from crm.models import EmailAccount, Organization, OutboxMail, Purpose
from tests.smtp import Post, drop_connections, serving


@pytest.fixture
def takes_groups() -> bool:
    """Whether `post` offers PIPELINING."""
    return False


@pytest.fixture
def post(settings: Settings, takes_groups: bool) -> Iterator[Post]:
    """A running mail server that `EMAIL_URL` points at."""
    post = Post(takes_groups=takes_groups)
    with serving(post) as port:
        settings.EMAIL_URL = f"smtp://127.0.0.1:{port}"
        settings.SMTP_TIMEOUT_SECONDS = 2
        yield post
        drop_connections()


@pytest.fixture
def account(post: Post, organization: Organization, settings: Settings) -> Callable[..., EmailAccount]:
    """Makes an account with a server of its own: `post`. Keyword arguments are further columns."""
    settings.ALLOW_PRIVATE_SMTP_HOSTS = True
    port = int(settings.EMAIL_URL.rpartition(":")[2])

    def account(password: str = "", **columns: object) -> EmailAccount:
        return EmailAccount.objects.create(
            **{
                "organization": organization,
                "sender_email": "jo@oakvale.example",
                "smtp_host": "127.0.0.1",
                "smtp_port": port,
                "smtp_security": EmailAccount.Security.NONE,
                "smtp_password": secrets.encrypt(password),
                **columns,
            }
        )

    return account


@pytest.fixture
def reserve(organization: Organization) -> Callable[..., OutboxMail]:
    """Puts one mail of a bulk action into the outbox; keyword arguments replace its columns."""

    def reserve(address: str = "ida@oakvale.example", **columns: object) -> OutboxMail:
        return OutboxMail.objects.create(
            **{
                "organization": organization,
                "purpose": Purpose.BULK,
                "source_id": uuid.uuid4(),
                "address": address,
                "sender": "Jo Field <jo@oakvale.example>",
                "subject": "Hello",
                "body_text": "Hello Ida",
                "message_id": new_message_id("jo@oakvale.example"),
                **columns,
            }
        )

    return reserve


@pytest.fixture(autouse=True)
def _no_gates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test registers its own gates; those of other packages know other sources."""
    monkeypatch.setattr(delivery, "_gates", [])
    monkeypatch.setattr(delivery, "_listeners", [])
