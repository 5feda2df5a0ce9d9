"""Every operation that BlueAI's documentation shows, asked as there, and the shape that it says (blueai-api.md)."""

import csv
import io
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse

from crm.auth import make_api_key
from crm.models import Dialect, Membership, Organization
from crm.setup import create_organization
from tests.blueai import BlueAI
from tests.published import SECONDS, TEXT, Every, Like, blueai, shows

pytestmark = pytest.mark.django_db

Json = dict[str, Any]
DATES = {"created_at": SECONDS, "updated_at": SECONDS}
SLUGS = ["lead", "qualified", "proposal", "negotiation", "won", "lost"]
COLUMNS = {
    "deals": "id,name,customer_name,company_id,contact_id,amount,stage,expected_close_date,assigned_member_id,"
    "created_at,updated_at",
    "contacts": "id,company_id,name,email,phone,position,notes,created_at,updated_at",
    "companies": "id,name,name_kana,department,industry,employee_count,website_url,postal_code,address,phone,email,"
    "notes,created_at,updated_at",
}


@pytest.fixture
def organization(db: None) -> Organization:
    made = create_organization("Sakura")
    made.currency = "JPY"
    made.save()
    return made


@pytest.fixture
def hanako(membership: Membership) -> BlueAI:
    return BlueAI(make_api_key(membership=membership, dialect=Dialect.BLUEAI)[1])


def answered(answer: HttpResponse, status: int = 200) -> Any:
    assert answer.status_code == status, answer.content
    assert answer["X-RateLimit-Limit"].isdecimal()
    assert answer["X-RateLimit-Remaining"].isdecimal()
    return answer.json()


def listed(client: BlueAI, path: str, element: Json, name: str, **query: object) -> None:
    """Both published kinds of lists, of which each has one such element."""
    reference = {"items": [element], "total": 1, "limit": 50, "offset": 0}
    assert shows(answered(client.get(path, **query)), reference)
    pagination = {"page": 1, "per_page": 20, "total": 1, "total_pages": 1}
    guide = {"object": "list", "data": [{"object": name, **element}], "pagination": pagination}
    assert shows(answered(client.get(path, page=1, per_page=20, sort="created_at:desc", **query)), guide)


def test_signing_in_and_keys(hanako: BlueAI, membership: Membership) -> None:
    membership.user.set_password("correct horse battery")
    membership.user.save()
    browser = BlueAI()
    answered(browser.post("/auth/sign-in/email", {"email": membership.user.email, "password": "correct horse battery"}))
    assert "better-auth.session_token" in browser.client.cookies
    for caller in (browser, hanako):
        me = answered(caller.get("/me"))["user"]
        assert shows(me, {"id": blueai("usr"), "email": membership.user.email})
    key = answered(hanako.post("/api-keys", {"name": "nightly"}), 201)["api_key"]
    assert shows(key, {"id": blueai("ak"), "name": "nightly", "key": Like("sk_live_.+")})
    assert answered(BlueAI(key["key"]).get("/me"))["user"] == me
    answered(hanako.delete(f"/api-keys/{key['id']}"))
    problem = answered(BlueAI(key["key"]).get("/me"), 401)
    assert shows(problem, {"error": {"type": "authentication_error", "code": "UNAUTHORIZED", "message": TEXT}})


def test_errors(hanako: BlueAI) -> None:
    answer = hanako.post("/crm/contacts", {"first_name": "花子", "last_name": "佐藤", "email": "no"})
    documented = {
        "type": "invalid_request_error", "code": "VALIDATION_ERROR", "message": TEXT, "param": "email",
        "details": {"email": Every(TEXT)}, "request_id": Like("req_.+"),
    }  # fmt: skip
    assert shows(answered(answer, 400), {"error": documented})


def test_contacts(hanako: BlueAI) -> None:
    company = hanako.make("companies", {"name": "株式会社さくら"})["id"]
    body = {"first_name": "花子", "last_name": "佐藤", "email": "hanako@example.jp", "company_id": company}
    made = answered(hanako.post("/crm/contacts", body), 201)
    listed_keys = {"id": blueai("cont"), **body, "phone": None, "position": None, **DATES}
    assert shows(made, {"contact": {**listed_keys, "note": None}})
    path = f"/crm/contacts/{made['contact']['id']}"
    assert answered(hanako.get(path)) == made
    listed(hanako, "/crm/contacts", listed_keys, "contact", search="HANAKO", company_id=company)
    changed = answered(hanako.patch(path, {"position": "部長", "email": None}))
    assert shows(changed, {"contact": {**listed_keys, "position": "部長", "email": None}})
    assert answered(hanako.delete(path)) == {"success": True}
    answered(hanako.get(path), 404)


def test_companies(hanako: BlueAI) -> None:
    body = {"name": "株式会社さくら", "website": "https://sakura.example", "industry": "食品", "note": "春"}
    documented = {"id": blueai("comp"), **body, "phone": None, "address": None, "email": None, **DATES}
    made = answered(hanako.post("/crm/companies", body), 201)
    assert shows(made, {"company": documented})
    path = f"/crm/companies/{made['company']['id']}"
    assert answered(hanako.get(path)) == made
    listed(hanako, "/crm/companies", {"id": blueai("comp"), "name": body["name"], **DATES}, "company", search="さくら")
    assert shows(answered(hanako.patch(path, {"phone": None})), {"company": documented})
    assert answered(hanako.delete(path)) == {"success": True}


def test_deals(hanako: BlueAI) -> None:
    company = hanako.make("companies", {"name": "株式会社さくら"})["id"]
    body = {"name": "新規契約", "amount": 500000, "company_id": company, "expected_close_date": "2031-03-31"}
    documented = {
        "id": blueai("deal"), **body, "stage": "lead", "contact_id": None, "assigned_member_id": None,
        "probability": 50, "lost_reason": None, "won_date": None, "currency": "JPY", **DATES,
    }  # fmt: skip
    made = answered(hanako.post("/crm/deals", body), 201)
    assert shows(made, {"deal": documented})
    path = f"/crm/deals/{made['deal']['id']}"
    assert answered(hanako.get(path)) == made
    listed(hanako, "/crm/deals", documented, "deal", stage="lead", search="新規")
    assert shows(answered(hanako.patch(path, {"probability": 60})), {"deal": {**documented, "probability": 60}})
    won = answered(hanako.post(f"{path}/stage", {"stage": "won"}))
    assert shows(won, {"deal": {"stage": "won", "won_date": Like(r"\d{4}-\d\d-\d\d")}})
    lost = answered(hanako.post(f"{path}/stage", {"stage": "lost", "lost_reason": "価格"}))
    assert shows(lost, {"deal": {"stage": "lost", "won_date": None, "lost_reason": "価格"}})
    moves = answered(hanako.get(f"{path}/activities"))
    assert shows(moves, {"items": Every({"id": blueai("act"), "type": "stage_change"}), "total": 3})
    assert answered(hanako.delete(path)) == {"success": True}


def test_pipelines(hanako: BlueAI) -> None:
    documented = {"id": blueai("pipe"), "name": "Sales", "is_default": True, "sort_order": 0, **DATES}
    assert shows(answered(hanako.get("/crm/pipelines")), {"pipelines": [documented]})
    stage = {"slug": "proposal", "name": "提案", "sort_order": 0, "probability": 40, "is_won": False, "is_lost": False}
    made = answered(hanako.post("/crm/pipelines", {"name": "更新", "stages": [stage]}), 201)
    assert shows(made, {"pipeline": {"id": blueai("pipe"), "name": "更新", "is_default": False, "stages": [stage]}})
    path = f"/crm/pipelines/{made['pipeline']['id']}"
    assert answered(hanako.get(path)) == made
    assert shows(answered(hanako.patch(path, {"name": "契約更新"})), {"pipeline": {"name": "契約更新"}})
    assert answered(hanako.delete(path)) == {"success": True}
    default = answered(hanako.get("/crm/pipelines"))["pipelines"][0]["id"]
    slugs = [stage["slug"] for stage in answered(hanako.get(f"/crm/pipelines/{default}"))["pipeline"]["stages"]]
    assert slugs == SLUGS


@pytest.mark.parametrize("type_", ["note", "call", "email", "meeting"])
def test_activities(hanako: BlueAI, type_: str) -> None:
    deal = hanako.make("deals", {"name": "新規契約"})["id"]
    body = {"type": type_, "content": "電話した", "deal_id": deal}
    documented = {"id": blueai("act"), **body, "contact_id": None, "created_by": blueai("usr"), "created_at": SECONDS}
    made = answered(hanako.post("/crm/activities", body), 201)
    assert shows(made, {"activity": documented})
    path = f"/crm/activities/{made['activity']['id']}"
    listed(hanako, "/crm/activities", documented, "activity", type=type_, deal_id=deal)
    assert shows(answered(hanako.patch(path, {"content": "また"})), {"activity": {**documented, "content": "また"}})
    assert answered(hanako.delete(path)) == {"success": True}


def test_bulk_updates_and_deletes_of_deals(hanako: BlueAI) -> None:
    deals = [hanako.make("deals", {"name": name})["id"] for name in "ab"]
    gone = "deal_" + "0" * 32
    told = answered(hanako.post("/crm/bulk/deals/update", {"ids": [*deals, gone], "stage": "negotiation"}))
    assert told == {"processed": 2, "errors": [f"{gone}: not found"]}
    assert {answered(hanako.get(f"/crm/deals/{deal}"))["deal"]["stage"] for deal in deals} == {"negotiation"}
    told = answered(hanako.post("/crm/bulk/deals/delete", {"ids": [*deals, gone]}))
    assert told == {"processed": 2, "errors": [f"{gone}: not found"]}
    assert answered(hanako.get("/crm/deals"))["total"] == 0


def test_a_bulk_import_of_contacts(hanako: BlueAI) -> None:
    text = (
        "first_name,last_name,email,phone,position,company_id,note\n花子,佐藤,hanako@example.jp,,,,\n次郎,鈴木,no,,,,\n"
    )
    answer = hanako.client.post(
        "/api/v1/crm/bulk/contacts/import",
        {"file": SimpleUploadedFile("contacts.csv", text.encode(), "text/csv")},
        headers={"Authorization": f"Bearer {hanako.secret}"},
    )
    assert answered(answer) == {"processed": 1, "errors": ["row 2: email: not an email address"]}


@pytest.mark.parametrize("what", COLUMNS)
def test_bulk_exports(hanako: BlueAI, what: str) -> None:
    bodies = {"contacts": {"first_name": "花子", "last_name": "佐藤"}}
    made = hanako.make(what, bodies.get(what, {"name": "新規"}))
    answer = hanako.get(f"/crm/bulk/{what}/export")
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert shows(answer["Content-Disposition"], Like(rf'attachment; filename="{what}_\d{{8}}\.csv"'))
    content = b"".join(answer.streaming_content)
    assert content.startswith(b"\xef\xbb\xbf")
    header, row = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    assert ",".join(header) == COLUMNS[what]
    assert dict(zip(header, row, strict=True))["id"] == made["id"]
