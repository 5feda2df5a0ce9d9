"""Texts that a spreadsheet would take for formulas."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.files.formulas import TRIGGERS, guard, guard_phone, unguard

NEAR = st.text(st.sampled_from([*TRIGGERS, "'", "a", "1", " ", "会"]), max_size=6)


@pytest.mark.parametrize("trigger", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
def test_a_text_gets_a_quote_before_any_number_of_quotes_and_a_trigger(trigger: str) -> None:
    assert guard(f"{trigger}1") == f"'{trigger}1"
    assert guard(f"'{trigger}1") == f"''{trigger}1"
    assert guard(f"'''{trigger}") == f"''''{trigger}"


@pytest.mark.parametrize("text", ["", "'", "''", "'a", "a=1", " =1", "12", "会社", "'会=", "*1"])
def test_every_other_text_stays(text: str) -> None:
    assert guard(text) == unguard(text) == text


@given(st.one_of(NEAR, st.text()))
def test_what_was_guarded_can_be_taken_back(text: str) -> None:
    assert unguard(guard(text)) == text
    assert unguard(guard_phone(text)) == text
    assert guard(text)[:1] not in TRIGGERS


def test_a_phone_number_in_international_form_stays_as_it_is() -> None:
    assert guard_phone("+81312345678") == "+81312345678"
    for text in ("+81 3 1234", "+1-2", "+812345678+1", "+81312345678\n", "-1", "+1234567890123456"):
        assert guard_phone(text) == f"'{text}"
