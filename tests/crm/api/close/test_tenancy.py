"""Another organization's things are not there: 404 in addresses, "Object does not exist." in bodies."""

import pytest

from crm.ids import close_id
from crm.models import CustomField, Lead, LeadStatus, Organization
from tests import factories
from tests.crm.api.close.conftest import Close


@pytest.fixture
def lead(close: Close) -> dict[str, object]:
    made = close.post("/lead/", {"name": "Oakvale", "contacts": [{"name": "Ida"}]}).json()
    return close.put(f"/lead/{made['id']}/", {"status": "Trial"}).json()


def test_their_ids_in_an_address_are_unknown(close: Close, stranger: Close, lead: dict[str, object]) -> None:
    change = close.get("/activity/status_change/lead/").json()["data"][0]
    me = close.get("/me/").json()["id"]
    for path in (f"/lead/{lead['id']}/", f"/contact/{lead['contact_ids'][0]}/"):
        assert stranger.get(path).status_code == 404
        assert stranger.put(path, {"name": "taken"}).status_code == 404
        assert stranger.put(path, {"name": 3}).status_code == 404, "not even the shape of the body is judged"
        assert stranger.delete(path).status_code == 404
    assert stranger.get(f"/activity/status_change/lead/{change['id']}/").status_code == 404
    assert stranger.get(f"/user/{me}/").status_code == 404
    assert close.get(f"/lead/{lead['id']}/").json() == lead


def test_their_things_are_in_no_list(stranger: Close, lead: dict[str, object]) -> None:
    assert stranger.get("/lead/").json()["total_results"] == 0
    assert stranger.get("/contact/").json()["data"] == []
    assert stranger.get("/contact/", lead_id=lead["id"]).json()["data"] == []
    assert stranger.get("/activity/status_change/lead/", lead_id=lead["id"]).json()["data"] == []
    assert len(stranger.get("/user/").json()["data"]) == 1


def test_their_ids_in_a_body_do_not_exist(
    close: Close, stranger: Close, lead: dict[str, object], organization: Organization, statuses: list[LeadStatus]
) -> None:
    custom_field: CustomField = factories.CustomFieldFactory.create(organization=organization)
    key = f"custom.{close_id('cf', custom_field.pk)}"
    mine = stranger.post("/lead/", {"contacts": [{"name": "Eve"}]}).json()
    refused = {
        "lead": stranger.post("/contact/", {"lead_id": lead["id"]}),
        "status_id": stranger.post("/lead/", {"status_id": lead["status_id"]}),
        "status": stranger.put(f"/lead/{mine['id']}/", {"status": "Trial"}),
        key: stranger.put(f"/lead/{mine['id']}/", {key: "x"}),
    }
    refused_too = stranger.put(f"/contact/{mine['contact_ids'][0]}/", {"lead_id": lead["id"]})
    assert refused_too.json()["field-errors"] == {"lead": "Object does not exist."}
    for path, answer in refused.items():
        assert answer.status_code == 400
        assert list(answer.json()["field-errors"]) == [path]
    assert Lead.objects.filter(organization=organization).count() == 1
    assert stranger.get(f"/lead/{mine['id']}/").json() == mine
