"""The helper that holds answers against the published shapes does find what is wrong."""

import re

import pytest
from django.urls import Resolver404, resolve

from config.home import PROJECT
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


def test_every_documented_operation_is_served_or_said_not_to_be() -> None:
    page = (PROJECT / "docs" / "api-compatibility.md").read_text()
    table = page.partition("## Operations of Close that are not here")[2].partition("\n## ")[0]
    said = tuple(path.removesuffix("...") for path in re.findall(r"`([^`]+)`", table))
    missing = []
    for template, methods in contract.operations():
        try:
            view = resolve("/api/v1" + re.sub(r"\{[^}]+\}", "lead", template)).func.view_class
        except Resolver404:
            if not re.sub(r"\{[^}]+\}", "{id}", template)[1:].startswith(said):
                missing.append(template)
        else:
            missing += [f"{method} {template}" for method in methods if not hasattr(view, method)]
    assert missing == []
