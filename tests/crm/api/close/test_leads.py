from uuid import UUID

import pytest
from pytest_django import DjangoAssertNumQueries

from crm.ids import close_id, parse_close_id
from crm.models import Contact, CustomField, Lead, LeadStatus, LeadStatusChange, Membership, Organization
from tests import factories
from tests.crm.api.close.conftest import Close

ADDRESS_KEYS = {"address_1", "address_2", "city", "state", "zipcode", "country", "label", "tz_ids"}


def field(organization: Organization, **options: object) -> CustomField:
    return factories.CustomFieldFactory.create(organization=organization, **options)


def cf(custom_field: CustomField) -> str:
    return f"custom.{close_id('cf', custom_field.pk)}"


def test_a_lead_needs_nothing_and_gets_the_first_status(close: Close, statuses: list[LeadStatus]) -> None:
    answer = close.post("/lead/")
    assert answer.status_code == 200
    lead = answer.json()
    assert lead["status_id"] == close_id("stat", statuses[0].pk)
    assert lead["status_label"] == "Potential"
    assert (lead["name"], lead["display_name"]) == (None, "Unnamed lead")
    assert (lead["contacts"], lead["addresses"], lead["opportunities"], lead["tasks"]) == ([], [], [], [])


def test_a_lead_is_made_with_its_contacts_in_the_order_given(close: Close) -> None:
    lead = close.post(
        "/lead/",
        {
            "name": "山田製作所",
            "contacts": [
                {"name": "Ida Moss", "emails": [{"type": "office", "email": "ida@oakvale.example"}]},
                {"name": "Lev Adler", "phones": [{"phone": "+1 555 010 0123", "type": "mobile"}]},
                {"title": "Nameless"},
            ],
        },
    ).json()
    assert lead["name"] == lead["display_name"] == "山田製作所"
    assert [contact["name"] for contact in lead["contacts"]] == ["Ida Moss", "Lev Adler", None]
    assert lead["contact_ids"] == [contact["id"] for contact in lead["contacts"]]
    assert {contact["lead_id"] for contact in lead["contacts"]} == {lead["id"]}
    assert lead["primary_email"] == {"email": "ida@oakvale.example", "type": "office", "is_unsubscribed": False}
    assert lead["primary_phone"]["phone"] == "+15550100123"
    assert lead["contacts_summary"] == "Ida Moss, Lev Adler, Unnamed contact"
    assert close.get(f"/lead/{lead['id']}/").json() == lead


def test_a_lead_without_a_name_is_displayed_as_its_first_contact(close: Close) -> None:
    lead = close.post("/lead/", {"contacts": [{"emails": [{"email": "ida@oakvale.example"}]}]}).json()
    assert lead["display_name"] == "ida@oakvale.example"
    assert close.get(f"/lead/{lead['id']}/", _fields="display_name").json() == {"display_name": "ida@oakvale.example"}


def test_a_status_is_given_by_id_or_by_label(close: Close, statuses: list[LeadStatus]) -> None:
    by_id = close.post("/lead/", {"status_id": close_id("stat", statuses[2].pk)}).json()
    by_label = close.post("/lead/", {"status": "Trial"}).json()
    assert (by_id["status_label"], by_label["status_label"]) == ("Customer", "Trial")


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"status_id": "stat_nothing"}, {"status_id": "Object does not exist."}),
        ({"status_id": close_id("stat", UUID(int=5))}, {"status_id": "Object does not exist."}),
        ({"status": "No such"}, {"status": "Object does not exist."}),
        ({"status": 3}, {"status": "Value must be of basestring type."}),
        ({"name": 3}, {"name": "Value must be of basestring type."}),
        ({"addresses": {}}, {"addresses": "Value must be a list."}),
        ({"addresses": [{}, {"city": 3}]}, {"addresses": {"1": {"city": "Value must be of basestring type."}}}),
        ({"contacts": [3]}, {"contacts": {"0": "Value must be an object."}}),
        (
            {"name": 1, "contacts": [{}, {"emails": [{"email": "nobody"}]}]},
            {
                "name": "Value must be of basestring type.",
                "contacts": {"1": {"emails": {"0": {"email": "Not a valid email address."}}}},
            },
        ),
        (
            {"contacts": [{"phones": [{}]}]},
            {"contacts": {"0": {"phones": {"0": {"phone": "This field is required."}}}}},
        ),
        ({"custom": []}, {"custom": "Value must be an object."}),
        ({"custom": {"No such": 1}}, {"custom.No such": "There is no such custom field."}),
        ({"custom.cf_nothing": 1}, {"custom.cf_nothing": "There is no such custom field."}),
    ],
)
def test_what_is_wrong_is_told_where_it_stands(close: Close, body: object, problem: object) -> None:
    answer = close.post("/lead/", body)
    assert answer.status_code == 400
    assert answer.json() == {"errors": [], "field-errors": problem}
    assert not Lead.all_objects.exists()


def test_an_address_has_every_key(close: Close) -> None:
    lead = close.post("/lead/", {"addresses": [{"city": "Tromsø", "country": "no"}, {"label": "mailing"}]}).json()
    assert all(set(address) == ADDRESS_KEYS for address in lead["addresses"])
    assert (lead["addresses"][0]["city"], lead["addresses"][0]["country"]) == ("Tromsø", "NO")
    assert lead["primary_address_summary"] == "Tromsø, NO"
    assert [address["label"] for address in lead["addresses"]] == [None, "mailing"]


def test_put_changes_only_what_is_given(close: Close) -> None:
    lead = close.post(
        "/lead/", {"name": "Oakvale", "url": "https://oakvale.example", "addresses": [{"city": "Bergen"}]}
    ).json()
    changed = close.put(f"/lead/{lead['id']}/", {"description": "Mills"}).json()
    assert changed == {**lead, "description": "Mills", "date_updated": changed["date_updated"]}
    assert changed["date_updated"] > lead["date_updated"]
    cleared = close.put(f"/lead/{lead['id']}/", {"url": None, "addresses": []}).json()
    assert (cleared["url"], cleared["addresses"], cleared["description"]) == (None, [], "Mills")


def test_put_passes_over_contacts_and_takes_back_a_whole_answer(close: Close, organization: Organization) -> None:
    field(organization, name="Origin")
    lead = close.post(
        "/lead/", {"name": "Oakvale", "contacts": [{"name": "Ida"}], "custom": {"Origin": "Web"}, "addresses": [{}]}
    ).json()
    lead["contacts"][0]["name"] = "Eve"
    changed = close.put(f"/lead/{lead['id']}/", {**lead, "name": "Oakvale Mills"}).json()
    assert changed["name"] == "Oakvale Mills"
    assert changed["custom"] == {"Origin": "Web"}
    assert [contact["name"] for contact in changed["contacts"]] == ["Ida"]


def test_another_status_by_put_leaves_one_activity(
    close: Close, statuses: list[LeadStatus], membership: Membership
) -> None:
    lead = close.post("/lead/", {"name": "Oakvale"}).json()
    for _ in range(2):
        close.put(f"/lead/{lead['id']}/", {"status": "Customer"})
    activities = close.get("/activity/status_change/lead/", lead_id=lead["id"]).json()["data"]
    assert len(activities) == 1
    activity = activities[0]
    assert activity["old_status_id"] == close_id("stat", statuses[0].pk)
    assert activity["new_status_id"] == close_id("stat", statuses[2].pk)
    assert activity["user_id"] == close_id("user", membership.user_id)
    assert activity["bulk_action_id"] is None
    assert close.get(f"/activity/status_change/lead/{activity['id']}/").json() == activity
    today = activity["date_created"][:10]
    assert close.get("/activity/status_change/lead/", date_created__gte=today).json()["data"] == activities
    assert close.get("/activity/status_change/lead/", date_created__lt=today).json()["data"] == []
    assert close.get("/activity/status_change/lead/", date_created__lt="soon").status_code == 400


def test_a_failed_put_changes_nothing(close: Close) -> None:
    lead = close.post("/lead/", {"name": "Oakvale"}).json()
    answer = close.put(f"/lead/{lead['id']}/", {"name": "Other", "status_id": close_id("stat", UUID(int=7))})
    assert answer.status_code == 400
    assert close.get(f"/lead/{lead['id']}/").json() == lead
    assert not LeadStatusChange.objects.exists()


def test_custom_fields_are_written_in_every_form(close: Close, organization: Organization) -> None:
    tier = field(organization, name="Tier")
    size = field(organization, name="Size", type="number")
    tags = field(organization, name="Tags", type="choices", accepts_multiple_values=True, choices=["a", "b", "c"])
    lead = close.post("/lead/", {cf(tier): "Gold", "custom": {"Size": 3}, "custom.Tags": ["a", "b", "a"]}).json()
    assert lead["custom"] == {"Tier": "Gold", "Size": 3, "Tags": ["a", "b"]}
    assert (lead[cf(tier)], lead[cf(size)], lead[cf(tags)]) == ("Gold", 3, ["a", "b"])

    path = f"/lead/{lead['id']}/"
    assert close.put(path, {f"{cf(tags)}.add": ["c", "a"], f"{cf(tags)}.remove": "b"}).json()[cf(tags)] == ["a", "c"]
    assert close.put(path, {f"{cf(tags)}.remove": ["a", "c"]}).json()["custom"] == {"Tier": "Gold", "Size": 3}
    unset = close.put(path, {cf(tier): None, "custom.Size": None}).json()
    assert unset["custom"] == {}
    assert not [key for key in unset if key.startswith("custom.")]
    assert Lead.objects.get().custom == {}


def test_values_that_do_not_fit_their_field_are_refused_by_the_key_as_written(
    close: Close, organization: Organization
) -> None:
    size = field(organization, name="Size", type="number")
    answer = close.post("/lead/", {cf(size): "many", "custom.Size.add": 3, "custom": {"Size": True}})
    assert answer.status_code == 400
    assert set(answer.json()["field-errors"]) == {cf(size), "custom.Size.add", "custom.Size"}


def test_a_user_field_takes_an_id_or_a_full_name_and_shows_the_id(
    close: Close, organization: Organization, membership: Membership
) -> None:
    owner = field(organization, name="Owner", type="user")
    lead = close.post("/lead/", {cf(owner): "Jo Field"}).json()
    assert lead[cf(owner)] == lead["custom"]["Owner"] == close_id("user", membership.user_id)


def test_a_deleted_lead_is_gone_with_its_contacts_and_activities(close: Close) -> None:
    lead = close.post("/lead/", {"contacts": [{"name": "Ida"}]}).json()
    close.put(f"/lead/{lead['id']}/", {"status": "Trial"})
    answer = close.delete(f"/lead/{lead['id']}/")
    assert (answer.status_code, answer.json()) == (200, {})
    contact_id = lead["contact_ids"][0]
    for path in (f"/lead/{lead['id']}/", f"/contact/{contact_id}/"):
        assert close.get(path).status_code == 404
        assert close.put(path, {"name": "x"}).status_code == 404
        assert close.delete(path).status_code == 404
    assert close.get("/lead/").json() == {"data": [], "has_more": False, "total_results": 0}
    assert close.get("/contact/").json()["data"] == []
    assert close.get("/contact/", lead_id=lead["id"]).json()["data"] == []
    assert close.get("/activity/status_change/lead/", lead_id=lead["id"]).json()["data"] == []
    marked = Lead.all_objects.get(pk=parse_close_id("lead", lead["id"]))
    assert marked.deleted_at is not None
    assert Contact.objects.count() == 1


def test_deleting_needs_the_permission(close: Close, membership: Membership) -> None:
    lead = close.post("/lead/").json()
    membership.withheld_permissions = ["delete_lead"]
    membership.save()
    answer = close.delete(f"/lead/{lead['id']}/")
    assert answer.status_code == 403
    assert "delete_lead" in answer.json()["error"]
    assert Lead.objects.exists()


def test_the_list_has_pages_newest_first(close: Close) -> None:
    ids = [close.post("/lead/", {"name": str(number)}).json()["id"] for number in range(5)][::-1]
    first = close.get("/lead/", _limit=2, _skip=1).json()
    assert [lead["id"] for lead in first["data"]] == ids[1:3]
    assert (first["has_more"], first["total_results"]) == (True, 5)
    assert close.get("/lead/", _skip=3, _limit=2).json()["has_more"] is False
    assert close.get("/lead/", _limit=0).json() == {"data": [], "has_more": True, "total_results": 5}


def test_a_text_query_that_cannot_be_understood_is_refused(close: Close) -> None:
    assert close.get("/lead/", query="*").status_code == 200
    answer = close.get("/lead/", query="status:Trail")
    assert answer.status_code == 400
    assert "query" in answer.json()["field-errors"]


def test_a_page_takes_the_same_number_of_queries_whatever_its_length(
    close: Close, organization: Organization, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    origin = field(organization, name="Origin")
    contact_field = field(organization, name="Rank", object_type="contact")
    person = {
        "name": "Ida",
        "emails": [{"email": "ida@oakvale.example"}],
        "phones": [{"phone": "+15550100123"}],
        "urls": [{"url": "https://ida.example"}],
        cf(contact_field): "x",
    }
    for _ in range(30):
        close.post("/lead/", {"contacts": [person, person], "addresses": [{}], cf(origin): "Web"})
    with django_assert_max_num_queries(15):
        assert len(close.get("/lead/").json()["data"]) == 30
    with django_assert_max_num_queries(9):
        assert len(close.get("/contact/").json()["data"]) == 60
    with django_assert_max_num_queries(4):  # the key, its use, the leads, their number
        close.get("/lead/", _fields="id,name")
