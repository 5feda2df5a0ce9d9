"""The forms in which addresses and numbers are compared, and that every text has one that an index can hold."""

import pytest
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.django_db


def key(function: str, text: str | None) -> str | None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}(%s)", [text])
        return cursor.fetchone()[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ida@Oakvale.EXAMPLE", "ida@oakvale.example"),
        (" ida@x.example\r\n", "ida@x.example"),
        ("Straße@x.example", "strasse@x.example"),
        ("ΣΊΣΥΦΟΣ@x.example", "σίσυφοσ@x.example"),
        ("佐藤@例え.jp", "佐藤@例え.jp"),
        ("", None),
        ("  ", None),
        (None, None),
        ("a" * 250 + "@x.jp", None),
    ],
)
def test_the_key_of_an_address(text: str | None, expected: str | None) -> None:
    assert key("drover_email_key", text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("+81 90-1234-5678", "9012345678"),
        ("090-1234-5678", "9012345678"),
        ("０９０－１２３４－５６７８", "9012345678"),
        ("+14155550100;ext=123456", "4155550100"),
        ("4155550100", "4155550100"),
        ("415555010", None),
        ("no number", None),
        ("", None),
        (None, None),
    ],
)
def test_the_key_of_a_number(text: str | None, expected: str | None) -> None:
    assert key("drover_phone_key", text) == expected


@settings(max_examples=200)
@given(text=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_any_text_has_a_short_key_or_none(db: None, text: str) -> None:
    email, phone = key("drover_email_key", text), key("drover_phone_key", text)
    assert email is None or 0 < len(email) <= 3 * 254
    assert phone is None or (len(phone) == 10 and phone.isascii() and phone.isdigit())
    if email is not None and text.isascii():
        assert email == text.strip(" \t\r\n\f\v").casefold()
