import pytest

from crm.auth import make_api_key
from crm.ids import hex_id
from crm.models import Activity, Membership
from tests.blueai import BlueAI, problem_of
from tests.crm.api.close.conftest import Close


def test_an_activity_of_a_deal_and_a_contact(blueai: BlueAI, membership: Membership) -> None:
    deal, contact = blueai.make("deals", {"name": "x"}), blueai.make("contacts", {"first_name": "a", "last_name": "b"})
    body = {"type": "meeting", "content": "打ち合わせ", "deal_id": deal["id"], "contact_id": contact["id"]}
    made = blueai.make("activities", body)
    by = hex_id("usr", membership.user_id)
    assert made == {"id": made["id"], **body, "created_by": by, "created_at": made["created_at"]}
    path = f"/crm/activities/{made['id']}"
    assert blueai.get(path).json() == {"activity": made}
    assert blueai.patch(path, {"content": "延期", "deal_id": None}).json()["activity"] == {
        **made,
        "content": "延期",
        "deal_id": None,
    }
    assert blueai.delete(path).json() == {"success": True}
    problem_of(blueai.get(path), 404)


def test_lists_are_filtered(blueai: BlueAI) -> None:
    deal, contact = blueai.make("deals", {"name": "x"}), blueai.make("contacts", {"first_name": "a", "last_name": "b"})
    for body in (
        {"type": "note"},
        {"type": "call", "deal_id": deal["id"]},
        {"type": "call", "contact_id": contact["id"]},
    ):
        blueai.make("activities", body)
    queries = ({}, {"type": "call"}, {"deal_id": deal["id"]}, {"contact_id": contact["id"]}, {"deal_id": "x"})
    assert [blueai.get("/crm/activities", **query).json()["total"] for query in queries] == [3, 2, 1, 1, 0]
    assert problem_of(blueai.get("/crm/activities", type="fax"), 400)["param"] == "type"


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({}, 400, "type"),
        ({"type": "fax"}, 400, "type"),
        ({"type": "note", "content": 3}, 400, "content"),
        ({"type": "note", "deal_id": "deal_" + "1" * 32}, 422, "deal_id"),
        ({"type": "note", "contact_id": "cont_x"}, 422, "contact_id"),
    ],
)
def test_what_is_wrong_is_told_by_its_key(blueai: BlueAI, body: dict, status: int, param: str) -> None:
    assert problem_of(blueai.post("/crm/activities", body), status)["param"] == param
    assert not Activity.objects.exists()


def test_close_sees_the_activities_of_a_lead_and_they_see_its_notes(blueai: BlueAI, membership: Membership) -> None:
    close = Close(make_api_key(membership=membership)[1])
    company = blueai.make("companies", {"name": "桜"})
    deal = blueai.make("deals", {"name": "x", "company_id": company["id"]})
    blueai.make("activities", {"type": "note", "content": "ours", "deal_id": deal["id"]})
    blueai.make("activities", {"type": "note", "content": "of nobody"})
    [note] = close.get("/activity/note/").json()["data"]
    assert note["note"] == "ours"
    close.post("/activity/note/", {"lead_id": note["lead_id"], "note": "theirs"})
    shown = {item["content"] for item in blueai.get("/crm/activities").json()["items"]}
    assert shown == {"ours", "of nobody", "theirs"}
