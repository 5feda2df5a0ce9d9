import pytest

from bulk_actions.models import BulkAction
from bulk_actions.undoing import undo
from crm.auth import make_api_key
from crm.ids import close_id, parse_hex_id
from crm.models import Lead, Membership, Role
from tests.blueai import BlueAI, problem_of
from tests.bulk_actions.helpers import caller_of, check_invariant, run_to_end
from tests.crm.api.close.conftest import Close

FULL = {
    "name": "桜商事株式会社", "website": "https://a.example", "phone": "03-1234-5678", "address": "東京都千代田区1-1",
    "industry": "商社", "email": "info@sakura.example", "note": "上得意", "name_kana": "サクラショウジ",
    "department": "営業部", "employee_count": 120, "postal_code": "100-0001",
}  # fmt: skip


def test_a_company_keeps_all_its_fields(blueai: BlueAI) -> None:
    made = blueai.make("companies", FULL)
    assert made == {"id": made["id"], **FULL, "created_at": made["created_at"], "updated_at": made["updated_at"]}
    assert blueai.get(f"/crm/companies/{made['id']}").json() == {"company": made}
    assert blueai.get("/crm/companies").json()["items"] == [made]


def test_a_change_touches_only_what_is_sent_and_null_clears(blueai: BlueAI) -> None:
    made = blueai.make("companies", FULL)
    path = f"/crm/companies/{made['id']}"
    changed = blueai.patch(path, {"industry": "製造"}).json()["company"]
    assert {**changed, "updated_at": 0} == {**made, "industry": "製造", "updated_at": 0}
    cleared = blueai.patch(path, dict.fromkeys(set(FULL) - {"name"})).json()["company"]
    assert {key: cleared[key] for key in FULL} == {**dict.fromkeys(FULL), "name": FULL["name"]}


def test_one_field_under_two_names(blueai: BlueAI) -> None:
    made = blueai.make("companies", {"name": "x", "website_url": "https://a.example", "notes": "n"})
    assert (made["website"], made["note"]) == ("https://a.example", "n")
    both = {"name": "x", "website": "https://a.example", "website_url": "https://b.example"}
    assert problem_of(blueai.post("/crm/companies", both), 400)["param"] == "website_url"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "name"),
        ({"name": None}, "name"),
        ({"name": "x", "employee_count": -1}, "employee_count"),
        ({"name": "x", "employee_count": 2**31}, "employee_count"),
        ({"name": "x", "employee_count": True}, "employee_count"),
        ({"name": "x", "email": "nobody"}, "email"),
        ({"name": "x", "phone": []}, "phone"),
    ],
)
def test_what_is_wrong_is_told_by_its_key(blueai: BlueAI, body: dict, param: str) -> None:
    assert problem_of(blueai.post("/crm/companies", body), 400)["param"] == param
    assert not Lead.objects.exists()


def test_an_address_in_parts_is_read_as_a_line_and_kept_until_the_line_changes(
    blueai: BlueAI, membership: Membership
) -> None:
    close = Close(make_api_key(membership=membership)[1])
    parts = {
        "address_1": "1-1",
        "address_2": "5F",
        "city": "千代田区",
        "state": "東京都",
        "zipcode": "100",
        "country": "JP",
    }
    lead = close.post("/lead/", {"name": "x", "addresses": [parts, {"city": "Osaka"}]}).json()
    [company] = blueai.get("/crm/companies").json()["items"]
    assert (company["address"], company["postal_code"]) == ("東京都 千代田区 1-1 5F", "100")
    path = f"/crm/companies/{company['id']}"
    blueai.patch(path, {"address": company["address"], "postal_code": "101"})
    kept = close.get(f"/lead/{lead['id']}/").json()["addresses"][0]
    assert {key: kept[key] for key in parts} == {**parts, "zipcode": "101"}
    assert blueai.patch(path, {"address": "京都市"}).json()["company"]["address"] == "京都市"
    first, second = close.get(f"/lead/{lead['id']}/").json()["addresses"]
    assert (first["address_1"], first["city"], second["city"]) == ("京都市", None, "Osaka")


def test_deleting_a_company_leaves_its_people_and_deals_and_undo_gives_them_back(
    blueai: BlueAI, membership: Membership
) -> None:
    company = blueai.make("companies", {"name": "桜"})
    contact = blueai.make("contacts", {"first_name": "a", "last_name": "b", "company_id": company["id"]})
    deal = blueai.make("deals", {"name": "x", "company_id": company["id"]})
    assert blueai.delete(f"/crm/companies/{company['id']}").json() == {"success": True}
    problem_of(blueai.get(f"/crm/companies/{company['id']}"), 404)
    problem_of(blueai.delete(f"/crm/companies/{company['id']}"), 404)
    assert blueai.get(f"/crm/contacts/{contact['id']}").json()["contact"]["company_id"] is None
    assert blueai.get(f"/crm/deals/{deal['id']}").json()["deal"]["company_id"] is None
    job = BulkAction.objects.get(n_succeeded=1)
    check_invariant(job)
    run_to_end(undo(action=job, caller=caller_of(membership)))
    assert blueai.get(f"/crm/companies/{company['id']}").status_code == 200
    assert blueai.get(f"/crm/contacts/{contact['id']}").json()["contact"]["company_id"] == company["id"]
    assert blueai.get(f"/crm/deals/{deal['id']}").json()["deal"]["company_id"] == company["id"]


def test_a_delete_that_finds_nothing_leaves_no_job(blueai: BlueAI) -> None:
    problem_of(blueai.delete("/crm/companies/comp_" + "0" * 32), 404)
    problem_of(blueai.delete("/crm/companies/x"), 404)
    assert not BulkAction.objects.exists()


def test_who_may_not_delete_leads_may_not_delete_companies(blueai: BlueAI, membership: Membership) -> None:
    company = blueai.make("companies", {"name": "桜"})
    membership.role = Role.RESTRICTED_USER
    membership.save()
    assert problem_of(blueai.delete(f"/crm/companies/{company['id']}"), 403)["code"] == "FORBIDDEN"
    assert blueai.get(f"/crm/companies/{company['id']}").status_code == 200


def test_a_company_is_a_lead_to_close(blueai: BlueAI, membership: Membership) -> None:
    close = Close(make_api_key(membership=membership)[1])
    made = blueai.make("companies", FULL)
    lead = close.get(f"/lead/{close_id('lead', parse_hex_id('comp', made['id']))}/").json()
    assert (lead["name"], lead["url"], lead["description"]) == (FULL["name"], FULL["website"], FULL["note"])
    close.put(f"/lead/{lead['id']}/", {"name": "新社名"})
    assert blueai.get(f"/crm/companies/{made['id']}").json()["company"]["name"] == "新社名"
