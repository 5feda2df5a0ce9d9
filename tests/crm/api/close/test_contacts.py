from uuid import UUID

import pytest

from crm.ids import close_id, parse_close_id
from crm.models import Contact, ContactEmail, Lead, Organization, Suppression
from tests import factories
from tests.crm.api.close.conftest import Close


def test_a_contact_without_a_lead_gets_one_named_after_it(close: Close) -> None:
    contact = close.post("/contact/", {"name": "Ida Moss"}).json()
    lead = close.get(f"/lead/{contact['lead_id']}/").json()
    assert lead["name"] == "Ida Moss"
    assert lead["contact_ids"] == [contact["id"]]


def test_contacts_of_a_lead_keep_the_order_in_which_they_came(close: Close) -> None:
    lead_id = close.post("/lead/", {"contacts": [{"name": "a"}]}).json()["id"]
    for name in ("b", "c"):
        close.post("/contact/", {"lead_id": lead_id, "name": name})
    close.post("/contact/", {"name": "elsewhere"})
    listed = close.get("/contact/", lead_id=lead_id).json()
    assert [contact["name"] for contact in listed["data"]] == ["a", "b", "c"]
    assert close.get("/contact/").json()["data"][0]["name"] == "elsewhere"
    assert close.get("/contact/", lead_id=close_id("lead", UUID(int=1))).json() == {"data": [], "has_more": False}


@pytest.mark.parametrize("lead_id", ["lead_doesNotExist", close_id("lead", UUID(int=3)), 3])
def test_an_unknown_lead_is_told_under_its_documented_name(close: Close, lead_id: object) -> None:
    answer = close.post("/contact/", {"lead_id": lead_id, "name": "Ida Moss"})
    assert answer.status_code == 400
    assert answer.json() == {"errors": [], "field-errors": {"lead": "Object does not exist."}}
    assert not Contact.objects.exists()


@pytest.mark.parametrize(
    ("written", "phone", "formatted", "country"),
    [
        ({"phone": "+1 (555) 010-0123"}, "+15550100123", "+1 555-010-0123", "US"),
        ({"phone": "03-1234-5678", "country": "jp"}, "+81312345678", "+81 3-1234-5678", "JP"),
        ({"phone": " ask Ida "}, "ask Ida", "ask Ida", None),
    ],
)
def test_phones_are_kept_in_international_form_where_they_can_be_read(
    close: Close, written: dict[str, str], phone: str, formatted: str, country: str | None
) -> None:
    contact = close.post("/contact/", {"phones": [{**written, "type": "mobile"}]}).json()
    assert contact["phones"] == [{"phone": phone, "phone_formatted": formatted, "type": "mobile", "country": country}]


def test_lists_in_a_put_replace_the_whole_list_and_others_stay(close: Close) -> None:
    contact = close.post(
        "/contact/",
        {
            "name": "Ida",
            "title": "Founder",
            "emails": [{"email": "b@oakvale.example", "type": "home"}, {"email": "a@oakvale.example"}],
            "urls": [{"url": "https://ida.example"}],
        },
    ).json()
    assert [(email["email"], email["type"]) for email in contact["emails"]] == [
        ("b@oakvale.example", "home"),
        ("a@oakvale.example", "office"),
    ]
    assert contact["urls"] == [{"url": "https://ida.example", "type": "url"}]
    path = f"/contact/{contact['id']}/"
    changed = close.put(path, {"emails": [{"email": "c@oakvale.example"}]}).json()
    assert [email["email"] for email in changed["emails"]] == ["c@oakvale.example"]
    assert (changed["urls"], changed["title"]) == (contact["urls"], "Founder")
    assert close.put(path, {"emails": None, "title": None}).json()["emails"] == []
    assert not ContactEmail.objects.exists()


def test_an_address_that_was_unsubscribed_is_shown_so(close: Close, organization: Organization) -> None:
    Suppression.objects.create(
        organization=organization, address="ida@oakvale.example", reason=Suppression.Reason.UNSUBSCRIBED
    )
    other = factories.OrganizationFactory.create()
    Suppression.objects.create(organization=other, address="lev@oakvale.example", reason="unsubscribed")
    contact = close.post(
        "/contact/", {"emails": [{"email": "Ida@Oakvale.example"}, {"email": "lev@oakvale.example"}]}
    ).json()
    assert [email["is_unsubscribed"] for email in contact["emails"]] == [True, False]


def test_a_write_of_the_name_clears_first_and_last_name(close: Close) -> None:
    contact = close.post("/contact/", {"name": "x"}).json()
    Contact.objects.update(name=None, first_name="Ida", last_name="Moss")
    path = f"/contact/{contact['id']}/"
    assert close.get(path).json()["name"] == close.get(path).json()["display_name"] == "Ida Moss"
    assert close.put(path, {"title": "Founder"}).json()["name"] == "Ida Moss"
    assert close.put(path, {"name": "Eve"}).json()["name"] == "Eve"
    assert (Contact.objects.get().first_name, Contact.objects.get().last_name) == (None, None)


def test_a_contact_can_move_to_another_lead(close: Close) -> None:
    contact = close.post("/contact/", {"name": "Ida"}).json()
    lead = close.post("/lead/", {"contacts": [{"name": "Lev"}]}).json()
    moved = close.put(f"/contact/{contact['id']}/", {"lead_id": lead["id"]}).json()
    assert moved["lead_id"] == lead["id"]
    assert close.get(f"/lead/{lead['id']}/").json()["contact_ids"] == [lead["contact_ids"][0], contact["id"]]


def test_custom_fields_of_contacts_are_their_own(close: Close, organization: Organization) -> None:
    rank = factories.CustomFieldFactory.create(organization=organization, object_type="contact", name="Rank")
    of_leads = factories.CustomFieldFactory.create(organization=organization, name="Tier")
    key = f"custom.{close_id('cf', rank.pk)}"
    contact = close.post("/contact/", {key: "first"}).json()
    assert (contact[key], contact["custom"]) == ("first", {"Rank": "first"})
    wrong = f"custom.{close_id('cf', of_leads.pk)}"
    assert wrong in close.put(f"/contact/{contact['id']}/", {wrong: "x"}).json()["field-errors"]


def test_a_deleted_contact_is_gone_and_its_lead_stays(close: Close) -> None:
    contact = close.post("/contact/", {"name": "Ida", "phones": [{"phone": "+15550100123"}]}).json()
    path = f"/contact/{contact['id']}/"
    answer = close.delete(path)
    assert (answer.status_code, answer.json()) == (200, {})
    assert close.get(path).status_code == close.delete(path).status_code == 404
    assert Lead.objects.filter(pk=parse_close_id("lead", contact["lead_id"])).exists()
