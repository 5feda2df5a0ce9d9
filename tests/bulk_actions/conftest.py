import pytest

from crm.models import LeadStatus, Organization
from tests import factories


@pytest.fixture
def old_status(organization: Organization) -> LeadStatus:
    return factories.LeadStatusFactory.create(organization=organization, label="Potential")


@pytest.fixture
def new_status(organization: Organization) -> LeadStatus:
    return factories.LeadStatusFactory.create(organization=organization, label="Customer")


@pytest.fixture
def no_doorbells(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that are the workers themselves: a bell would ring for nobody."""
    monkeypatch.setattr("bulk_actions.doorbell.ring", lambda *args, **kwargs: None)
