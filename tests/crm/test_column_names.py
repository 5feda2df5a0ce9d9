"""Columns of somebody's file, understood by their names."""

import pytest

from crm import column_names
from crm.column_names import FIELDS, suggest
from crm.merging.rows import CONTACT_COLUMNS, LEAD_COLUMNS


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("Company Name", "lead.name"),
        ("会社名", "lead.name"),
        ("E-Mail", "contact.email"),
        ("Ｅｍａｉｌ", "contact.email"),
        ("メール・アドレス", "contact.email"),
        ("ﾒｰﾙｱﾄﾞﾚｽ", "contact.email"),
        ("company_email", "lead.email"),
        ("TEL", "contact.phone"),
        ("電話番号", "contact.phone"),
        ("代表電話", "lead.phone"),
        ("郵便番号", "address.zipcode"),
        ("役職", "contact.title"),
        ("lead.url", "lead.url"),
        ("contact_external_id", "contact.external_id"),
    ],
)
def test_a_column_is_understood_whatever_case_width_and_punctuation_its_name_has(name: str, field: str) -> None:
    assert suggest([name]) == {0: field}


@pytest.mark.parametrize("name", ["", "!!!", "〒", "Favourite colour", "好きな色"])
def test_a_name_that_means_nothing_is_left_alone(name: str) -> None:
    assert suggest([name]) == {}


def test_a_field_is_found_once_and_the_first_column_has_it() -> None:
    assert suggest(["会社名", "x", "Company", "Account"]) == {0: "lead.name"}


def test_a_second_address_or_number_is_a_further_one_unless_another_column_has_those() -> None:
    header = ["Email", "Phone", "Mobile Phone", "Fax", "Personal Email", "Work Email"]
    assert suggest(header) == {
        0: "contact.email", 1: "contact.phone", 2: "contact.phones", 4: "contact.emails"
    }  # fmt: skip
    assert suggest(["Phone", "Mobile", "Other phones"]) == {0: "contact.phone", 2: "contact.phones"}


@pytest.mark.parametrize("name", ["Source", "Lead Source", "Lifecycle Stage", "流入元"])
def test_what_takes_few_words_is_not_found_under_names_of_columns_that_hold_any(name: str) -> None:
    assert suggest([name]) == {}


def test_exports_of_others_are_understood() -> None:
    """Columns of contacts as HubSpot has them, and of accounts as Salesforce has them."""
    header = ["First Name", "Last Name", "Email", "Phone Number", "Contact owner", "Associated Company", "Job Title"]
    assert list(suggest(header).values()) == [
        "contact.first_name", "contact.last_name", "contact.email", "contact.phone", "lead.owner", "lead.name",
        "contact.title",
    ]  # fmt: skip
    header = ["Account Name", "Billing Street", "Billing City", "Billing State/Province", "Billing Zip/Postal Code"]
    assert list(suggest(header).values()) == [
        "lead.name", "address.address_1", "address.city", "address.state", "address.zipcode"
    ]  # fmt: skip


def test_what_belongs_to_the_record_itself_depends_on_the_records() -> None:
    header = ["ID", "Name", "備考", "会社名"]
    assert suggest(header) == {0: "lead.id", 1: "lead.name", 2: "lead.description"}
    assert suggest(header, "contacts") == {0: "contact.id", 1: "contact.name", 2: "contact.note", 3: "lead.name"}


def test_every_field_is_known_by_its_own_name() -> None:
    assert suggest(FIELDS) == dict(enumerate(FIELDS))


def test_no_name_means_two_fields() -> None:
    names = [
        (column_names._plain(name), field) for field, names in column_names._NAMES.items() for name in (*names, field)
    ]
    meanings: dict[str, set[str]] = {}
    for name, field in names:
        meanings.setdefault(name, set()).add(field)
    assert {name: fields for name, fields in meanings.items() if len(fields) > 1} == {}


def test_all_that_a_row_can_bring_to_a_record_has_a_name() -> None:
    stored = {f"lead.{column}" for column in LEAD_COLUMNS} | {f"contact.{column}" for column in CONTACT_COLUMNS}
    named = {{"lead.status": "lead.status_id", "lead.owner": "lead.owner_id"}.get(field, field) for field in FIELDS}
    assert stored - named == {"contact.lead_id"}  # that is `lead.id`
