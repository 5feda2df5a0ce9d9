"""Fixtures that every test may use. The servers are real: those of the environment, else embedded ones for the run."""

import base64
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as settings_of_hypothesis
from rest_framework.test import APIClient

from crm import rates
from crm.auth import make_api_key
from crm.models import LeadStatus, Membership, Organization, User
from tests import emptying, factories
from tests.stack import Stack, open_home

emptying.install()

# An example here is often a whole job, and how long that takes says nothing of the code; the examples of a test share
# its fixtures on purpose. All else is as in the profile in force, which in CI takes the same examples every time.
settings_of_hypothesis.register_profile(
    "drover",
    parent=settings_of_hypothesis.get_profile(settings_of_hypothesis.get_current_profile_name()),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings_of_hypothesis.load_profile("drover")


@pytest.fixture(autouse=True)
def redis_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failure Redis is left alone for a while, by the whole process: not into the next test."""
    monkeypatch.setattr(rates.Redis, "away_until", 0.0)


@pytest.fixture
def pass_seconds(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """The wall clock stands still, so that no window of a rate ends in the middle of a test. Gives what moves it on."""
    now = time.time()

    def pass_seconds(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr("crm.rates.time.time", lambda: now)
    return pass_seconds


@pytest.fixture
def organization(db: None) -> Organization:
    return factories.OrganizationFactory.create()


@pytest.fixture
def user(organization: Organization) -> User:
    return factories.UserFactory.create()


@pytest.fixture
def membership(organization: Organization, user: User) -> Membership:
    return factories.MembershipFactory.create(organization=organization, user=user)


@pytest.fixture
def status(organization: Organization) -> LeadStatus:
    return factories.LeadStatusFactory.create(organization=organization)


@pytest.fixture
def api_key_secret(membership: Membership) -> str:
    return make_api_key(membership=membership)[1]


@pytest.fixture
def api(api_key_secret: str) -> APIClient:
    """A client of the Close dialect, with a key of an admin of `organization`."""
    return client_with(api_key_secret)


def client_with(secret: str) -> APIClient:
    credentials = base64.b64encode(f"{secret}:".encode()).decode()
    client = APIClient()
    client.default_format = "json"
    client.credentials(HTTP_AUTHORIZATION=f"Basic {credentials}")
    return client


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """One running stack of real processes, shared by every test that kills, freezes or cuts some of them."""
    with open_home() as home, Stack(home) as running:
        yield running
