import pytest

from crm.auth import Caller
from crm.models import Membership
from tests.search.helpers import caller_of


@pytest.fixture
def caller(membership: Membership) -> Caller:
    return caller_of(membership)
