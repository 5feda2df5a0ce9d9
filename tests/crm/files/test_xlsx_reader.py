"""Reading XLSX."""

import io
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from datetime import date, datetime, time
from hashlib import sha512, shake_128
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook
from openpyxl.styles.numbers import STRIP_RE
from openpyxl.utils.datetime import CALENDAR_MAC_1904

from config.home import PROJECT
from crm.files import xlsx_numbers
from crm.files.opening import Options, open_table
from crm.files.problems import FileProblem
from crm.files.rows import Row, RowProblem
from tests.crm.files.helpers import cells_of, read, saved, sheet, small_limits

SHEET = "xl/worksheets/sheet1.xml"
STYLES = "xl/styles.xml"
RELATIONS = "xl/_rels/workbook.xml.rels"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def changed(data: bytes, change: Callable[[bytes], bytes], part: str = SHEET) -> bytes:
    """The same file with another text in one part."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            content = old.read(entry)
            new.writestr(entry.filename, change(content) if entry.filename == part else content)
    return out.getvalue()


def with_strings(data: bytes, strings: str) -> bytes:
    """The same file with this part of shared strings: openpyxl writes none."""
    relation = (
        b'<Relationship Id="s" Target="/xl/sharedStrings.xml" Type="http://schemas.openxmlformats.org/'
        b'officeDocument/2006/relationships/sharedStrings"/></Relationships>'
    )
    data = changed(data, lambda xml: xml.replace(b"</Relationships>", relation), RELATIONS)
    out = io.BytesIO(data)
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr("xl/sharedStrings.xml", strings)
    return out.getvalue()


def with_rows(rows: str) -> bytes:
    """A file with this XML inside of its `sheetData`."""
    content = f'<worksheet xmlns="{MAIN}"><dimension ref="A1"/><sheetData>{rows}</sheetData></worksheet>'
    return changed(sheet(["a"]), lambda _: content.encode())


def refusal(data: bytes, options: Options | None = None) -> FileProblem:
    with pytest.raises(FileProblem) as caught:
        open_table(io.BytesIO(data), options=options)
    return caught.value


def test_values_are_read_as_json_could_say_them() -> None:
    data = sheet(
        ["text", "number", "date", "moment", "time", "yes", "none"],
        ["x\ny 😀", 12, date(2026, 3, 1), datetime(2026, 3, 1, 9, 30), time(9, 30), True, None],
        ["", -2.5, date(1999, 12, 31), datetime(2026, 3, 1), time(0, 0, 1), False],
    )  # fmt: skip
    assert cells_of(data) == [
        ("x\ny 😀", 12, "2026-03-01", "2026-03-01T09:30:00", "09:30:00", True, ""),
        ("", -2.5, "1999-12-31", "2026-03-01T00:00:00", "00:00:01", False, ""),
    ]


@pytest.mark.parametrize(
    ("code", "value", "text"),
    [
        ("General", 46082, 46082),
        ("0.00", 46082.5, 46082.5),
        ("YYYY/MM/DD", 46082, "2026-03-01"),
        ('yyyy"年"m"月"d"日"', 46082.5, "2026-03-01"),
        ("[$-411]ggge.m.d", 46082, "2026-03-01"),
        ('"made in "0', 46082, 46082),
        ("mmm-yy", 46082, "2026-03-01"),
        ("[h]:mm", 1.5, "1 day, 12:00:00"),
        ("h:mm", 46082.25, "06:00:00"),
        ("yyyy-mm-dd", 10**9, 10**9),  # on no calendar
    ],
)
def test_the_style_says_whether_a_number_is_a_date(code: str, value: float, text: object) -> None:
    book = Workbook()
    cell = book.active.cell(2, 1, value)
    book.active.cell(1, 1, "a")
    cell.number_format = code
    assert cells_of(saved(book)) == [(text,)]


def with_styles(formats: list[str], uses: list[int]) -> bytes:
    """A file whose one number, 46082 (the first of March 2026), has the last of these cell formats."""
    codes = "".join(f'<numFmt numFmtId="{200 + place}" formatCode="{code}"/>' for place, code in enumerate(formats))
    cells = "".join(f'<xf numFmtId="{200 + place}"/>' for place in uses)
    styles = f'<styleSheet xmlns="{MAIN}"><numFmts>{codes}</numFmts><cellXfs>{cells}</cellXfs></styleSheet>'
    data = changed(sheet(["a"], [46082]), lambda _: styles.encode(), STYLES)
    return changed(data, lambda xml: xml.replace(b'r="A2"', b'r="A2" s="%d"' % (len(uses) - 1)))


def test_a_format_is_looked_at_once_and_a_long_one_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """What looks for dates takes time that grows with the square of the format's length."""
    looked_at: list[str] = []

    class Counted:
        def sub(self, by: str, text: str) -> str:
            looked_at.append(text)
            return STRIP_RE.sub(by, text)

    monkeypatch.setattr(xlsx_numbers, "STRIP_RE", Counted())
    longest = "yyyy-mm-dd" + "[" * 245
    assert cells_of(with_styles([longest], [0] * 20)) == [("2026-03-01",)]
    assert looked_at == [longest]
    assert cells_of(with_styles([longest + "["], [0] * 20)) == [(46082,)]
    assert looked_at == [longest]


def test_more_formats_than_anybody_makes_are_refused() -> None:
    assert cells_of(with_styles(["yyyy-mm-dd"] * 4_096, [4_095])) == [("2026-03-01",)]
    assert refusal(with_styles(["0"] * 4_097, [0])).code == "broken_file"


@pytest.mark.parametrize(
    ("number", "text"), [(31, "2026-03-01"), (58, "2026-03-01"), (33, "12:00:00"), (14, "2026-03-01")]
)
def test_formats_that_excel_of_east_asia_never_writes_down_are_known(number: int, text: str) -> None:
    book = Workbook()
    book.active.append(["a"])
    book.active.append([46082.5])
    book.active["A2"].number_format = "yyyy-mm-dd"
    data = changed(saved(book), lambda styles: styles.replace(b'numFmtId="164"', b'numFmtId="%d"' % number).replace(
        b'<numFmt numFmtId="%d"' % number, b'<numFmt numFmtId="999"'), "xl/styles.xml")  # fmt: skip
    assert cells_of(data) == [(text,)]


def test_dates_of_a_workbook_that_counts_from_1904_are_read() -> None:
    book = Workbook()
    book.epoch = CALENDAR_MAC_1904
    book.active.append(["a"])
    book.active.append([date(2026, 3, 1)])
    assert cells_of(saved(book)) == [("2026-03-01",)]


def test_a_formula_is_read_as_its_cached_value() -> None:
    rows = '<row r="1"><c r="A1" t="str"><v>a</v></c></row><row r="2"><c r="A2"><f>1+1</f><v>2</v></c></row>'
    rows += (
        '<row r="3"><c r="A3" t="str"><f>"x"&amp;"y"</f><v>xy</v></c></row><row r="4"><c r="A4"><f>NOW()</f></c></row>'
    )
    rows += '<row r="5"><c r="A5" t="e"><f>1/0</f><v>#DIV/0!</v></c></row>'
    assert cells_of(with_rows(rows)) == [(2,), ("xy",), ("#DIV/0!",)]


def test_shared_and_rich_texts_are_read_without_their_pronunciation() -> None:
    strings = (
        f'<sst xmlns="{MAIN}"><si><t>a</t></si><si><r><t>東</t></r><r><t xml:space="preserve">京 </t></r>'
        '<rPh sb="0" eb="1"><t>トウキョウ</t></rPh></si><si><t>x_x000D_y_x005F_x000D_</t></si></sst>'
    )
    rows = '<row><c t="s"><v>0</v></c></row><row><c t="s"><v>1</v></c></row><row><c t="s"><v>2</v></c></row>'
    prefixed = rows.replace("<", "<x:").replace("<x:/", "</x:")
    content = f'<x:worksheet xmlns:x="{MAIN}"><x:sheetData>{prefixed}</x:sheetData></x:worksheet>'
    data = with_strings(changed(sheet(["a"]), lambda _: content.encode()), strings)
    assert cells_of(data) == [("東京 ",), ("x\ry_x000D_",)]


def test_the_size_that_a_sheet_says_it_has_is_not_believed() -> None:
    data = sheet(["a", "b"], [1, 2], [3, 4])
    for dimension in (b"A1", b"A1:XFD1048576", b"B2:C1", b"x"):
        assert cells_of(changed(data, lambda xml, d=dimension: xml.replace(b"A1:B3", d))) == [(1, 2), (3, 4)]


def test_rows_have_the_line_of_the_sheet_and_blank_ones_are_passed_over() -> None:
    data = sheet([None], ["a", "b"], [None, " "], [1], [None, 2], [1, 2, None])
    assert read(data) == (("a", "b"), [Row(1, 4, (1, "")), Row(2, 5, ("", 2)), Row(3, 6, (1, 2))])
    assert read(data, after=2)[1] == [Row(3, 6, (1, 2))]


def test_a_cell_behind_the_header_is_a_problem_of_that_row() -> None:
    _, rows = read(sheet(["a", "b"], [1, 2, 3], [1, 2]))
    assert rows[0] == RowProblem(
        1, 2, "too_many_cells", "The row has a cell behind the last column of the header, 2.", None, None
    )
    assert rows[1] == Row(2, 3, (1, 2))


def test_problems_of_a_row_leave_the_others_alone() -> None:
    limits = small_limits(cell_characters=10, row_characters=20, columns=3)
    data = sheet(["a", "b", "c"], ["x" * 11], ["x" * 9, "x" * 9, "x" * 9], [1, 2, 3, 4], ["ok", "_x0000_"], ["ok"])
    _, rows = read(data, limits=limits)
    assert [row.code for row in rows if isinstance(row, RowProblem)] == [
        "cell_too_long", "row_too_long", "too_many_columns", "unstorable_text"
    ]  # fmt: skip
    assert rows[4] == Row(5, 6, ("ok", "", ""))


def test_the_first_visible_sheet_or_the_named_one_is_read() -> None:
    book = Workbook()
    book.active.title, book.active.sheet_state = "Hidden", "hidden"
    book.active.append(["h"])
    for title in ("Leads", "取引先"):
        book.create_sheet(title).append([title])
    data = saved(book)
    assert read(data)[0] == ("Leads",)
    assert read(data, options=Options(sheet="取引先"))[0] == ("取引先",)
    assert read(data, options=Options(sheet="Hidden"))[0] == ("h",)
    assert refusal(data, Options(sheet="None")).code == "no_sheet"


@pytest.mark.parametrize(
    ("sheets", "read_of"),
    [
        ([("Sheet1", "a"), ("Sheet2", "a"), ("Sheet3", "a")], [1, 2, 3]),
        ([("Sheet1", "a"), ("Sheet2", "b"), ("Sheet3", "a")], [1]),
        ([("Sheet1", "a"), ("Sheet3", "a")], [1]),
        ([("Sheet1", "a"), ("Notes", "a"), ("Sheet2", "a")], [1]),
        ([("Sheet1", "a"), ("Sheet2", None), ("Sheet3", "a")], [1]),
        ([("Jan", "a"), ("Feb", "a")], [1]),
        ([("Sheet2", "a"), ("Sheet3", "a")], [1]),
    ],
)
def test_a_sheet_goes_on_in_those_that_are_called_and_begin_as_in_exports(
    sheets: list[tuple[str, str | None]], read_of: list[int]
) -> None:
    book = Workbook()
    book.remove(book.active)
    for number, (title, name) in enumerate(sheets, start=1):
        page = book.create_sheet(title)
        if name is not None:
            page.append([name])
            page.append([number])
    assert cells_of(saved(book)) == [(number,) for number in read_of]
    assert cells_of(saved(book), options=Options(sheet=sheets[0][0])) == [(1,)]


def test_no_part_is_read_twice_however_often_it_is_listed() -> None:
    def again(xml: bytes) -> bytes:
        listed = xml[xml.index(b"<sheet ") : xml.index(b"</sheets>")]
        return xml.replace(listed, listed + listed.replace(b"Sheet1", b"Sheet2"))

    assert cells_of(changed(sheet(["a"], [1], title="Sheet1"), again, "xl/workbook.xml")) == [(1,)]


def test_the_rows_of_all_sheets_count() -> None:
    book = Workbook()
    book.remove(book.active)
    for title in ("Sheet1", "Sheet2"):
        for row in ("a", 1, 2):
            (book[title] if title in book else book.create_sheet(title)).append([row])
    assert len(cells_of(saved(book), limits=small_limits(rows=4))) == 4
    with pytest.raises(FileProblem) as caught:
        read(saved(book), limits=small_limits(rows=3))
    assert caught.value.code == "too_many_rows"


def test_guarded_texts_are_read_as_they_were_and_raw_ones_as_they_stand() -> None:
    data = sheet(["a"], ["'=1"], [-5])
    assert cells_of(data) == [("=1",), (-5,)]
    assert cells_of(data, options=Options(raw=True)) == [("'=1",), (-5,)]


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ("", "no_header"),
        ("<row><c><v>a</v></c><c/><c><v>b</v></c></row>", "unnamed_column"),
        ("<row><c><v>a</v></c><c><v>a</v></c></row>", "duplicate_column"),
        ("<row>" + "<c><v>a</v></c>" * 2_000 + "</row>", "too_many_columns"),
        ("<row><c><v>a</v></c>", "broken_file"),
        ('<row><c t="s"><v>7</v></c></row>', "broken_file"),
        ("<a>" * 100 + "</a>" * 100, "broken_file"),
        (f"<!-- {'x' * 2_000_000} -->", "zip_bomb"),
    ],
)
def test_a_sheet_that_cannot_be_read_is_refused_before_its_first_row(rows: str, code: str) -> None:
    assert refusal(with_rows(rows)).code == code


def test_a_tag_without_an_end_does_not_fill_the_memory() -> None:
    noise = "".join(f"{number:x}" for number in range(600_000))  # 2.9 MB that do not compress a hundredfold
    assert "more than 1 MB" in refusal(with_rows(f"<!-- {noise} -->")).message


@pytest.mark.parametrize(
    "part", [SHEET, "xl/workbook.xml", "xl/styles.xml", "xl/_rels/workbook.xml.rels", "_rels/.rels"]
)
@pytest.mark.parametrize(
    "declaration",
    [
        b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>',
        b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]>',
        b'<!DOCTYPE x SYSTEM "file:///etc/hostname">',
    ],
)
def test_a_document_type_is_refused_wherever_it_stands(part: str, declaration: bytes) -> None:
    def declare(xml: bytes) -> bytes:
        start, end, rest = xml.rpartition(b"?>") if xml.startswith(b"<?xml") else (b"", b"", xml)
        return start + end + declaration + rest

    assert refusal(changed(sheet(["a"], [1]), declare, part)).code == "forbidden_xml"


def archive(*parts: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name, content in parts:
            new.writestr(name, content)
    return out.getvalue()


def test_archives_that_would_fill_the_memory_are_refused_unopened() -> None:
    limits = small_limits(zip_entries=10, unzipped_bytes=20_000_000)
    many = archive(*((f"{number}", b"") for number in range(11)))
    dense = archive(("a", bytes(5_000_000)))
    large = archive(*((f"{number}", bytes(1_000_000)) for number in range(10)), ("x", bytes(10_000_001)))
    long_names = archive(*((f"{number}" + "x" * 60_000, b"") for number in range(9)))
    for data in (many, dense, large, long_names):
        with pytest.raises(FileProblem) as caught:
            open_table(io.BytesIO(data), limits=limits)
        assert caught.value.code == "zip_bomb"


def test_parts_that_share_their_bytes_are_refused() -> None:
    data = archive(("a", sha512(b"").digest() * 100), ("b", b""))
    end = data.rindex(b"PK\x05\x06")
    begin = int.from_bytes(data[end + 16 : end + 20], "little")
    first = data[begin : data.index(b"PK\x01\x02", begin + 1)]
    directory = first * 50  # fifty names for the same bytes
    counts = (50).to_bytes(2, "little") * 2 + len(directory).to_bytes(4, "little")
    assert refusal(data[:begin] + directory + data[end : end + 8] + counts + data[end + 16 :]).code == "zip_bomb"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"PK\x03\x04", "broken_file"),
        (b"PK\x03\x04" + b"\0" * 100, "broken_file"),
        (archive(("a", b"b")), "broken_file"),
        (sheet(["a"])[:-40], "broken_file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "unknown_format"),
        (
            changed(sheet(["a"]), lambda xml: xml.replace(b"t1.xml", b"t9.xml"), "xl/_rels/workbook.xml.rels"),
            "broken_file",
        ),
    ],
)
def test_what_is_no_xlsx_file_is_refused(data: bytes, code: str) -> None:
    assert refusal(data).code == code


@given(st.binary(max_size=300), st.integers(0, 3_000))
def test_no_broken_file_raises_anything_else(noise: bytes, place: int) -> None:
    data = sheet(["a", "b"], ["x", 1])
    broken = data[:place] + noise + data[place + len(noise) :]
    try:
        with open_table(io.BytesIO(broken), format="xlsx") as table:
            list(table.rows())
    except FileProblem:
        pass


def noise(n: int, length: int) -> Iterator[str]:
    """Texts of so many letters, a part of a file that does not grow a hundredfold unzipped."""
    letters = bytes.maketrans(bytes(range(256)), bytes(ord("A") + byte % 26 for byte in range(256)))
    for number in range(n):
        yield shake_128(b"%d" % number).digest(length).translate(letters).decode()


def peak_of_reading(data: bytes) -> int:
    tracemalloc.start()
    try:
        with open_table(io.BytesIO(data)) as table:
            assert sum(1 for _ in table.rows()) == 1
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("length", "n"), [(900, 5_000), (3, 100_000)])
def test_references_of_cells_are_not_remembered_whatever_they_are(length: int, n: int) -> None:
    cells = "".join(
        f'<row><c r="{name.lower() if place % 2 else name}"/></row>' for place, name in enumerate(noise(n, length))
    )
    rows = f'<row><c t="str"><v>a</v></c></row>{cells}<row><c><v>1</v></c></row>'
    assert peak_of_reading(with_rows(rows)) < 3_500_000


@pytest.mark.parametrize("reference", ["AAAA2", "A1B", "é2", "", "2", "ßß2"])
def test_a_cell_whose_reference_is_none_stands_behind_the_one_before(reference: str) -> None:
    header = '<row><c t="str"><v>a</v></c><c t="str"><v>b</v></c></row>'
    assert cells_of(with_rows(f'{header}<row><c r="A2"><v>1</v></c><c r="{reference}"><v>2</v></c></row>')) == [(1, 2)]


def test_what_a_workbook_lists_does_not_fill_the_memory() -> None:
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    names = list(noise(5_000, 900))
    others = "".join(f'<Relationship Id="{name}" Type="{kind}/theme" Target="{name}"/>' for name in names)
    formats = "".join(f'<numFmt numFmtId="{place}" formatCode="{name}"/>' for place, name in enumerate(names[:4_000]))
    data = sheet(["a"], [1])
    data = changed(data, lambda xml: xml.replace(b"<Relationship ", others.encode() + b"<Relationship ", 1), RELATIONS)
    data = changed(
        data, lambda xml: xml.replace(b"<numFmts", b"<numFmts>" + formats.encode() + b"</numFmts><x", 1), STYLES
    )
    sheets = "".join(f'<sheet name="{name}" state="hidden"/>' for name in names)
    data = changed(data, lambda xml: xml.replace(b"<sheets>", b"<sheets>" + sheets.encode(), 1), "xl/workbook.xml")
    assert peak_of_reading(data) < 3_500_000


def test_a_part_with_a_name_that_is_too_long_is_refused() -> None:
    data = changed(sheet(["a"]), lambda xml: xml.replace(b"sheet1.xml", b"x" * 300), RELATIONS)
    assert refusal(data).code == "broken_file"


# Not ru_maxrss: a child inherits that of the process that started it, which may be larger than all that it reads.
_READ_MANY = """
import sys
import django; django.setup()
from crm.files.opening import open_table
def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM:"))
before = peak()
with open_table(sys.argv[1]) as table:
    n = sum(1 for _ in table.rows())
print(n, peak() - before)
"""


def test_many_rows_with_texts_of_their_own_are_read_in_flat_memory(tmp_path: Path) -> None:
    n_rows = 100_000
    out = tmp_path / "many.xlsx"
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        with zipfile.ZipFile(io.BytesIO(with_strings(sheet(["a"]), ""))) as old:
            for entry in old.infolist():
                if entry.filename not in (SHEET, "xl/sharedStrings.xml"):
                    new.writestr(entry.filename, old.read(entry))
        with new.open("xl/sharedStrings.xml", "w") as strings:
            strings.write(f'<sst xmlns="{MAIN}">'.encode())
            for number in range(n_rows):
                strings.write(f"<si><t>{sha512(b'%d' % number).hexdigest() * 2}</t></si>".encode())
            strings.write(b"</sst>")
        with new.open(SHEET, "w") as rows:
            rows.write(f'<worksheet xmlns="{MAIN}"><sheetData>'.encode())
            for number in range(n_rows):
                rows.write(f'<row ht="{number}" r="{number + 1}"><c t="s"><v>{number}</v></c></row>'.encode())
            rows.write(b"</sheetData></worksheet>")
    done = subprocess.run(
        [sys.executable, "-c", _READ_MANY, str(out)], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    n_read, kilobytes = done.stdout.split()
    assert int(n_read) == n_rows - 1
    assert int(kilobytes) < 20_000  # the texts alone are 25 MB
