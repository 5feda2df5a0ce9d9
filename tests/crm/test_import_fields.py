"""Columns of somebody's file, found among the custom fields of an organization."""

from collections.abc import Callable
from io import BytesIO
from unicodedata import normalize

import pytest

from bulk_actions.export_columns import _custom_header
from crm.files.opening import open_table
from crm.import_fields import Fields
from crm.import_parts import plain_text
from crm.import_rows import ImportReader
from crm.models import CustomField, FieldType, LeadStatus, Organization
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


def apart(text: str) -> str:
    """As macOS writes it: letters and their marks taken apart."""
    assert normalize("NFD", text) != text
    return normalize("NFD", text)


def test_names_are_found_whether_letters_and_marks_are_taken_apart_or_not(status: LeadStatus, make: Make) -> None:
    organization = status.organization
    factories.LeadStatusFactory.create(organization=organization, label="Gewählt")
    owner = factories.UserFactory.create(first_name="Zoë", last_name="Åberg")
    factories.MembershipFactory.create(organization=organization, user=owner)
    field = make("lead", apart("Größe"))
    field.type, field.choices, field.accepts_multiple_values = FieldType.CHOICES, [apart("müde"), "が"], True
    field.save()
    text = apart("Name,Status,Owner,Größe\nA,GEWÄHLT,Zoë Åberg,が;müde\n")
    with open_table(BytesIO(text.encode())) as table:
        [row] = table.rows()
    fields = Fields(organization.pk, "leads")
    mapping = fields.suggest(table.header)
    assert mapping["Größe"] == said(field)
    assert fields.read(table.header, {apart("Größe"): said(field)}) == {"Größe": said(field)}
    read = ImportReader(organization.pk, fields, table.header, mapping).read(row.cells)
    assert isinstance(read, dict), read
    assert (read["lead"]["owner_id"], read["lead_custom"]) == (str(owner.pk), {field.key: ["が", apart("müde")]})
    assert read["lead"]["status_id"] != str(status.pk)


def test_a_name_of_a_field_and_the_same_taken_apart_are_two_columns(organization: Organization, make: Make) -> None:
    fields = {field.key: field for field in (make("lead", "Größe"), make("lead", apart("Größe")))}
    header = list(_custom_header(fields).values())
    assert list(Fields(organization.pk, "leads").suggest(header).values()) == [said(field) for field in fields.values()]


def test_texts_stay_as_they_were_written() -> None:
    assert plain_text("lead.name", apart("Größe")) == apart("Größe")
