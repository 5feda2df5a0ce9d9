"""Two organizations that have one of everything."""

from pathlib import Path

import pytest
from pytest_django import Settings

from tests.tenancy.world import World, furnish


@pytest.fixture(autouse=True)
def _alone(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bulk_actions.doorbell.ring", lambda *args, **kwargs: None)
    settings.API_REQUESTS_PER_SECOND = 1_000_000
    settings.BLUEAI_REQUESTS_PER_MINUTE = settings.BLUEAI_BULK_REQUESTS_PER_MINUTE = 1_000_000
    settings.ALLOW_PRIVATE_SMTP_HOSTS = True
    folder = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path}}
    settings.STORAGES = {**settings.STORAGES, "exports": folder, "uploads": folder}


@pytest.fixture
def ours(db: None) -> World:
    return furnish("wombatvale")


@pytest.fixture
def theirs(db: None) -> World:
    return furnish("quokkaridge")
