"""Physical lines out of pieces of text."""

import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from crm.files.lines import physical_lines

TEXT = st.text(st.sampled_from(["a", "é", "\r", "\n", "\u2028", "\x0b"]), max_size=40)


@given(TEXT, st.lists(st.integers(0, 40), max_size=6))
def test_lines_do_not_depend_on_where_the_pieces_end(text: str, cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(text)]
    pieces = [text[begin:end] for begin, end in pairwise(places)]
    whole = re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z", text)
    assert list(physical_lines(pieces, 100)) == list(enumerate(whole, start=1))


@given(TEXT, st.lists(st.integers(0, 40), max_size=6), st.integers(1, 8))
def test_a_line_that_is_too_long_is_told_and_the_others_stay(text: str, cuts: list[int], longest: int) -> None:
    places = [0, *sorted(cuts), len(text)]
    pieces = [text[begin:end] for begin, end in pairwise(places)]
    whole = re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z", text)
    wanted = [None if len(line) > longest else line for line in whole]
    assert [line for _, line in physical_lines(pieces, longest)] == wanted
