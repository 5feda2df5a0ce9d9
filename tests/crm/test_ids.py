"""The spellings of a key."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.ids import base62, close_id, from_base62, hex_id, parse_close_id, parse_hex_id, parse_uuid


@given(st.uuids())
def test_a_key_comes_back_from_its_spelling(key: UUID) -> None:
    assert from_base62(base62(key)) == key
    assert parse_close_id("lead", close_id("lead", key)) == key


@given(st.uuids(), st.uuids())
def test_spellings_sort_as_the_keys_do(first: UUID, second: UUID) -> None:
    assert (base62(first) < base62(second)) == (first < second)


@given(st.text())
def test_any_other_text_is_an_unknown_id(text: str) -> None:
    key = parse_close_id("lead", text)
    assert key is None or close_id("lead", key) == text


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        ["lead_" + "0" * 22],
        "",
        "lead",
        "lead_",
        "cont_" + "0" * 22,
        "lead_" + "0" * 21,
        "lead_" + "0" * 43,
        "lead_" + "z" * 22,  # beyond 128 bits
        "lead_" + "٣" * 22,  # digits, but not ours
        "lead_" + "0" * 21 + "\n",
    ],
)
def test_what_has_another_form_is_no_key(value: object) -> None:
    assert parse_close_id("lead", value) is None


@given(st.uuids())
def test_every_dialect_reads_its_own_spelling(key: UUID) -> None:
    assert parse_hex_id("deal", hex_id("deal", key)) == key
    assert parse_uuid(str(key)) == parse_uuid(str(key).upper()) == key


@pytest.mark.parametrize(
    "value",
    [None, 7, "", "deal_", "deal_" + "0" * 31, "deal_" + "0" * 33, "cont_" + "0" * 32, "deal_" + "A" * 32,
     "deal_" + "٣" * 32, "deal_" + "0" * 32 + "\n", "00000000-0000-0000-0000-000000000000"],
)  # fmt: skip
def test_what_has_another_form_is_no_hex_id(value: object) -> None:
    assert parse_hex_id("deal", value) is None


@pytest.mark.parametrize(
    "value",
    [None, 7, "", "0" * 32, "{00000000-0000-0000-0000-000000000000}", "urn:uuid:00000000-0000-0000-0000-000000000000",
     "00000000-0000-0000-0000-00000000000٣", "00000000-0000-0000-0000-000000000000\n"],
)  # fmt: skip
def test_what_has_another_form_is_no_uuid(value: object) -> None:
    assert parse_uuid(value) is None
