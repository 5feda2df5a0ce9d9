"""Writing tables, and reading them again."""

import gzip
import io
import json
import tracemalloc
from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from openpyxl import load_workbook
from openpyxl.worksheet._writer import ALL_TEMP_FILES

from crm.files.encoders import CsvEncoder, Guard, JsonEncoder, JsonlEncoder
from crm.files.opening import Options
from crm.files.problems import FileProblem
from crm.files.values import DateFormat
from crm.files.writing import write_table
from crm.files.xlsx_writer import write_xlsx
from tests.crm.files.helpers import cells_of, read

TOKYO = timezone(timedelta(hours=9))
DATES = [[date(2026, 3, 1), datetime(2026, 3, 1, 11, 0, 0, 500_000, TOKYO)]]


def written(format: str, header: list[str], rows: list[list[object]], **options: object) -> bytes:
    out = io.BytesIO()
    assert write_table(out, format, header, rows, **options) == len(rows)  # type: ignore[arg-type]
    return out.getvalue()


def test_csv_has_crlf_and_quotes_where_they_are_needed() -> None:
    rows = [
        ["a", 'say "hi"', "x,y"],
        [None, "", "two\nlines"],
        [True, -12.5, Decimal("1E+2")],
        [["a"], {"é": None}, 7],
    ]
    assert written("csv", ["x", "y, z", "会社"], rows).decode() == (
        'x,"y, z",会社\r\na,"say ""hi""","x,y"\r\n,,"two\nlines"\r\ntrue,-12.5,100\r\n"[""a""]","{""é"": null}",7\r\n'
    )
    assert written("csv", ["x"], [[None]]) == b'x\r\n""\r\n'
    assert written("csv", ["x"], [], mark=True) == b"\xef\xbb\xbfx\r\n"


def test_formulas_are_guarded_and_quoted_and_numbers_are_not() -> None:
    rows = [["=1+1", "a", -1], ["plain", "+81312345678", 2], ["x", "+1+1", 3]]
    assert written("csv", ["@x", "phone", "n"], rows, phones=[1]).decode().split("\r\n") == [
        '"\'@x","phone","n"', '"\'=1+1","a","-1"', "plain,+81312345678,2", '"x","\'+1+1","3"', ""
    ]  # fmt: skip
    assert (
        written("csv", ["@x", "p", "n"], rows, raw=True)
        == b"@x,p,n\r\n=1+1,a,-1\r\nplain,+81312345678,2\r\nx,+1+1,3\r\n"
    )
    assert json.loads(written("json", ["@x"], [["=1"]])) == [{"@x": "=1"}]


@pytest.mark.parametrize(
    ("dates", "text"),
    [
        (DateFormat.ORIGINAL, "2026-03-01,2026-03-01T02:00:00.500000+00:00"),
        (DateFormat.ISO8601, "2026-03-01,2026-03-01T02:00:00.500000Z"),
        (DateFormat.EXCEL, "2026-03-01,2026-03-01 02:00:00"),
    ],
)
def test_dates_are_written_in_utc_in_the_format_asked_for(dates: DateFormat, text: str) -> None:
    assert written("csv", ["d", "m"], DATES, dates=dates).decode() == f"d,m\r\n{text}\r\n"
    assert list(json.loads(written("jsonl", ["d", "m"], DATES, dates=dates)).values()) == text.split(",")


def test_dates_for_spreadsheets_are_dates_in_xlsx() -> None:
    data = written("xlsx", ["d", "m"], [*DATES, [date(1850, 1, 1), None]], dates=DateFormat.EXCEL)
    rows = list(load_workbook(io.BytesIO(data)).active.values)
    assert rows[1] == (datetime(2026, 3, 1), datetime(2026, 3, 1, 2, 0, 0, 500_000))
    assert rows[2] == ("1850-01-01", None)
    assert cells_of(data)[0] == ("2026-03-01", "2026-03-01T02:00:00.500000")
    assert cells_of(written("xlsx", ["d", "m"], DATES)) == [("2026-03-01", "2026-03-01T02:00:00.500000+00:00")]


def test_json_is_one_array_and_jsonl_a_line_for_each_row() -> None:
    rows = [["x\n", 1, Decimal("1.5")], [None, [{"b": True}], Decimal("2.0")]]
    wanted = [{"a": "x\n", "会社": 1, "c": 1.5}, {"a": None, "会社": [{"b": True}], "c": 2}]
    assert json.loads(written("json", ["a", "会社", "c"], rows)) == wanted
    lines = written("jsonl", ["a", "会社", "c"], rows).decode().split("\n")
    assert [json.loads(line) for line in lines[:-1]] == wanted
    assert lines[-1] == ""
    assert json.loads(written("json", ["a"], [])) == []


def test_rows_may_be_encoded_by_and_by() -> None:
    header, rows = ["a", "b"], [[number, f"x{number}"] for number in range(1_201)]
    for format, encoder in (
        ("csv", CsvEncoder(header)),
        ("jsonl", JsonlEncoder(header)),
        ("json", JsonEncoder(header)),
    ):
        parts = [encoder.start(), *encoder.encode(rows[:700]), *encoder.encode(rows[700:]), encoder.end()]
        assert b"".join(parts) == written(format, header, rows)


def test_the_first_bytes_come_before_the_last_rows_are_asked_for() -> None:
    def rows() -> Iterator[list[object]]:
        yield from ([number] for number in range(1_000))
        raise AssertionError("asked for too early")

    assert next(CsvEncoder(["a"]).encode(rows())).startswith(b"0\r\n1\r\n")


@pytest.mark.parametrize("format", ["csv", "json", "jsonl"])
def test_gzip_is_the_same_bytes_for_the_same_rows(format: str) -> None:
    rows: list[list[object]] = [[number, "会社"] for number in range(2_000)]
    data = written(format, ["a", "b"], rows, compressed=True)
    assert gzip.decompress(data) == written(format, ["a", "b"], rows)
    assert data == written(format, ["a", "b"], rows, compressed=True)


def test_texts_in_xlsx_are_never_formulas_nor_errors_nor_cut() -> None:
    row = ["=1+1", "#N/A", "'=x", "_x000D_", "a\r\nb\x0b", " x ", "\r" * 32_000, 10**15, 12.5, True, None]
    header = [f"c{place}" for place in range(len(row))]
    data = written("xlsx", header, [row], raw=True)
    cells = next(load_workbook(io.BytesIO(data)).active.iter_rows(min_row=2))
    assert [cell.data_type for cell in cells[:8]] == ["s"] * 7 + ["s"]
    limits_off = cells_of(data, options=Options(raw=True))
    assert limits_off == [
        ("=1+1", "#N/A", "'=x", "_x000D_", "a\r\nb\x0b", " x ", "\r" * 32_000, str(10**15), 12.5, True, "")
    ]


@given(
    st.floats(allow_nan=False, allow_infinity=False)
    | st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30, places=12)
)
@example(123456789.12345678)
@example(0.30000000000000004)
@example(Decimal("0.1"))
@example(Decimal("12345678901234567890.123"))
def test_no_number_is_altered_in_xlsx(number: float | Decimal) -> None:
    [(found,)] = cells_of(written("xlsx", ["a"], [[number]]))
    assert Decimal(found if isinstance(found, str) else repr(found)) == (
        number if isinstance(number, Decimal) else Decimal(repr(number))
    )


def test_a_number_that_a_spreadsheet_can_hold_is_one_however_many_digits_it_has() -> None:
    data = written("xlsx", ["a", "b"], [[0.30000000000000004, Decimal("12345678901234567.1")]])
    real, decimal = next(load_workbook(io.BytesIO(data)).active.iter_rows(min_row=2))
    assert (real.data_type, real.value, decimal.data_type) == ("n", 0.30000000000000004, "s")


def test_a_full_sheet_is_followed_by_another_with_the_same_header() -> None:
    out = io.BytesIO()
    rows = ([number] for number in range(5))
    assert write_xlsx(out, ["a"], rows, dates=DateFormat.ORIGINAL, guard=Guard(), rows_of_a_sheet=3) == 5
    book = load_workbook(out)
    assert [[row[0] for row in sheet.values] for sheet in book.worksheets] == [["a", 0, 1], ["a", 2, 3], ["a", 4]]
    assert cells_of(out.getvalue(), options=Options(sheet="Sheet2")) == [(2,), (3,)]
    assert cells_of(out.getvalue()) == [(0,), (1,), (2,), (3,), (4,)]
    assert [row.number for row in read(out.getvalue(), after=2)[1]] == [3, 4, 5]


def test_a_text_too_long_for_xlsx_is_refused_and_leaves_no_files() -> None:
    before = list(ALL_TEMP_FILES)
    most = [["x" * 32_767, "😀" * 16_383]]
    for longer in (["x" * 32_768, ""], ["", "😀" * 16_384]):
        with pytest.raises(FileProblem, match=f"Row 2, column {'b' if longer[1] else 'a'}: .* more than 32,767"):
            written("xlsx", ["a", "b"], [*most, longer])
    assert before == ALL_TEMP_FILES
    assert load_workbook(io.BytesIO(written("xlsx", ["a", "b"], most))).active["B2"].value == most[0][1]


class Forward(io.RawIOBase):
    """A stream that cannot go back, as that of an object store."""

    def __init__(self) -> None:
        self.written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:
        self.written += data
        return len(data)


@pytest.mark.parametrize("format", ["csv", "jsonl", "xlsx"])
def test_a_file_is_written_without_going_back(format: str) -> None:
    out, rows = Forward(), [[f"{number}", "会社"] for number in range(3_000)]
    assert write_table(out, format, ["a", "b"], rows) == 3_000
    assert [list(cells) for cells in cells_of(bytes(out.written), format=format)] == rows


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=10)
HARD_PARTS = ("'", "=", "＋", '"', ",", ";", "\r", "\n", "\t", " ", "_x000D_", "😀", "会", "\ufeff", "\x1f")
HARD = st.lists(st.sampled_from(HARD_PARTS), max_size=5).map("".join)
ROWS = st.lists(st.tuples(TEXT | HARD, TEXT | HARD, st.just("end")), max_size=5)


@given(ROWS, st.sampled_from(["csv", "xlsx", "jsonl"]), st.booleans(), st.booleans())
def test_any_text_that_is_written_is_read_again(
    rows: list[tuple[str, str, str]], format: str, raw: bool, mark: bool
) -> None:
    header = ["a", "=b", "c"]
    data = written(format, header, [list(row) for row in rows], raw=raw, mark=mark)
    if rows or format != "jsonl":
        assert read(data, format=format, options=Options(raw=raw))[0] == tuple(header)
        assert cells_of(data, format=format, options=Options(raw=raw)) == rows


@pytest.mark.parametrize("format", ["csv", "json", "jsonl", "xlsx"])
def test_many_rows_are_written_in_flat_memory(format: str, tmp_path: Path) -> None:
    rows = ([number, f"text {number}" * 10, None] for number in range(20_000))
    with (tmp_path / "out").open("wb") as out:
        tracemalloc.start()
        try:
            write_table(out, format, ["a", "b", "c"], rows, compressed=True)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 3_000_000
