"""Close's own Python client, unmodified, against a served address."""

from collections.abc import Callable

import pytest
from closeio_api import API, APIError, ValidationError
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from crm.auth import make_api_key
from crm.ids import close_id
from crm.models import Membership, Organization
from tests import factories


@pytest.fixture
def secret(transactional_db: None, organization: Organization, membership: Membership, live_server: LiveServer) -> str:
    factories.LeadStatusFactory.create(organization=organization, label="Potential")
    return make_api_key(membership=membership)[1]


@pytest.fixture
def api(secret: str, live_server: LiveServer) -> API:
    return API(f"{live_server.url}/api/v1/", api_key=secret, tz_offset="-4")


def test_the_client_makes_reads_changes_and_deletes(api: API, membership: Membership) -> None:
    assert api.get("me")["id"] == close_id("user", membership.user_id)
    lead = api.post(
        "lead", {"name": "山田製作所", "contacts": [{"name": "Ida", "emails": [{"email": "i@oak.example"}]}]}
    )
    assert api.get(f"lead/{lead['id']}") == lead
    assert api.put(f"lead/{lead['id']}", {"description": "Mills"})["description"] == "Mills"
    listed = api.get("lead", params={"_limit": 1, "_fields": "id,name"})
    assert listed == {"data": [{"id": lead["id"], "name": "山田製作所"}], "has_more": False, "total_results": 1}
    contact = api.post("contact", {"lead_id": lead["id"], "name": "Lev"})
    assert [one["id"] for one in api.get("contact", params={"lead_id": lead["id"]})["data"]][-1] == contact["id"]
    assert api.delete(f"contact/{contact['id']}") == {}
    assert api.delete(f"lead/{lead['id']}") == {}
    with pytest.raises(APIError) as gone:
        api.get(f"lead/{lead['id']}")
    assert gone.value.response.status_code == 404


def test_the_client_reads_our_errors(api: API, live_server: LiveServer) -> None:
    with pytest.raises(ValidationError) as refused:
        api.post("contact", {"lead_id": "lead_doesNotExist", "name": "Ida Moss"})
    assert refused.value.errors == []
    assert refused.value.field_errors == {"lead": "Object does not exist."}
    with pytest.raises(APIError) as unknown:
        API(f"{live_server.url}/api/v1/", api_key="api_no.such").get("me")
    assert unknown.value.response.status_code == 401


def test_the_client_waits_when_told_to(
    api: API, settings: Settings, monkeypatch: pytest.MonkeyPatch, pass_seconds: Callable[[float], None]
) -> None:
    """Two requests a second at most: the third one of a second is refused, and tried again after the wait we name."""
    settings.API_REQUESTS_PER_SECOND = 2
    waits: list[float] = []
    monkeypatch.setattr("closeio_api.time.sleep", lambda seconds: waits.append(seconds) or pass_seconds(seconds))
    for _ in range(6):
        assert api.get("me")["id"]
    assert waits == [1, 1]
