"""Writes XLSX row by row. The rows wait in a temporary file: the archive takes them when they are complete."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from io import RawIOBase
from typing import BinaryIO

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ERROR_CODES
from openpyxl.worksheet._write_only import WriteOnlyWorksheet
from openpyxl.worksheet._writer import ALL_TEMP_FILES

from crm.files.encoders import Guard
from crm.files.problems import FileProblem
from crm.files.values import DateFormat, cell_text

SHEET = "Sheet"  # what each is called, with its number behind
ROWS_OF_A_SHEET = 1_048_576  # Excel's own limits
LONGEST_CELL = 32_767  # characters, of which Excel counts most emoji as two
_SHOWN_NAME = 100  # characters of a column's name
_EXACT = 10**15  # Excel keeps 15 digits
_FIRST_DAY = date(1900, 3, 1)  # before it Excel counts a day that never was
# What XML cannot hold, what it would read as a line feed, and what looks like one of these escapes (ST_Xstring).
_TO_ESCAPE = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")


def write_xlsx(
    out: BinaryIO | RawIOBase,
    header: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    dates: DateFormat,
    guard: Guard,
    rows_of_a_sheet: int = ROWS_OF_A_SHEET,
) -> int:
    """Writes the rows and says how many. Each sheet begins with the header; a full one is followed by another.

    With `DateFormat.EXCEL` dates are dates of the spreadsheet, else texts. Raises `FileProblem` at a cell too long.
    """
    book = Workbook(write_only=True)
    n_rows = 0
    try:
        sheet = _new_sheet(book, header, guard)
        for row in rows:
            if n_rows and n_rows % (rows_of_a_sheet - 1) == 0:
                sheet.close()
                sheet = _new_sheet(book, header, guard)
            n_rows += 1
            cells = zip(header, guard(row), strict=True)
            sheet.append([_cell(sheet, value, dates, n_rows, name) for name, value in cells])
        book.save(out)
    finally:
        _remove_temporary_files(book)
    return n_rows


def _new_sheet(book: Workbook, header: Sequence[str], guard: Guard) -> WriteOnlyWorksheet:
    sheet = book.create_sheet(f"{SHEET}{len(book.worksheets) + 1}")
    sheet.append([_cell(sheet, name, DateFormat.ORIGINAL, 0, name) for name in guard(header)])
    return sheet


def _cell(sheet: WriteOnlyWorksheet, value: object, dates: DateFormat, row: int, column: str) -> object:
    """What openpyxl is to write: never a formula, whatever the text is."""
    if value is None or isinstance(value, bool) or (isinstance(value, int) and abs(value) < _EXACT):
        return value
    if isinstance(value, float) or (isinstance(value, Decimal) and Decimal(repr(float(value))) == value):
        return _real_cell(sheet, float(value))
    if dates is DateFormat.EXCEL and isinstance(value, date | time) and _is_in_calendar(value):
        return value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) else value
    text = cell_text(value, dates)
    if len(text) > LONGEST_CELL // 2 and len(text.encode("utf-16-le")) > 2 * LONGEST_CELL:
        place = f"Row {row:,}, column {column[:_SHOWN_NAME]}"
        raise FileProblem("cell_too_long", f"{place}: a cell has no place for more than {LONGEST_CELL:,} characters.")
    escaped = _TO_ESCAPE.sub(lambda match: f"_x{ord(match[0]):04X}_", text)
    if escaped == text and not text.startswith("=") and text not in ERROR_CODES:
        return text
    # By the front door openpyxl would make a formula or an error of it, or cut it off behind so many characters.
    cell = WriteOnlyCell(sheet)
    cell._value, cell.data_type = escaped, "s"
    return cell


def _real_cell(sheet: WriteOnlyWorksheet, value: float) -> object:
    """A number with all of its digits, up to 17: openpyxl writes 16. A spreadsheet shows 15, and keeps them all."""
    if float(f"{value:.16g}") == value:
        return value
    cell = WriteOnlyCell(sheet)
    cell._value, cell.data_type = repr(value), "n"
    return cell


def _is_in_calendar(value: date | time) -> bool:
    if isinstance(value, time):
        return True
    return (value.date() if isinstance(value, datetime) else value) >= _FIRST_DAY


def _remove_temporary_files(book: Workbook) -> None:
    """Those that `save` did not come to: openpyxl would keep them until the process ends."""
    for sheet in book.worksheets:
        writer = sheet._writer
        if writer is not None and writer.out in ALL_TEMP_FILES:
            if not sheet.closed:
                sheet.close()
            writer.cleanup()
