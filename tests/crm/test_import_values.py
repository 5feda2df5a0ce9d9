"""Dates, numbers and flags as people and spreadsheets write them."""

import pytest

from crm.import_dates import AmbiguousDate, DateOrder, iso_date, without_midnight
from crm.import_fields import ColumnOptions
from crm.import_parts import Bad
from crm.import_values import custom_of, flag_of, whole_of
from crm.models import CustomField, FieldType

NUMBER = CustomField(type=FieldType.NUMBER)
USERS = CustomField(type=FieldType.USER, accepts_multiple_values=True)
TEXTS = CustomField(type=FieldType.TEXT, accepts_multiple_values=True)


@pytest.mark.parametrize(
    ("text", "order", "iso"),
    [
        ("2031-03-16", None, "2031-03-16"),
        (" 2031/3/6 ", None, "2031-03-06"),
        ("2031.3.6", None, "2031-03-06"),
        ("2031年3月6日", None, "2031-03-06"),
        ("2031年 3月 6日 9:30", None, "2031-03-06T09:30"),
        ("2031-03-16T09:30:00.123456+09:00", None, "2031-03-16T09:30:00.123456+09:00"),
        ("2031-03-16 9:30:05Z", None, "2031-03-16T09:30:05Z"),
        ("3/16/2031 9:30 PM", DateOrder.MONTH_FIRST, "2031-03-16T21:30"),
        ("3/16/2031 12:05 am", DateOrder.MONTH_FIRST, "2031-03-16T00:05"),
        ("16.3.2031", DateOrder.DAY_FIRST, "2031-03-16"),
        ("2031-03-16", DateOrder.DAY_FIRST, "2031-03-16"),
        # What is none of these is left for the field to refuse.
        ("16.3.31", DateOrder.DAY_FIRST, "16.3.31"),
        ("3/16/2031 13:30 PM", DateOrder.MONTH_FIRST, "3/16/2031 13:30 PM"),
        ("2031-03-16 soon", None, "2031-03-16 soon"),
        ("20310316", None, "20310316"),
    ],
)
def test_a_date_is_understood_however_it_is_written(text: str, order: DateOrder | None, iso: str) -> None:
    assert iso_date(text, order) == iso


def test_a_date_without_its_year_first_needs_an_order() -> None:
    with pytest.raises(AmbiguousDate):
        iso_date("3/4/2031", None)


@pytest.mark.parametrize(
    ("date", "day"),
    [("2031-03-16T00:00:00", "2031-03-16"), ("2031-03-16T00:00", "2031-03-16"), ("2031-03-16", "2031-03-16")],
)
def test_a_day_loses_the_midnight_of_a_spreadsheet_and_no_other_time(date: str, day: str) -> None:
    assert without_midnight(date) == day
    assert without_midnight("2031-03-16T00:01") == "2031-03-16T00:01"


@pytest.mark.parametrize(
    ("text", "number"),
    [("1,234", 1234), ("-1,234,567.5", -1234567.5), (" 12 ", 12), ("1e5", 1e5), (".5", 0.5), ("+3", 3), ("１２", 12)],
)
def test_commas_between_thousands_are_left_out(text: str, number: float) -> None:
    assert custom_of(NUMBER, text, ColumnOptions("")) == number


@pytest.mark.parametrize("text", ["12,5", "1,23", "1_000", "nan", "inf", "0x10", "1 000", "", "-", "9" * 51])
def test_what_may_mean_another_number_is_refused(text: str) -> None:
    with pytest.raises(Bad) as caught:
        custom_of(NUMBER, text, ColumnOptions(""))
    assert caught.value.code == "bad_number"
    with pytest.raises(Bad):
        whole_of(text)


def test_whole_numbers_end_where_the_column_does() -> None:
    assert (whole_of("2,147,483,647"), whole_of("-5")) == (2_147_483_647, -5)
    for text in ("2147483648", "1.0", "99999999999999"):
        with pytest.raises(Bad):
            whole_of(text)


@pytest.mark.parametrize(("text", "flag"), [("TRUE", True), ("はい", True), ("0", False), ("No", False)])
def test_flags_are_said_in_words(text: str, flag: bool) -> None:
    assert flag_of(text) is flag
    with pytest.raises(Bad):
        flag_of(f"{text}?")


def test_a_list_that_is_nested_too_deeply_is_refused() -> None:
    for field in (USERS, TEXTS):
        with pytest.raises(Bad, match="more than 50 lists"):
            custom_of(field, "[" * 900 + "]" * 900, ColumnOptions(""))


def test_only_a_separator_that_is_given_divides_what_may_hold_any_text() -> None:
    assert custom_of(TEXTS, "a; b", ColumnOptions("")) == "a; b"
    assert custom_of(TEXTS, "a; b;", ColumnOptions("", separator=";")) == ["a", "b"]
    assert custom_of(USERS, "Ida Ruiz, Bo Ek", ColumnOptions("", separator=",")) == ["Ida Ruiz", "Bo Ek"]
    assert custom_of(TEXTS, '["a;b"]', ColumnOptions("", separator=";")) == ["a;b"]
