"""Fixtures that every test may use. The servers are real: `DATABASE_URL`/`REDIS_URL`, else embedded ones for the run."""

import pytest

from crm.models import Membership, Organization, User
from tests import factories


@pytest.fixture
def organization(db: None) -> Organization:
    return factories.OrganizationFactory.create()


@pytest.fixture
def user(organization: Organization) -> User:
    return factories.UserFactory.create()


@pytest.fixture
def membership(organization: Organization, user: User) -> Membership:
    return factories.MembershipFactory.create(organization=organization, user=user)
