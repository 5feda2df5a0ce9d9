"""An organization as BlueAI's clients find it, and its neighbour."""

import pytest

from crm.auth import make_api_key
from crm.models import Dialect, Membership, Organization
from crm.setup import create_organization
from tests import factories
from tests.blueai import BlueAI


@pytest.fixture
def organization(db: None) -> Organization:
    made = create_organization("Sakura")
    made.currency = "JPY"
    made.save()
    return made


@pytest.fixture
def blueai(membership: Membership) -> BlueAI:
    return BlueAI(make_api_key(membership=membership, dialect=Dialect.BLUEAI)[1])


@pytest.fixture
def stranger(db: None) -> BlueAI:
    membership = factories.MembershipFactory.create(organization=create_organization("Elsewhere"))
    return BlueAI(make_api_key(membership=membership, dialect=Dialect.BLUEAI)[1])
