import pytest

from crm.auth import make_api_key
from crm.ids import close_id, parse_hex_id
from crm.models import Contact, ContactEmail, Membership
from tests.blueai import BlueAI, problem_of
from tests.crm.api.close.conftest import Close

HANAKO = {"first_name": "花子", "last_name": "佐藤", "email": "hanako@example.jp"}


def test_the_documented_create_answers_as_documented(blueai: BlueAI) -> None:
    company = blueai.make("companies", {"name": "桜商事"})
    answer = blueai.post("/crm/contacts", {**HANAKO, "company_id": company["id"]})
    assert answer.status_code == 201
    made = answer.json()["contact"]
    assert made == {
        "id": made["id"],
        **HANAKO,
        "phone": None,
        "position": None,
        "company_id": company["id"],
        "note": None,
        "created_at": made["created_at"],
        "updated_at": made["created_at"],
    }
    assert parse_hex_id("cont", made["id"])
    assert made["created_at"].endswith("Z")
    assert len(made["created_at"]) == len("2026-03-01T02:00:00Z")
    assert blueai.get(f"/crm/contacts/{made['id']}").json() == {"contact": made}


def test_a_change_touches_only_what_is_sent(blueai: BlueAI) -> None:
    made = blueai.make("contacts", {**HANAKO, "position": "部長", "note": "常連", "phone": "+81 3-1234-5678"})
    changed = blueai.patch(f"/crm/contacts/{made['id']}", {"position": "社長"}).json()["contact"]
    assert {**changed, "updated_at": None} == {**made, "position": "社長", "updated_at": None}
    cleared = blueai.patch(
        f"/crm/contacts/{made['id']}", {"position": None, "email": None, "phone": None, "note": None}
    )
    for key in ("position", "email", "phone", "note"):
        assert cleared.json()["contact"][key] is None
    renamed = blueai.patch(f"/crm/contacts/{made['id']}", {"last_name": "田中"}).json()["contact"]
    assert (renamed["first_name"], renamed["last_name"]) == ("花子", "田中")


def test_a_delete_says_success_and_then_there_is_nothing(blueai: BlueAI) -> None:
    path = f"/crm/contacts/{blueai.make('contacts', HANAKO)['id']}"
    assert blueai.delete(path).json() == {"success": True}
    for answer in (blueai.get(path), blueai.patch(path, {}), blueai.delete(path)):
        assert problem_of(answer, 404)["code"] == "NOT_FOUND"


def test_a_contact_joins_a_company_moves_and_leaves_it(blueai: BlueAI) -> None:
    first, second = (blueai.make("companies", {"name": name})["id"] for name in ("一", "二"))
    made = blueai.make("contacts", HANAKO)
    assert made["company_id"] is None
    path = f"/crm/contacts/{made['id']}"
    for company in (first, second, None):
        assert blueai.patch(path, {"company_id": company}).json()["contact"]["company_id"] == company
    found = {company: blueai.get("/crm/contacts", company_id=company).json()["total"] for company in (first, second)}
    assert found == {first: 0, second: 0}


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({}, 400, "first_name"),
        ({**HANAKO, "first_name": "  "}, 400, "first_name"),
        ({**HANAKO, "last_name": "x" * 101}, 400, "last_name"),
        ({**HANAKO, "last_name": 3}, 400, "last_name"),
        ({**HANAKO, "email": "no address"}, 400, "email"),
        ({**HANAKO, "email": "a" * 250 + "@x.jp"}, 400, "email"),
        ({**HANAKO, "phone": "9" * 101}, 400, "phone"),
        ({**HANAKO, "company_id": 3}, 400, "company_id"),
        ({**HANAKO, "company_id": "comp_" + "0" * 32}, 422, "company_id"),
        ({**HANAKO, "company_id": "deal_" + "0" * 32}, 422, "company_id"),
    ],
)
def test_what_is_wrong_is_told_by_its_key(blueai: BlueAI, body: dict, status: int, param: str) -> None:
    error = problem_of(blueai.post("/crm/contacts", body), status)
    assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", "VALIDATION_ERROR", param)
    assert error["details"][param]
    assert not Contact.objects.exists()


def test_names_from_close_are_split_at_their_last_blank_and_kept_as_they_were(
    blueai: BlueAI, membership: Membership
) -> None:
    close = Close(make_api_key(membership=membership)[1])
    lead = close.post("/lead/", {"name": "Oakvale", "contacts": [{"name": "Ida van Moss"}, {"name": "Cher"}]}).json()
    ida, cher = sorted(blueai.get("/crm/contacts").json()["items"], key=lambda item: item["first_name"], reverse=True)
    assert (ida["first_name"], ida["last_name"]) == ("Ida van", "Moss")
    assert (cher["first_name"], cher["last_name"]) == ("Cher", "")
    blueai.patch(f"/crm/contacts/{cher['id']}", {"position": "singer"})
    blueai.patch(f"/crm/contacts/{ida['id']}", {"first_name": "Ada"})
    shown = {contact["name"] for contact in close.get(f"/lead/{lead['id']}/").json()["contacts"]}
    assert shown == {"Cher", "Ada Moss"}


def test_a_name_of_ours_is_seen_by_close_and_written_by_it(blueai: BlueAI, membership: Membership) -> None:
    close = Close(make_api_key(membership=membership)[1])
    company = blueai.make("companies", {"name": "桜"})
    made = blueai.make("contacts", {**HANAKO, "company_id": company["id"]})
    in_close = f"/contact/{close_id('cont', parse_hex_id('cont', made['id']))}/"
    assert close.get(in_close).json()["name"] == "花子 佐藤"
    for name in ("山田 太郎", "山田\u3000太郎"):
        close.put(in_close, {"name": name})
        shown = blueai.get(f"/crm/contacts/{made['id']}").json()["contact"]
        assert (shown["first_name"], shown["last_name"]) == ("山田", "太郎")
        assert close.get(in_close).json()["name"] == name


def test_the_first_email_is_ours_and_the_others_stay(blueai: BlueAI) -> None:
    made = blueai.make("contacts", HANAKO)
    key = parse_hex_id("cont", made["id"])
    contact = Contact.objects.get(pk=key)
    ContactEmail.objects.create(
        organization=contact.organization, contact=contact, email="private@example.jp", type="home", position=1
    )
    blueai.patch(f"/crm/contacts/{made['id']}", {"email": "new@example.jp"})
    assert list(ContactEmail.objects.filter(contact=key).values_list("email", flat=True)) == [
        "new@example.jp",
        "private@example.jp",
    ]
    assert blueai.patch(f"/crm/contacts/{made['id']}", {"email": None}).json()["contact"]["email"] is None


def test_search_finds_names_and_addresses_with_signs_as_they_are(blueai: BlueAI) -> None:
    for first, email in (("花子", "hanako@example.jp"), ("100%", "a_b@example.jp"), ("太郎", "ab@example.jp")):
        blueai.make("contacts", {"first_name": first, "last_name": "佐藤", "email": email})
    found = {
        text: blueai.get("/crm/contacts", search=text).json()["total"] for text in ("花", "佐藤", "%", "_", "HANAKO@")
    }
    assert found == {"花": 1, "佐藤": 3, "%": 1, "_": 1, "HANAKO@": 1}
