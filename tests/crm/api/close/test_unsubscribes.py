"""`/unsubscribe/email/`."""

import pytest

from crm.mail.suppression import suppress
from crm.models import Organization, Suppression
from tests.crm.api.close.conftest import Close

ADDRESS = "ida@oakvale.example"


def test_an_address_is_put_on_the_list_shown_and_taken_off(close: Close) -> None:
    lead = close.post("/lead/", {"contacts": [{"emails": [{"email": "Ida@Oakvale.example"}]}]}).json()
    made = close.post("/unsubscribe/email/", {"email": " Ida@Oakvale.example "})
    assert made.status_code == 201
    assert made.json()["email"] == ADDRESS
    assert made.json()["organization_id"].startswith("orga_")
    assert close.get("/unsubscribe/email/").json() == {"data": [made.json()], "has_more": False}
    assert _is_unsubscribed(close, lead["id"]) is True
    assert close.delete("/unsubscribe/email/ida%40OAKVALE.example/").json() == {}
    assert close.get("/unsubscribe/email/").json()["data"] == []
    assert close.delete(f"/unsubscribe/email/{ADDRESS}/").status_code == 404
    assert _is_unsubscribed(close, lead["id"]) is False


def test_doing_it_again_answers_the_same_and_adds_nothing(close: Close, organization: Organization) -> None:
    first = close.post("/unsubscribe/email/", {"email": ADDRESS})
    assert close.post("/unsubscribe/email/", {"email": ADDRESS.upper()}).json() == first.json()
    suppress(organization.pk, ADDRESS, "complained")
    again = close.post("/unsubscribe/email/", {"email": ADDRESS})
    assert (again.status_code, again.json()["reason"]) == (201, "complained")
    assert Suppression.objects.count() == 1


def test_bounced_addresses_are_not_on_the_list(close: Close, organization: Organization) -> None:
    lead = close.post("/lead/", {"contacts": [{"emails": [{"email": ADDRESS}]}]}).json()
    suppress(organization.pk, ADDRESS, "bounced")
    assert close.get("/unsubscribe/email/").json()["data"] == []
    assert close.delete(f"/unsubscribe/email/{ADDRESS}/").status_code == 404
    assert _is_unsubscribed(close, lead["id"]) is False
    assert close.post("/unsubscribe/email/", {"email": ADDRESS}).json()["reason"] == "unsubscribed"


@pytest.mark.parametrize(
    "email", [None, "", 3, ["ida@oakvale.example"], "ida", "a" * 490 + "@oakvale.example", "i\tda@oakvale.example"]
)
def test_what_is_no_address_is_refused_by_name(close: Close, email: object) -> None:
    answer = close.post("/unsubscribe/email/", {"email": email})
    assert answer.status_code == 400
    assert list(answer.json()["field-errors"]) == ["email"]
    assert close.post("/unsubscribe/email/", {}).json()["field-errors"] == {"email": "This field is required."}


def test_the_list_comes_in_pages_newest_first(close: Close, organization: Organization) -> None:
    for number in range(3):
        suppress(organization.pk, f"ida{number}@oakvale.example", "manual")
    page = close.get("/unsubscribe/email/", _limit=2, _fields="email").json()
    assert page == {"data": [{"email": "ida2@oakvale.example"}, {"email": "ida1@oakvale.example"}], "has_more": True}
    assert [row["email"] for row in close.get("/unsubscribe/email/", _skip=2).json()["data"]] == [
        "ida0@oakvale.example"
    ]


def test_another_organizations_list_is_its_own(close: Close, stranger: Close) -> None:
    close.post("/unsubscribe/email/", {"email": ADDRESS})
    assert stranger.get("/unsubscribe/email/").json()["data"] == []
    assert stranger.delete(f"/unsubscribe/email/{ADDRESS}/").status_code == 404
    for odd in ("%00", "x", "a/b", "%ed%a0%80@oakvale.example"):
        assert close.delete(f"/unsubscribe/email/{odd}/").status_code == 404


def test_an_address_with_a_slash_can_be_taken_off(close: Close) -> None:
    assert close.post("/unsubscribe/email/", {"email": "a/b+c@oakvale.example"}).status_code == 201
    assert close.delete("/unsubscribe/email/a%2Fb%2Bc@oakvale.example/").status_code == 200


def _is_unsubscribed(close: Close, lead_id: str) -> bool:
    return close.get(f"/lead/{lead_id}/").json()["contacts"][0]["emails"][0]["is_unsubscribed"]
