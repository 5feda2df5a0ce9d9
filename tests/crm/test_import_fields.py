"""Columns of somebody's file, found among the custom fields of an organization."""

from collections.abc import Callable

import pytest

from bulk_actions.export_columns import _custom_header
from crm.import_fields import Fields
from crm.models import CustomField, Organization
from tests import factories

Make = Callable[[str, str], CustomField]


@pytest.fixture
def make(organization: Organization) -> Make:
    return lambda of, name: factories.CustomFieldFactory.create(organization=organization, object_type=of, name=name)


def said(field: CustomField) -> str:
    return f"{field.object_type}.custom.{field.key}"


def test_an_export_of_leads_means_the_fields_of_leads_whatever_contacts_have(
    organization: Organization, make: Make
) -> None:
    of_contacts, of_leads = make("contact", "Region"), make("lead", "Region")
    for records, field in (("leads", of_leads), ("contacts", of_contacts)):
        assert Fields(organization.pk, records).suggest(["custom.Region"]) == {"custom.Region": said(field)}
    both = Fields(organization.pk, "leads").suggest(["custom.Region", "Region"])
    assert both == {"custom.Region": said(of_leads), "Region": "address.state"}


def test_names_that_differ_in_case_alone_are_told_apart_and_a_single_one_needs_no_case(
    organization: Organization, make: Make
) -> None:
    small, large = make("lead", "size"), make("lead", "Size")
    for header in (["custom.Size", "custom.size"], ["custom.size", "custom.Size"]):
        found = Fields(organization.pk, "leads").suggest(header)
        assert found == {"custom.Size": said(large), "custom.size": said(small)}
    assert Fields(organization.pk, "leads").suggest(["SIZE", "Size"]) == {"Size": said(large), "SIZE": said(small)}
    small.delete()
    assert Fields(organization.pk, "leads").suggest(["custom.size"]) == {"custom.size": said(large)}


def test_a_name_may_begin_as_the_columns_of_exports_do(organization: Organization, make: Make) -> None:
    outer, inner = make("lead", "custom.Size"), make("lead", "Size")
    found = Fields(organization.pk, "leads").suggest(["custom.Size", "custom.custom.Size"])
    assert found == {"custom.Size": said(inner), "custom.custom.Size": said(outer)}


@pytest.mark.parametrize(
    "names",
    [
        ("Region", "region", "REGION"),
        ("Size", "custom.Size", "custom.custom.size"),
        ("Name", "Email", "企業名", "Ｎａｍｅ"),
    ],
)
def test_every_column_of_an_export_comes_back_into_its_own_field(
    organization: Organization, make: Make, names: tuple[str, ...]
) -> None:
    for name in names:
        make("contact", name)
    fields = {field.key: field for field in (make("lead", name) for name in names)}
    like_an_id = make("lead", f"cf_{next(iter(fields))}")
    fields[like_an_id.key] = like_an_id
    header = _custom_header(fields)
    found = Fields(organization.pk, "leads").suggest(list(header.values()))
    assert found == {header[key]: said(field) for key, field in fields.items()}
