"""Cells of files that hold more than one value: how they are read, and what is wrong with them."""

import json

import pytest

from crm.countries import COUNTRIES
from crm.errors import FieldErrors
from crm.import_fields import Fields
from crm.import_parts import Bad, country_of, email_of, read_addresses, read_contacts, read_reaches
from crm.import_rows import ImportReader, RowFault
from crm.merging import Reach, Row
from crm.models import CustomField, FieldObject, LeadStatus
from crm.staged_rows import row_of
from tests import factories


@pytest.mark.parametrize(
    ("name", "cell", "found"),
    [
        ("emails", "a@x.example; b@x.example,c@x.example", ["a@x.example", "b@x.example", "c@x.example"]),
        ("emails", ["a@x.example"], ["a@x.example"]),
        ("phones", "+81 3 1234 5678, 0120-000-000\n", ["+81312345678", "0120-000-000"]),
        ("phones", '["(415) 555 0100 x5"]', ["(415) 555 0100 x5"]),
        ("phones", "+81312345678;ext=5;0120-000-000;ext=", ["+81312345678;ext=5", "0120-000-000;ext="]),
        ("urls", "https://a.example/?a=1,2;3\nhttps://b.example", ["https://a.example/?a=1,2;3", "https://b.example"]),
    ],
)
def test_a_list_is_json_or_a_text_with_separators(name: str, cell: object, found: list[str]) -> None:
    assert [one["text"] for one in read_reaches(name, cell)] == found


def test_objects_are_those_of_the_api_with_their_types() -> None:
    shown = [{"email": "a@x.example", "type": "home", "is_unsubscribed": False}, {"email": "b@x.example", "type": None}]
    found = read_reaches("emails", json.dumps(shown))
    assert found == [{"text": "a@x.example", "type": "home"}, {"text": "b@x.example", "type": "office"}]
    address = {"label": None, "city": "大阪市", "country": "日本", "tz_ids": []}
    assert read_addresses([address, {"city": " "}]) == [{"city": "大阪市", "country": "JP"}]


@pytest.mark.parametrize(
    ("read", "cell", "code"),
    [
        ("emails", "nobody", "bad_email"),
        ("emails", [{"mail": "a@x.example"}], "bad_list"),
        ("emails", [5], "bad_list"),
        ("emails", "[1", "bad_list"),
        ("emails", {"email": "a@x.example"}, "bad_list"),
        ("emails", "[" * 5000, "too_deep"),
        ("contacts", '[{"name":' + "[" * 900 + "]" * 900 + "}]", "too_deep"),
        ("phones", ["0" * 101], "bad_phone"),
        ("urls", ["https://x.example"] * 501, "bad_list"),
        ("addresses", "Main street 1", "bad_list"),
        ("addresses", [{"country": "Atlantis"}], "unknown_country"),
        ("addresses", [{"city": "x" * 32_001}], "too_long"),
        ("contacts", '["Ida"]', "bad_list"),
        ("contacts", [{"name": "Ida"}, {"emails": "nobody"}], "bad_email"),
    ],
)
def test_what_is_no_such_list_is_refused_with_its_code(read: str, cell: object, code: str) -> None:
    readers = {"addresses": read_addresses, "contacts": lambda cell: read_contacts(cell, {}, lambda *_: None)}
    with pytest.raises(Bad) as refused:
        readers.get(read, lambda cell: read_reaches(read, cell))(cell)
    assert refused.value.code == code


@pytest.mark.parametrize("cell", ['[{"email": "a@x.example", "type": "\\u0000"}]', '["\\ud800@x.example"]'])
def test_texts_that_cannot_be_stored_are_refused_inside_of_lists_too(cell: str) -> None:
    with pytest.raises((Bad, FieldErrors)):
        read_reaches("emails", cell)


@pytest.mark.parametrize(
    ("text", "code"), [("jp", "JP"), ("Japan", "JP"), ("日本", "JP"), ("the netherlands", "NL"), ("UK", "GB")]
)
def test_countries_are_known_by_code_and_by_name(text: str, code: str) -> None:
    assert country_of(text) == code
    assert all(len(one) == 2 and one.isupper() for one in COUNTRIES.values())
    with pytest.raises(Bad):
        country_of(f"{text} x")


def test_several_addresses_in_one_cell_are_told_where_they_belong() -> None:
    with pytest.raises(Bad, match=r"contact\.emails"):
        email_of("a@x.example; b@x.example")
    with pytest.raises(Bad, match="no email"):
        email_of("nobody")


@pytest.fixture
def fields(status: LeadStatus) -> dict[str, CustomField]:
    return {
        of: factories.CustomFieldFactory.create(organization=status.organization, object_type=of, name=f"{of} field")
        for of in (FieldObject.LEAD, FieldObject.CONTACT)
    }


def reader_of(status: LeadStatus, header: list[str]) -> tuple[ImportReader, dict[str, str]]:
    known = Fields(status.organization_id, "leads")
    mapping = known.suggest(header)
    return ImportReader(status.organization_id, known, header, mapping), mapping


def test_a_row_of_a_whole_lead_is_read(status: LeadStatus, fields: dict[str, CustomField]) -> None:
    header = ["name", "address_1", "country", "addresses", "contacts", "custom.lead field", "primary_email"]
    reader, mapping = reader_of(status, header)
    assert "primary_email" not in mapping, "it is one of `contacts`"
    contact = {
        "id": "cont_x", "first_name": "Ida", "last_name": "Ruiz", "emails": [{"email": "a@x.example"}],
        f"custom.cf_{fields['contact'].key}": "y", f"custom.cf_{fields['lead'].key}": "not of contacts",
    }  # fmt: skip
    read = reader.read(["Oakvale", "1-2-3", "jp", '[{"city": "Fir"}]', [contact], "x", {"email": "a@x.example"}])
    assert row_of(json.loads(json.dumps(read))) == Row(
        lead={"name": "Oakvale", "source_type": "import"},
        lead_custom={fields["lead"].key: "x"},
        address={"address_1": "1-2-3", "country": "JP"},
        addresses=[{"city": "Fir"}],
        contacts=[
            Row(
                contact={"first_name": "Ida", "last_name": "Ruiz", "name": "Ida Ruiz"},
                contact_custom={fields["contact"].key: "y"},
                emails=[Reach("a@x.example", "office")],
                phones=[],
                urls=[],
                contacts=[],
            )
        ],
        emails=[],
        phones=[],
        urls=[],
    )


def test_what_is_wrong_in_a_list_names_the_contact_and_the_column(status: LeadStatus) -> None:
    reader, _ = reader_of(status, ["name", "contacts"])
    read = reader.read(["Oakvale", '[{"name": "Ida"}, {"emails": ["nobody"]}]'])
    assert isinstance(read, RowFault)
    assert (read.code, read.column) == ("bad_email", "contacts")
    assert read.message.startswith("Contact 2: ")


def test_paragraphs_keep_their_blanks_and_texts_of_one_line_lose_them(status: LeadStatus) -> None:
    reader, _ = reader_of(status, ["name", "description", "city"])
    read = reader.read([" Oakvale ", " a\n", "\u3000大阪市"])
    assert isinstance(read, dict)
    assert (read["lead"]["name"], read["lead"]["description"], read["address"]) == (
        "Oakvale",
        " a\n",
        {"city": "大阪市"},
    )
