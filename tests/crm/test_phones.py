"""Telephone numbers: the short way for plain numbers says what the library says."""

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.phones import stored_phone


def by_the_library(text: str) -> str:
    try:
        number = phonenumbers.parse(text)
    except phonenumbers.NumberParseException:
        return text.strip()
    if not phonenumbers.is_possible_number(number):
        return text.strip()
    written = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return f"{written};ext={number.extension}" if number.extension else written


codes = st.sampled_from(sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE))
digits = st.text("0123456789", min_size=1, max_size=16)
signs = st.text("0123456789 +-.()/;x#＋０１", max_size=20)


@given(codes, digits)
def test_a_number_of_any_country_is_stored_as_the_library_writes_it(code: int, rest: str) -> None:
    assert stored_phone(f"+{code}{rest}") == by_the_library(f"+{code}{rest}")


@given(codes, st.lists(digits, min_size=1, max_size=4), st.sampled_from([" ", "-", ".", ") ", " (", "  "]))
def test_punctuation_changes_nothing_of_that(code: int, parts: list[str], between: str) -> None:
    text = f"+{code} {between.join(parts)}"
    assert stored_phone(text) == by_the_library(text)


@given(st.one_of(signs, st.text(max_size=20)))
def test_what_is_hardly_a_number_is_stored_as_the_library_writes_it(text: str) -> None:
    assert stored_phone(text) == by_the_library(text)


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("+1 (555) 010-0123", "+15550100123"),
        ("+81 090-1234-5678", "+819012345678"),  # the zero is for calls within Japan
        ("+39 06 698 1234", "+39066981234"),  # of Italian numbers it is a part
        ("+1 555 010 0123 ext. 7", "+15550100123;ext=7"),
        (" 03-1234-5678 ", "03-1234-5678"),
        ("tel:1234;phone-context=+81", "tel:1234;phone-context=+81"),
        ("+999 12345678", "+999 12345678"),
    ],
)
def test_numbers_are_stored_in_the_international_form_if_there_is_one(typed: str, stored: str) -> None:
    assert stored_phone(typed) == stored
