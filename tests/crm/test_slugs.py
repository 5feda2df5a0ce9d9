"""Slugs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.slugs import unique_slug


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("Bad Fit", "bad_fit"),
        ("  Won -- at last!  ", "won_at_last"),
        ("見込み 客", "見込み_客"),
        ("Größe", "größe"),
        ("ＡＢＣ", "abc"),
        ("!!!", "unnamed"),
        ("x" * 500, "x" * 60),
    ],
)
def test_a_slug_is_the_text_in_lower_case_with_underscores(text: str, slug: str) -> None:
    assert unique_slug(text, set()) == slug


def test_namesakes_are_numbered() -> None:
    assert unique_slug("Bad Fit", {"bad_fit"}) == "bad_fit_2"
    assert unique_slug("Bad Fit", {"bad_fit", "bad_fit_2"}) == "bad_fit_3"


@given(st.lists(st.text(max_size=8), max_size=20))
def test_slugs_are_unique_and_made_of_letters_digits_and_underscores(texts: list[str]) -> None:
    taken: set[str] = set()
    for text in texts:
        slug = unique_slug(text, taken)
        assert slug not in taken
        assert slug
        assert all(character.isalnum() or character == "_" for character in slug)
        taken.add(slug)
