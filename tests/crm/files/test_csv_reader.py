"""Reading CSV."""

import codecs
import csv
import io
import tracemalloc

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from crm.files.opening import Options, open_table
from crm.files.problems import FileProblem
from crm.files.rows import Row, RowProblem
from tests.crm.files.helpers import cells_of, read, small_limits
from tests.crm.files.streams import OneLine


def problems_of(data: bytes, **given: object) -> list[tuple[int, int, str]]:
    rows = read(data, **given)[1]  # type: ignore[arg-type]
    return [(row.number, row.line, row.code) for row in rows if isinstance(row, RowProblem)]


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_all_delimiters_and_line_ends_are_read(delimiter: str, end: str) -> None:
    text = end.join(['name,"a;b|c\td"', '"x, y",2', '"say ""hi""",']).replace(",", delimiter)
    header, rows = read(text.encode())
    assert header == ("name", "a;b|c\td".replace(",", delimiter))
    assert [row.cells for row in rows if isinstance(row, Row)] == [(f"x{delimiter} y", "2"), ('say "hi"', "")]


def test_the_delimiter_is_that_of_the_header_whatever_the_data_hold() -> None:
    with open_table(io.BytesIO(b'"a,b,c";d\n"1,2,3,4",5\n6;7\n')) as table:
        assert (table.delimiter, table.header) == (";", ("a,b,c", "d"))
        assert [type(row) for row in table.rows()] == [RowProblem, Row]


def test_a_header_over_several_lines_is_read() -> None:
    header, rows = read(b'"first;\nname";"x,y,z,\n";"c"\n1;2;3\n')
    assert header == ("first;\nname", "x,y,z,", "c")
    assert rows == [Row(1, 4, ("1", "2", "3"))]


def test_a_row_has_the_line_where_it_begins() -> None:
    data = b'\n\na,b\r\n\r\n1,"x\r\ny\nz"\r\n,\r\n2,3\n\n4,"5\n6"'
    assert read(data)[1] == [
        Row(1, 5, ("1", "x\r\ny\nz")),
        Row(2, 9, ("2", "3")),
        Row(3, 11, ("4", "5\n6")),
    ]


def test_rows_are_taken_up_behind_any_row() -> None:
    data = b"a,b\n1,1\n2\n3,3\n4,4\n"
    with open_table(io.BytesIO(data)) as table:
        whole = list(table.rows())
        assert [row.number for row in whole] == [1, 2, 3, 4]
        assert [list(table.rows(after=number)) for number in range(6)] == [whole[number:] for number in range(6)]


def test_a_ragged_row_is_a_problem_of_its_own() -> None:
    header, rows = read(b"a,b,c\n1,2,3\n1,2\n1,2,3,4\n5,6,7\n")
    assert header == ("a", "b", "c")
    assert rows[1] == RowProblem(2, 3, "ragged_row", "The row has 2 cells, the header has 3.", None, None)
    assert rows[2] == RowProblem(3, 4, "ragged_row", "The row has 4 cells, the header has 3.", None, None)
    assert [row.cells for row in rows if isinstance(row, Row)] == [("1", "2", "3"), ("5", "6", "7")]


def test_unnamed_columns_at_the_end_are_left_out_unless_they_hold_something() -> None:
    header, rows = read(b"a,b,,\n1,2,,\n3,4,,x\n,,,\n5,6,,\n")
    assert header == ("a", "b")
    assert [row.cells for row in rows if isinstance(row, Row)] == [("1", "2"), ("5", "6")]
    assert problems_of(b"a,b,,\n1,2,,\n3,4,,x\n") == [(2, 3, "unnamed_column")]


def test_text_behind_a_closing_quote_is_a_problem_of_that_row_alone() -> None:
    data = b'a,b\n"x" y,1\n2,3\n"""",4\n'
    assert problems_of(data) == [(1, 2, "bad_quotes")]
    assert [row.cells for row in read(data)[1] if isinstance(row, Row)] == [("2", "3"), ('"', "4")]


def test_a_quote_that_is_never_closed_is_named_by_its_line() -> None:
    assert problems_of(b'a,b\n1,2\n3,"4\n5,6\n7,8\n') == [(2, 3, "open_quote")]


def test_a_quote_that_swallows_too_much_ends_the_file() -> None:
    data = b'a,b\n1,2\n3,"4\n' + b"5,6\n" * 1000
    with open_table(io.BytesIO(data), limits=small_limits(row_characters=1000)) as table:
        rows = table.rows()
        assert next(rows) == Row(1, 2, ("1", "2"))
        with pytest.raises(FileProblem, match="begins in line 3 has more than 1,000 characters") as caught:
            next(rows)
    assert caught.value.code == "row_too_long"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty_file"),
        (b"\n \n,,\n", "no_header"),
        (b"a,,b\n", "unnamed_column"),
        (b"a, b ,b\n", "duplicate_column"),
        (b'"a" b,c\n', "bad_quotes"),
        (b'"a,b\n1,2\n', "open_quote"),
        (b",".join(b"c%d" % number for number in range(2_000)) + b"\n", "too_many_columns"),
        (b"a,b\n1,\x00\n", "nul_character"),
        (b"a,b\n\x81\xff,\n", "unknown_encoding"),
        (b"a" * 400_001, "line_too_long"),
        (b"a" * 32_001 + b",b\n", "bad_column_name"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_before_its_first_row(data: bytes, code: str) -> None:
    with pytest.raises(FileProblem) as caught:
        open_table(io.BytesIO(data))
    assert caught.value.code == code


def test_limits_are_exact() -> None:
    limits = small_limits(cell_characters=5, rows=2, columns=2, row_characters=20, file_bytes=40)
    assert cells_of(b"a,b\n12345,x\n", limits=limits) == [("12345", "x")]
    assert problems_of(b"a,b\n123456,x\n", limits=limits) == [(1, 2, "cell_too_long")]
    assert cells_of(b"a\n" + b"x" * 5 + b"\n1\n", limits=limits) == [("xxxxx",), ("1",)]
    with pytest.raises(FileProblem, match="more than 2 rows"):
        read(b"a\n1\n2\n3\n", limits=limits)
    with pytest.raises(FileProblem, match="more than 2 columns"):
        read(b"a,b,c\n", limits=limits)
    with pytest.raises(FileProblem, match="41 bytes; 40 are allowed"):
        read(b"a\n" + b"x\n" * 19 + b"y", limits=limits)
    with pytest.raises(FileProblem, match="Line 2 has more than 20 characters"):
        read(b"a\n" + b"x" * 21 + b"\n", limits=limits)


def test_a_problem_names_the_column_and_shows_the_beginning_of_the_value() -> None:
    _, rows = read(b"a,b\n1," + b"x" * 500 + b"\n", limits=small_limits(cell_characters=400))
    assert rows == [RowProblem(1, 2, "cell_too_long", "The cell has more than 400 characters.", "b", "x" * 100)]


def test_guarded_texts_are_read_as_they_were_unless_the_file_is_raw() -> None:
    data = b"a,'=b\n'=1+1,''-x\n'plain,=2\n"
    assert read(data)[0] == ("a", "=b")
    assert cells_of(data) == [("=1+1", "'-x"), ("'plain", "=2")]
    assert cells_of(data, options=Options(raw=True)) == [("'=1+1", "''-x"), ("'plain", "=2")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp932"])
def test_japanese_files_are_read(encoding: str) -> None:
    data = '会社名,"住所"\r\n髙島屋,"東京\n日本橋"\r\n'.encode(encoding)
    assert read(data) == (("会社名", "住所"), [Row(1, 2, ("髙島屋", "東京\n日本橋"))])


CELL = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)


@given(st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(CELL, min_size=width, max_size=width), max_size=6)),
       st.sampled_from([",", "\t", ";", "|"]), st.sampled_from(["\r\n", "\n"]), st.booleans())  # fmt: skip
def test_what_the_csv_module_writes_is_read(rows: list[list[str]], delimiter: str, end: str, quoted: bool) -> None:
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    assume(rows)
    text = io.StringIO()
    writer = csv.writer(
        text, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL
    )
    writer.writerows([[f"c{place}" for place in range(len(rows[0]))], *rows])
    data = codecs.BOM_UTF8 + text.getvalue().encode()
    assume(quoted or "\r" not in "".join(map("".join, rows)) or end == "\r\n")  # unquoted it would end a row
    assert cells_of(data, options=Options(raw=True)) == [tuple(row) for row in rows]


@pytest.mark.parametrize("start", [b"", b"a,b\n1,2\n"], ids=["header", "row"])
def test_a_line_of_a_gigabyte_fails_early_in_flat_memory(start: bytes) -> None:
    stream = OneLine(start, 1_000_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(FileProblem) as caught:
            for _ in open_table(stream, limits=small_limits(file_bytes=2_000_000_000)).rows():
                pass
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.code == "line_too_long"
    assert stream.n_read < 5_000_000
    assert peak < 10_000_000
