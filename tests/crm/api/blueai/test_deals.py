from datetime import date

import pytest
from django.utils import timezone

from crm.auth import make_api_key
from crm.ids import close_id, hex_id, parse_hex_id
from crm.models import Membership, Opportunity
from tests import factories
from tests.blueai import BlueAI, problem_of
from tests.crm.api.close.conftest import Close

DEAL = {"name": "大型案件", "amount": 1_500_000, "expected_close_date": "2026-06-30", "probability": 40}


def today() -> str:
    return timezone.now().date().isoformat()


def test_a_new_deal_begins_in_the_first_stage_with_all_documented_keys(blueai: BlueAI, membership: Membership) -> None:
    company = blueai.make("companies", {"name": "桜商事"})
    contact = blueai.make("contacts", {"first_name": "花子", "last_name": "佐藤"})
    member = hex_id("usr", membership.user_id)
    references = {"company_id": company["id"], "contact_id": contact["id"], "assigned_member_id": member}
    made = blueai.make("deals", {**DEAL, **references})
    assert made == {
        "id": made["id"],
        **DEAL,
        **references,
        "stage": "lead",
        "pipeline_id": made["pipeline_id"],
        "lost_reason": None,
        "won_date": None,
        "currency": "JPY",
        "created_at": made["created_at"],
        "updated_at": made["created_at"],
    }
    assert blueai.get(f"/crm/deals/{made['id']}").json() == {"deal": made}
    assert Opportunity.objects.get().value == 150_000_000


def test_a_deal_needs_nothing_but_a_name_and_close_does_not_see_it(blueai: BlueAI, membership: Membership) -> None:
    made = blueai.make("deals", {"name": "一件"})
    assert [made[key] for key in ("company_id", "contact_id", "assigned_member_id", "amount")] == [None] * 4
    close = Close(make_api_key(membership=membership)[1])
    in_close = f"/opportunity/{close_id('oppo', parse_hex_id('deal', made['id']))}/"
    assert close.get("/opportunity/").json()["data"] == []
    assert close.get(in_close).status_code == 404
    company = blueai.make("companies", {"name": "桜"})
    blueai.patch(f"/crm/deals/{made['id']}", {"company_id": company["id"], "amount": 12})
    assert close.get(in_close).json()["value"] == 1200


def test_a_change_touches_only_what_is_sent(blueai: BlueAI) -> None:
    made = blueai.make("deals", {**DEAL, "stage": "proposal"})
    path = f"/crm/deals/{made['id']}"
    changed = blueai.patch(path, {"amount": None, "probability": 90}).json()["deal"]
    assert {**changed, "updated_at": 0} == {**made, "amount": None, "probability": 90, "updated_at": 0}
    assert (
        blueai.patch(path, {"name": "別名", "expected_close_date": None}).json()["deal"]["expected_close_date"] is None
    )


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({}, 400, "name"),
        ({"name": "x", "amount": "1000"}, 400, "amount"),
        ({"name": "x", "amount": 1.5}, 400, "amount"),
        ({"name": "x", "amount": 10**14}, 400, "amount"),
        ({"name": "x", "probability": 101}, 400, "probability"),
        ({"name": "x", "expected_close_date": "2026-02-30"}, 400, "expected_close_date"),
        ({"name": "x", "expected_close_date": "20260230"}, 400, "expected_close_date"),
        ({"name": "x", "stage": "no-such"}, 422, "stage"),
        ({"name": "x", "currency": "USD"}, 422, "currency"),
        ({"name": "x", "company_id": "comp_" + "1" * 32}, 422, "company_id"),
        ({"name": "x", "contact_id": "cont_" + "1" * 32}, 422, "contact_id"),
        ({"name": "x", "assigned_member_id": "usr_" + "1" * 32}, 422, "assigned_member_id"),
        ({"name": "x", "pipeline_id": "pipe_" + "1" * 32}, 422, "pipeline_id"),
    ],
)
def test_what_is_wrong_is_told_by_its_key(blueai: BlueAI, body: dict, status: int, param: str) -> None:
    assert problem_of(blueai.post("/crm/deals", body), status)["param"] == param
    assert not Opportunity.objects.exists()


def test_winning_sets_the_day_and_leaving_clears_it(blueai: BlueAI) -> None:
    stage = f"/crm/deals/{blueai.make('deals', DEAL)['id']}/stage"
    won = blueai.post(stage, {"stage": "won"}).json()["deal"]
    assert (won["stage"], won["won_date"]) == ("won", today())
    lost = blueai.post(stage, {"stage": "lost", "lost_reason": "価格"}).json()["deal"]
    assert (lost["won_date"], lost["lost_reason"]) == (None, "価格")
    back = blueai.post(stage, {"stage": "proposal"}).json()["deal"]
    assert (back["stage"], back["won_date"], back["lost_reason"]) == ("proposal", None, None)
    assert problem_of(blueai.post(stage, {"stage": "nowhere"}), 422)["param"] == "stage"
    assert problem_of(blueai.post(stage, {}), 400)["param"] == "stage"


def test_each_move_stands_in_the_timeline_with_what_was_done(blueai: BlueAI, membership: Membership) -> None:
    deal = blueai.make("deals", DEAL)
    blueai.make("activities", {"type": "call", "content": "電話した", "deal_id": deal["id"]})
    blueai.post(f"/crm/deals/{deal['id']}/stage", {"stage": "won"})
    shown = blueai.get(f"/crm/deals/{deal['id']}/activities").json()
    assert shown["total"] == 3
    told = [(entry["type"], entry["content"]) for entry in shown["items"]]
    assert told == [("stage_change", "Lead → Won"), ("call", "電話した"), ("stage_change", "→ Lead")]
    assert {entry["deal_id"] for entry in shown["items"]} == {deal["id"]}
    assert {entry["created_by"] for entry in shown["items"]} == {hex_id("usr", membership.user_id)}
    second = blueai.get(f"/crm/deals/{deal['id']}/activities", limit=1, offset=1).json()
    assert second["items"] == shown["items"][1:2]


def test_the_probability_of_a_stage_becomes_that_of_the_deal(blueai: BlueAI) -> None:
    stages = [{"slug": "new", "name": "New", "probability": 10}, {"slug": "hot", "name": "Hot", "probability": 80}]
    pipeline = blueai.make("pipelines", {"name": "Second", "stages": stages})
    deal = blueai.make("deals", {"name": "x", "pipeline_id": pipeline["id"]})
    assert (deal["stage"], deal["probability"]) == ("new", 10)
    path = f"/crm/deals/{deal['id']}"
    assert blueai.patch(path, {"stage": "hot"}).json()["deal"]["probability"] == 80
    assert blueai.patch(path, {"stage": "new", "probability": 33}).json()["deal"]["probability"] == 33
    assert problem_of(blueai.patch(path, {"stage": "proposal"}), 422)["param"] == "stage"


def test_lists_are_filtered_and_sorted(blueai: BlueAI) -> None:
    for name, amount, stage in (("a", 3, "lead"), ("b", 1, "won"), ("c", None, "won"), ("d", 2, "lead")):
        blueai.make("deals", {"name": name, "amount": amount, "stage": stage})

    def names(**query: object) -> str:
        return "".join(item["name"] for item in blueai.get("/crm/deals", **query).json()["items"])

    assert names() == "dcba"
    assert names(sort="amount", order="asc") == "bdac"
    assert names(sort="name:asc") == "abcd"
    assert names(stage="won") == "cb"
    assert names(search="B") == "b"
    assert names(stage="\0") == ""
    assert names(order="asc", limit=2, offset=1) == "bc"


def test_a_deal_made_in_close_is_called_as_its_lead(blueai: BlueAI, membership: Membership) -> None:
    close = Close(make_api_key(membership=membership)[1])
    lead = close.post("/lead/", {"name": "Oakvale"}).json()
    close.post("/opportunity/", {"lead_id": lead["id"], "value": 12_345, "date_won": "2026-01-02", "status": "Won"})
    [deal] = blueai.get("/crm/deals").json()["items"]
    assert (deal["name"], deal["amount"], deal["stage"]) == ("Oakvale", 123, "won")
    assert deal["won_date"] == date(2026, 1, 2).isoformat()
    assert blueai.get("/crm/deals", search="oak").json()["total"] == 1


def test_a_deleted_deal_is_gone(blueai: BlueAI) -> None:
    path = f"/crm/deals/{blueai.make('deals', DEAL)['id']}"
    assert blueai.delete(path).json() == {"success": True}
    for answer in (blueai.get(path), blueai.patch(path, {}), blueai.delete(path), blueai.get(f"{path}/activities")):
        problem_of(answer, 404)


def test_a_member_who_left_may_keep_their_deals_and_a_stranger_gets_none(blueai: BlueAI) -> None:
    other = factories.MembershipFactory.create()
    refused = blueai.post("/crm/deals", {"name": "x", "assigned_member_id": hex_id("usr", other.user_id)})
    assert problem_of(refused, 422)["param"] == "assigned_member_id"
