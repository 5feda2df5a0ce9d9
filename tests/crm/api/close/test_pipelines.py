"""`/pipeline/` and `/status/opportunity/`."""

import pytest

from crm.ids import close_id
from crm.models import Membership, Organization, Pipeline, Role
from crm.setup import ensure_pipeline
from tests.crm.api.close.conftest import Close

STATUSES = "/status/opportunity/"


@pytest.fixture(autouse=True)
def sales(organization: Organization) -> Pipeline:
    ensure_pipeline(organization)
    return Pipeline.objects.get(organization=organization)


def labels(close: Close, pipeline_id: str) -> list[str]:
    return [status["label"] for status in close.get(f"/pipeline/{pipeline_id}/").json()["statuses"]]


def test_pipelines_are_listed_with_their_statuses(close: Close, sales: Pipeline, organization: Organization) -> None:
    answer = close.get("/pipeline/").json()
    assert answer["has_more"] is False
    (shown,) = answer["data"]
    assert (shown["id"], shown["name"]) == (close_id("pipe", sales.pk), "Sales")
    assert [status["type"] for status in shown["statuses"]] == [*["active"] * 4, "won", "lost"]
    assert shown["date_created"].count(":") == 2, "no offset"
    assert shown["statuses"] == close.get(STATUSES).json()["data"]


def test_a_pipeline_is_made_filled_renamed_emptied_and_deleted(close: Close, sales: Pipeline) -> None:
    answer = close.post("/pipeline/", {"name": "Renewals"})
    assert answer.status_code == 201
    made = answer.json()
    assert answer["Location"] == f"/api/v1/pipeline/{made['id']}/"
    assert made["statuses"] == []
    path = f"/pipeline/{made['id']}/"
    proposal, won = (status for status in close.get(STATUSES).json()["data"] if status["label"] in ("Proposal", "Won"))
    changed = close.put(path, {"name": "Upsell", "statuses": [{"id": won["id"]}, {"id": proposal["id"]}]})
    assert changed.status_code == 200
    assert changed.json()["name"] == "Upsell"
    assert [status["label"] for status in changed.json()["statuses"]] == ["Won", "Proposal"]
    assert labels(close, close_id("pipe", sales.pk)) == ["Lead", "Qualified", "Negotiation", "Lost"]
    refused = close.delete(path)
    assert (refused.status_code, len(refused.json()["errors"])) == (400, 1)
    for status in (proposal, won):
        assert close.put(f"{STATUSES}{status['id']}/", {"pipeline_id": close_id("pipe", sales.pk)}).status_code == 200
    deleted = close.delete(path)
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert close.get(path).status_code == 404


def test_a_status_is_made_fetched_changed_and_deleted(
    close: Close, sales: Pipeline, organization: Organization
) -> None:
    made = close.post(STATUSES, {"label": "Signed", "type": "won"}).json()
    assert made == {
        "id": made["id"],
        "label": "Signed",
        "type": "won",
        "pipeline_id": close_id("pipe", sales.pk),
        "organization_id": close_id("orga", organization.pk),
    }
    path = f"{STATUSES}{made['id']}/"
    assert close.get(path).json() == made
    assert close.put(path, {"label": "Closed"}).json() == {**made, "label": "Closed"}
    assert labels(close, made["pipeline_id"])[-1] == "Closed"
    assert close.delete(path).json() == {}
    assert close.get(path).status_code == 404


def test_a_status_in_use_stays(close: Close) -> None:
    status_id = close.post("/opportunity/", {"status": "Proposal"}).json()["status_id"]
    refused = close.delete(f"{STATUSES}{status_id}/")
    assert (refused.status_code, len(refused.json()["errors"])) == (400, 1)


def test_what_is_wrong_is_told_by_field(close: Close, stranger: Close, sales: Pipeline) -> None:
    mine = f"/pipeline/{close_id('pipe', sales.pk)}/"
    for answer, path in (
        (close.post("/pipeline/", {}), "name"),
        (close.post("/pipeline/", {"name": " "}), "name"),
        (close.post("/pipeline/", {"name": "x", "statuses": {}}), "statuses"),
        (close.put(mine, {"statuses": [{"id": "stat_x"}]}), "statuses"),
        (close.put(mine, {"statuses": ["stat_x"]}), "statuses"),
        (close.post(STATUSES, {"type": "won"}), "label"),
        (close.post(STATUSES, {"label": "x", "type": "open"}), "type"),
        (close.post(STATUSES, {"label": "x", "pipeline_id": "pipe_x"}), "pipeline_id"),
        (stranger.post(STATUSES, {"label": "x", "pipeline_id": mine.split("/")[2]}), "pipeline_id"),
    ):
        assert answer.status_code == 400
        assert list(answer.json()["field-errors"]) == [path]


def test_their_pipelines_and_statuses_are_unknown(close: Close, stranger: Close, sales: Pipeline) -> None:
    status_id = close.get(STATUSES).json()["data"][0]["id"]
    for path in (f"/pipeline/{close_id('pipe', sales.pk)}/", f"{STATUSES}{status_id}/"):
        assert stranger.get(path).status_code == 404
        assert stranger.put(path, {"name": "taken", "label": "taken"}).status_code == 404
        assert stranger.delete(path).status_code == 404
    assert stranger.get("/pipeline/").json()["data"] == []
    assert stranger.get(STATUSES).json()["data"] == []


def test_changes_need_the_permission(close: Close, membership: Membership, sales: Pipeline) -> None:
    membership.role = Role.USER
    membership.save()
    status_id = close.get(STATUSES).json()["data"][0]["id"]
    for collection, one in (
        ("/pipeline/", f"/pipeline/{close_id('pipe', sales.pk)}/"),
        (STATUSES, f"{STATUSES}{status_id}/"),
    ):
        assert close.get(one).status_code == 200
        assert close.post(collection, {"name": "x", "label": "x"}).status_code == 403
        assert close.put(one, {"name": "x"}).status_code == 403
        assert close.delete(one).status_code == 403
