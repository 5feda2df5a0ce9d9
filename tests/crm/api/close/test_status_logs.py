"""Status changes that are written down by hand."""

import pytest

from crm.ids import close_id
from crm.models import LeadStatus, Opportunity, Organization
from tests import factories
from tests.crm.api.close.conftest import Close

LEADS, DEALS = "/activity/status_change/lead/", "/activity/status_change/opportunity/"
GONE = "Object does not exist."


@pytest.fixture
def lead(close: Close) -> dict[str, object]:
    return close.post("/lead/", {"name": "Oakvale"}).json()


@pytest.fixture
def deal(close: Close, lead: dict[str, object], organization: Organization) -> dict[str, object]:
    pipeline = factories.PipelineFactory.create(organization=organization)
    for _ in range(2):
        factories.OpportunityStatusFactory.create(organization=organization, pipeline=pipeline)
    return close.post("/opportunity/", {"lead_id": lead["id"]}).json()


def stat(status: object) -> str:
    return close_id("stat", status.pk)


def test_a_change_of_a_lead_is_written_down_and_the_lead_stays(
    close: Close, lead: dict[str, object], statuses: list[LeadStatus]
) -> None:
    body = {"lead_id": lead["id"], "old_status_id": stat(statuses[1]), "new_status_id": stat(statuses[2])}
    made = close.post(LEADS, {**body, "date_created": "2020-01-01T10:00:00Z"}).json()
    assert {key: made[key] for key in body} == body
    assert (made["new_status_label"], made["user_id"]) == ("Customer", close.get("/me/").json()["id"])
    assert made["activity_at"] == made["date_created"] == "2020-01-01T10:00:00.000000+00:00"
    assert close.get(f"{LEADS}{made['id']}/").json() == made
    assert close.get(LEADS, lead_id=lead["id"]).json()["data"] == [made]
    assert close.get(f"/lead/{lead['id']}/").json() == lead
    assert close.delete(f"{LEADS}{made['id']}/").json() == {}
    assert close.get(f"{LEADS}{made['id']}/").status_code == close.delete(f"{LEADS}{made['id']}/").status_code == 404


def test_a_change_of_an_opportunity_is_written_down_and_the_opportunity_stays(
    close: Close, lead: dict[str, object], deal: dict[str, object]
) -> None:
    other = close.get("/status/opportunity/").json()["data"][1]["id"]
    made = close.post(DEALS, {"opportunity_id": deal["id"], "new_status_id": other, "old_status_id": None}).json()
    assert (made["opportunity_id"], made["lead_id"], made["new_status_id"]) == (deal["id"], lead["id"], other)
    assert close.get(f"{DEALS}{made['id']}/").json() == made
    assert close.get(f"/opportunity/{deal['id']}/").json() == deal
    assert close.delete(f"{DEALS}{made['id']}/").json() == {}
    assert len(close.get(DEALS).json()["data"]) == 1, "that of its creation"


def test_all_that_is_wrong_is_told_at_once(close: Close, stranger: Close, lead: dict[str, object]) -> None:
    need = "This field is required."
    assert close.post(LEADS, {}).json()["field-errors"] == {"lead_id": need, "new_status_id": need}
    assert close.post(DEALS, {}).json()["field-errors"] == {"opportunity_id": need, "new_status_id": need}
    wrong = close.post(LEADS, {"lead_id": 3, "new_status_id": {}, "old_status_id": "stat_x", "date_created": "soon"})
    assert set(wrong.json()["field-errors"]) == {"lead_id", "new_status_id", "old_status_id", "date_created"}
    theirs = stranger.get("/status/lead/").json()["data"][0]["id"]
    body = {"lead_id": stranger.post("/lead/", {}).json()["id"], "old_status_id": theirs, "new_status_id": theirs}
    them = stranger.get("/me/").json()["id"]
    wrong = close.post(LEADS, {**body, "user_id": them})
    assert wrong.json()["field-errors"] == dict.fromkeys([*body, "user_id"], GONE)


def test_theirs_are_unknown(close: Close, stranger: Close, deal: dict[str, object]) -> None:
    change = close.get(DEALS).json()["data"][0]
    path = f"{DEALS}{change['id']}/"
    assert stranger.get(path).status_code == stranger.delete(path).status_code == 404
    wrong = stranger.post(DEALS, {"opportunity_id": deal["id"], "new_status_id": deal["status_id"]})
    assert wrong.json()["field-errors"] == {"opportunity_id": GONE, "new_status_id": GONE}
    assert close.get(path).json() == change
    assert Opportunity.objects.count() == 1
