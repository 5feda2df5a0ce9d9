"""Reading JSON Lines."""

import io
import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.files.opening import open_table
from crm.files.problems import FileProblem
from crm.files.rows import Cell, Row, RowProblem
from tests.crm.files.helpers import read, small_limits
from tests.crm.files.streams import OneLine


def nested(n: int) -> bytes:
    """A line with so many lists and objects inside of each other in `a`."""
    return b'{"a": ' + b'[{"a": ' * (n // 2) + (b"[]" if n % 2 else b"1") + b"}]" * (n // 2) + b"}"


def problem_of(line: bytes) -> RowProblem:
    """The problem of a line between two good ones."""
    _, rows = read(b'{"a": 1}\n' + line + b'\n{"a": 2}\n', format="jsonl")
    assert [type(row) for row in rows] == [Row, RowProblem, Row]
    assert isinstance(rows[1], RowProblem)
    assert (rows[1].number, rows[1].line) == (2, 2)
    return rows[1]


def test_as_much_as_any_row_needs_may_lie_inside_of_each_other() -> None:
    (row,) = read(nested(50), format="jsonl")[1]
    assert isinstance(row, Row)


def test_the_header_is_made_of_all_keys_in_the_order_of_their_appearance() -> None:
    header, rows = read(b'{"b": 1, "a": "x"}\r\n\n  \n{"c": [1, {"d": null}], "b": 2.5}\n{}', format="jsonl")
    assert header == ("b", "a", "c")
    assert rows == [
        Row(1, 1, (1, "x", None)),
        Row(2, 4, (2.5, None, [1, {"d": None}])),
        Row(3, 5, (None, None, None)),
    ]


@pytest.mark.parametrize(
    ("line", "code", "column"),
    [
        (b'{"a": 1', "not_json", None),
        (b"a,b", "not_json", None),
        (b"[" * 100_000, "too_deep", None),
        (nested(100_000), "too_deep", None),
        (nested(500), "too_deep", "a"),
        (nested(51), "too_deep", "a"),
        (b'["a"]', "not_an_object", None),
        (b"null", "not_an_object", None),
        (b'{"a": 1, "b": 2, "a": 3}', "duplicate_key", "a"),
        (b'{"b": {"c": 1, "c": 2}}', "duplicate_key", "c"),
        (b'{"a": 9223372036854775808}', "number_too_large", None),
        (b'{"a": -' + b"9" * 5_000 + b"}", "number_too_large", None),
        (b'{"a": 1e999}', "number_too_large", None),
        (b'{"a": NaN}', "not_a_number", None),
        (b'{"a": [-Infinity]}', "not_a_number", None),
        (b'{"a": "x\\u0000"}', "unstorable_text", None),
        (b'{"a": {"\\ud800": 1}}', "unstorable_text", None),
        (b'{"a": "' + b"x" * 32_001 + b'"}', "cell_too_long", "a"),
        (b'{"a": "' + b"x" * (1024 * 1024) + b'"}', "line_too_long", None),
        (b'{"a": ["' + "会".encode() * 360_000 + b'"]}', "line_too_long", None),
    ],
)
def test_a_bad_line_is_a_problem_of_its_own(line: bytes, code: str, column: str | None) -> None:
    problem = problem_of(line)
    assert (problem.code, problem.column) == (code, column)


def test_numbers_within_the_bounds_are_read() -> None:
    data = b'{"a": 9223372036854775807, "b": -9223372036854775808, "c": 1e308, "d": "\\ud83d\\ude00"}'
    assert read(data, format="jsonl")[1] == [Row(1, 1, (9223372036854775807, -9223372036854775808, 1e308, "😀"))]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\xff\xfe{\x00}\x00", "unknown_encoding"),
        (b'{"a": "\x83e"}\n', "unknown_encoding"),
        (b'{"a": 1}\n\0', "nul_character"),
        (b'{"a": 1, " a ": 2}\n', "duplicate_column"),
        (b'{"b": 1, "": 2}\n', "unnamed_column"),
        (b'{"b": 1, "\\ud800": 2}\n', "no_header"),
        (b"[]\n", "no_header"),
        (json.dumps({f"c{number}": number for number in range(2_000)}).encode(), "too_many_columns"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_before_its_first_row(data: bytes, code: str) -> None:
    with pytest.raises(FileProblem) as caught:
        open_table(io.BytesIO(data), format="jsonl")
    assert caught.value.code == code


def test_the_format_is_told_by_the_name_the_type_or_the_first_letter() -> None:
    data = b' {"a": 1}\n'
    assert open_table(io.BytesIO(data), "x.JSONL").format == "jsonl"
    assert open_table(io.BytesIO(data), "x.ndjson").format == "jsonl"
    assert open_table(io.BytesIO(data), content_type="application/x-ndjson; charset=utf-8").format == "jsonl"
    assert open_table(io.BytesIO(data.strip())).format == "jsonl"
    assert open_table(io.BytesIO(b"a,b\n"), "x.xls", content_type="application/vnd.ms-excel").format == "csv"


def test_a_line_of_a_gigabyte_is_passed_over_in_flat_memory() -> None:
    size = 200_000_000  # more would only take longer: every byte is read
    tracemalloc.start()
    try:
        with pytest.raises(FileProblem) as caught:
            open_table(OneLine(b"", size), format="jsonl", limits=small_limits(file_bytes=2_000_000_000))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.code == "no_header"
    assert peak < 10_000_000


PART = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63) + 1, 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
)
VALUE = st.recursive(PART, lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text("ab"), part, max_size=3))


@given(st.lists(st.tuples(VALUE, VALUE), min_size=1, max_size=5), st.booleans())
def test_what_json_can_say_is_read(rows: list[tuple[Cell, Cell]], is_ascii: bool) -> None:
    lines = [json.dumps({"a": row[0], "会社": row[1]}, ensure_ascii=is_ascii) for row in rows]
    _, found = read("\n".join(lines).encode(), format="jsonl")
    assert [row.cells for row in found if isinstance(row, Row)] == rows
