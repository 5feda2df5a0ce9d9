"""`/custom_field/<object>/` and `/custom_field_schema/<object>/`."""

import pytest
from rest_framework.test import APIClient

from crm.ids import close_id
from crm.models import CustomField, Lead, Membership, Organization, Role, User
from tests import factories

FIELDS = "/api/v1/custom_field/lead/"
SCHEMA = "/api/v1/custom_field_schema/lead/"


def test_the_documented_body_makes_a_field(api: APIClient, organization: Organization, user: User) -> None:
    answer = api.post(
        FIELDS,
        {
            "name": "Origin",
            "type": "choices",
            "accepts_multiple_values": True,
            "choices": ["Spring fair", "Referral", "Web"],
        },
    )
    assert answer.status_code == 200
    made = answer.json()
    assert made == {
        "id": made["id"],
        "name": "Origin",
        "type": "choices",
        "accepts_multiple_values": True,
        "choices": ["Spring fair", "Referral", "Web"],
        "description": None,
        "editable_with_roles": [],
        "organization_id": close_id("orga", organization.pk),
        "created_by": close_id("user", user.pk),
        "updated_by": close_id("user", user.pk),
        "date_created": made["date_created"],
        "date_updated": made["date_updated"],
    }
    assert made["id"].startswith("cf_")


@pytest.mark.parametrize("object_type", ["lead", "contact", "opportunity"])
def test_a_field_is_made_fetched_changed_and_deleted(api: APIClient, object_type: str) -> None:
    fields = f"/api/v1/custom_field/{object_type}/"
    made = api.post(fields, {"name": "Origin", "type": "text"}).json()
    url = f"{fields}{made['id']}/"
    assert api.get(url).json() == made
    changed = api.put(url, {"name": "Source", "description": "Where from"})
    assert changed.status_code == 200
    assert {**changed.json(), "date_updated": None} == {
        **made,
        "name": "Source",
        "description": "Where from",
        "date_updated": None,
    }
    deleted = api.delete(url)
    assert (deleted.status_code, deleted.json()) == (200, {})
    assert api.get(url).status_code == 404


def test_fields_are_listed_in_pages(api: APIClient, organization: Organization) -> None:
    fields = [
        factories.CustomFieldFactory.create(organization=organization, position=position) for position in range(3)
    ]
    factories.CustomFieldFactory.create(organization=organization, object_type="contact")
    page = api.get(FIELDS, {"_limit": 2, "_fields": "id"}).json()
    assert page == {"data": [{"id": close_id("cf", field.pk)} for field in fields[:2]], "has_more": True}
    assert api.get(FIELDS, {"_skip": 2}).json()["has_more"] is False
    assert api.get(FIELDS, {"_limit": "many"}).status_code == 400


def test_the_old_plural_is_served_too(api: APIClient, organization: Organization) -> None:
    field = factories.CustomFieldFactory.create(organization=organization)
    assert len(api.get("/api/v1/custom_fields/lead/").json()["data"]) == 1
    assert api.get(f"/api/v1/custom_fields/lead/{close_id('cf', field.pk)}/").status_code == 200


def test_what_is_wrong_is_told_by_field(api: APIClient) -> None:
    answer = api.post(FIELDS, {"type": "colour", "description": "x" * 281})
    assert answer.status_code == 400
    assert set(answer.json()["field-errors"]) == {"name", "type", "description"}


def test_a_deleted_field_is_gone_from_the_leads(api: APIClient, organization: Organization) -> None:
    field = factories.CustomFieldFactory.create(organization=organization)
    lead = factories.LeadFactory.create(organization=organization, custom={field.key: "x"})
    api.delete(f"{FIELDS}{close_id('cf', field.pk)}/")
    assert Lead.objects.get(pk=lead.pk).custom == {}


def test_fields_of_others_or_of_another_object_do_not_exist(api: APIClient, organization: Organization) -> None:
    foreign = factories.CustomFieldFactory.create()
    of_contacts = factories.CustomFieldFactory.create(organization=organization, object_type="contact")
    for id_ in (close_id("cf", foreign.pk), close_id("cf", of_contacts.pk), "cf_x", "lcf_x"):
        url = f"{FIELDS}{id_}/"
        answers = api.get(url), api.put(url, {"name": "Mine"}), api.delete(url)
        assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert CustomField.objects.count() == 2


@pytest.mark.parametrize("path", ["custom_field/planet/", "custom_field/planet/cf_x/", "custom_field_schema/planet/"])
def test_an_unknown_object_is_an_unknown_address(api: APIClient, path: str) -> None:
    assert api.get(f"/api/v1/{path}").status_code == 404


def test_the_schema_gives_all_fields_and_takes_an_order(api: APIClient, organization: Organization) -> None:
    first, second = (
        factories.CustomFieldFactory.create(organization=organization, position=position) for position in range(2)
    )
    schema = api.get(SCHEMA).json()
    assert schema["object_type"] == "lead"
    assert [field["name"] for field in schema["fields"]] == [first.name, second.name]
    turned = api.put(SCHEMA, {"fields": [{"id": close_id("cf", second.pk)}]})
    assert turned.status_code == 200
    assert [field["name"] for field in turned.json()["fields"]] == [second.name, first.name]
    for wrong in ({}, {"fields": "x"}, {"fields": [7]}, {"fields": [{"id": "cf_x"}]}):
        assert api.put(SCHEMA, wrong).status_code == 400


def test_changes_need_the_permission(api: APIClient, membership: Membership, organization: Organization) -> None:
    field = factories.CustomFieldFactory.create(organization=organization)
    membership.role = Role.USER
    membership.save()
    url = f"{FIELDS}{close_id('cf', field.pk)}/"
    answers = (
        api.post(FIELDS, {"name": "x", "type": "text"}),
        api.put(url, {"name": "x"}),
        api.delete(url),
        api.put(SCHEMA, {"fields": []}),
    )
    assert [answer.status_code for answer in answers] == [403, 403, 403, 403]
    assert api.get(url).status_code == 200
