"""Another organization's records are not there: 404 in addresses, 422 in bodies, in no list and no file."""

import pytest

from tests.blueai import BlueAI, problem_of

Records = dict[str, dict]


@pytest.fixture
def theirs(stranger: BlueAI) -> Records:
    company = stranger.make("companies", {"name": "theirs"})
    contact = stranger.make("contacts", {"first_name": "their", "last_name": "s", "company_id": company["id"]})
    deal = stranger.make("deals", {"name": "theirs"})
    activity = stranger.make("activities", {"type": "note", "content": "theirs", "deal_id": deal["id"]})
    [pipeline] = stranger.get("/crm/pipelines").json()["pipelines"]
    return {"companies": company, "contacts": contact, "deals": deal, "activities": activity, "pipelines": pipeline}


def test_their_addresses_are_not_found(blueai: BlueAI, stranger: BlueAI, theirs: Records) -> None:
    for what, record in theirs.items():
        path = f"/crm/{what}/{record['id']}"
        before = stranger.get(path).json()
        problem_of(blueai.get(path), 404)
        problem_of(blueai.patch(path, {"name": 3}), 404)
        problem_of(blueai.delete(path), 404)
        assert stranger.get(path).json() == before
    deal = f"/crm/deals/{theirs['deals']['id']}"
    problem_of(blueai.post(f"{deal}/stage", {"stage": "won"}), 404)
    problem_of(blueai.get(f"{deal}/activities"), 404)


def test_their_ids_in_bodies_are_unknown(blueai: BlueAI, stranger: BlueAI, theirs: Records) -> None:
    member = stranger.get("/me").json()["user"]["id"]
    keys = {"company_id": theirs["companies"]["id"], "contact_id": theirs["contacts"]["id"]}
    for key, value in {**keys, "assigned_member_id": member, "pipeline_id": theirs["pipelines"]["id"]}.items():
        assert problem_of(blueai.post("/crm/deals", {"name": "x", key: value}), 422)["param"] == key
    person = {"first_name": "a", "last_name": "b", "company_id": keys["company_id"]}
    assert problem_of(blueai.post("/crm/contacts", person), 422)["param"] == "company_id"
    for key, value in {"deal_id": theirs["deals"]["id"], "contact_id": keys["contact_id"]}.items():
        assert problem_of(blueai.post("/crm/activities", {"type": "note", key: value}), 422)["param"] == key
    mine = blueai.make("deals", {"name": "mine"})
    answer = blueai.patch(f"/crm/deals/{mine['id']}", {"company_id": keys["company_id"]})
    assert problem_of(answer, 422)["param"] == "company_id"


def test_their_records_are_in_no_list_and_no_file(blueai: BlueAI, theirs: Records) -> None:
    for what in ("companies", "contacts", "deals", "activities"):
        assert blueai.get(f"/crm/{what}").json()["total"] == 0
    for what in ("companies", "contacts", "deals"):
        assert b"".join(blueai.get(f"/crm/bulk/{what}/export").streaming_content).count(b"\r\n") == 1


def test_their_deals_are_not_changed_in_bulk(blueai: BlueAI, stranger: BlueAI, theirs: Records) -> None:
    deal = theirs["deals"]["id"]
    before = stranger.get(f"/crm/deals/{deal}").json()
    for path, body in (("update", {"stage": "won"}), ("delete", {})):
        answer = blueai.post(f"/crm/bulk/deals/{path}", {"ids": [deal], **body}, detail=1).json()
        assert (answer["processed"], answer["errors"]) == (0, [f"{deal}: not found"])
        problem_of(stranger.get(f"/crm/bulk/jobs/{answer['job_id']}"), 404)
        problem_of(stranger.post(f"/crm/bulk/jobs/{answer['job_id']}/undo"), 404)
    assert stranger.get(f"/crm/deals/{deal}").json() == before
    own = {"ids": [blueai.make("deals", {"name": "mine"})["id"]]}
    member = stranger.get("/me").json()["user"]["id"]
    refused = blueai.post("/crm/bulk/deals/update", {**own, "assigned_member_id": member})
    assert problem_of(refused, 422)["param"] == "assigned_member_id"
