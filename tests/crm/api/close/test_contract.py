"""The helper that holds answers against the published shapes does find what is wrong."""

import pytest

from tests import contract
from tests.crm.api.close.conftest import Close

pytestmark = pytest.mark.skipif(not contract.CONTRACT.exists(), reason="the published shapes are not at hand")


def test_a_template_is_found_for_an_address() -> None:
    assert contract.template_of("/api/v1/lead/lead_x/?a=b") == "/lead/{id}/"
    assert contract.template_of("/lead/") == "/lead/"
    assert contract.template_of("/activity/status_change/lead/acti_x/") == "/activity/status_change/lead/{id}/"
    assert contract.template_of("/nowhere/") is None


def test_a_missing_key_another_type_and_another_code_are_found(close: Close) -> None:
    lead = close.post("/lead/", {"contacts": [{"name": "Ida"}], "addresses": [{}]}).json()
    contract.check("/lead/", "POST", 200, {**lead, "more": 1})
    without_id = {key: value for key, value in lead.items() if key != "id"}
    for wrong in (without_id, {**lead, "name": 3}, {**lead, "contacts": [{}]}):
        with pytest.raises(AssertionError):
            contract.check("/lead/", "POST", 200, wrong)
    with pytest.raises(AssertionError):
        contract.check("/lead/", "POST", 201, lead)


def test_every_kind_of_answer_of_ours_fits(close: Close) -> None:
    """`Close` checks each; this walks them all."""
    lead = close.post("/lead/", {"name": "Oakvale", "contacts": [{"name": "Ida"}]}).json()
    contact_id = lead["contact_ids"][0]
    close.put(f"/lead/{lead['id']}/", {"status": "Trial"})
    change = close.get("/activity/status_change/lead/").json()["data"][0]
    me = close.get("/me/").json()
    for path in (
        "/lead/",
        f"/lead/{lead['id']}/",
        "/contact/",
        f"/contact/{contact_id}/",
        f"/activity/status_change/lead/{change['id']}/",
        "/user/",
        f"/user/{me['id']}/",
    ):
        assert close.get(path).status_code == 200
    assert close.put(f"/contact/{contact_id}/", {"title": "Founder"}).status_code == 200
    assert close.delete(f"/contact/{contact_id}/").json() == {}
    assert close.delete(f"/lead/{lead['id']}/").json() == {}
