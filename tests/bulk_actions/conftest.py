from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from crm.models import EmailTemplate, LeadStatus, Organization
from tests import factories
from tests.smtp import Post, drop_connections, serving


@pytest.fixture
def old_status(organization: Organization) -> LeadStatus:
    return factories.LeadStatusFactory.create(organization=organization, label="Potential")


@pytest.fixture
def new_status(organization: Organization) -> LeadStatus:
    return factories.LeadStatusFactory.create(organization=organization, label="Customer")


@pytest.fixture
def template(organization: Organization) -> EmailTemplate:
    return factories.EmailTemplateFactory.create(organization=organization)


@pytest.fixture
def no_doorbells(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that are the workers themselves: a bell would ring for nobody."""
    monkeypatch.setattr("bulk_actions.doorbell.ring", lambda *args, **kwargs: None)


@pytest.fixture
def post(settings: Settings) -> Iterator[Post]:
    """A running mail server that `EMAIL_URL` points at."""
    post = Post()
    with serving(post) as port:
        settings.EMAIL_URL = f"smtp://127.0.0.1:{port}"
        settings.SMTP_TIMEOUT_SECONDS = 2
        yield post
        drop_connections()


@pytest.fixture
def folder(tmp_path: Path, settings: Settings) -> Path:
    """Where uploads lie; the files of exports beside it."""
    backend = "django.core.files.storage.FileSystemStorage"
    own = {name: {"BACKEND": backend, "OPTIONS": {"location": tmp_path / name}} for name in ("exports", "uploads")}
    settings.STORAGES = {**settings.STORAGES, **own}
    return tmp_path / "uploads"
