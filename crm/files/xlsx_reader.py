"""Reads one sheet of an XLSX file: the first visible one, or that with a given name. Macros are not looked at.

The first one goes on in those behind it where they are called and begin as our exports have them: Sheet1, Sheet2, …,
each with the same header.
"""

from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing
from datetime import datetime
from typing import BinaryIO
from zipfile import ZipFile

from openpyxl.utils.datetime import MAC_EPOCH, WINDOWS_EPOCH

from crm.files.formulas import unguard
from crm.files.limits import Limits
from crm.files.problems import FileProblem
from crm.files.rows import Bad, Cell, named_columns
from crm.files.xlsx_numbers import Meaning, cell_formats
from crm.files.xlsx_package import broken_zip_refused, elements_of, open_package, related_parts
from crm.files.xlsx_sheet import sheet_rows
from crm.files.xlsx_strings import SharedStrings
from crm.files.xlsx_writer import SHEET


class XlsxReader:
    format = "xlsx"
    encoding = None
    delimiter = None

    def __init__(self, stream: BinaryIO, sheet: str | None, limits: Limits, *, raw: bool) -> None:
        """Reads all but the rows. Raises `FileProblem`."""
        self._limits, self._raw = limits, raw
        with ExitStack() as opened, broken_zip_refused():
            self._archive = opened.enter_context(open_package(stream, limits))
            workbook = _part_of_kind(related_parts(self._archive, ""), "officeDocument")
            if workbook is None:
                raise FileProblem("broken_file", "The file is a ZIP archive, but no XLSX file.")
            parts = related_parts(self._archive, workbook)
            self._sheets, self._epoch = _find_sheets(self._archive, workbook, parts, sheet)
            self._formats = _formats(self._archive, _part_of_kind(parts, "styles"))
            self._strings = opened.enter_context(closing(SharedStrings()))
            if (part := _part_of_kind(parts, "sharedStrings")) is not None:
                with self._archive.open(part) as strings:
                    self._strings.read(strings, limits.row_characters)
            with closing(self._sheet_rows(self._sheets[0])) as rows:
                first = next(rows, None)
            if first is None:
                raise FileProblem("no_header", "The sheet has no header.")
            if isinstance(first[1], Bad):
                raise FileProblem(first[1].code, f"The header cannot be read. {first[1].message}")
            self._first_row = first[1]
            self.header = named_columns([cell if isinstance(cell, str) else str(cell) for cell in first[1]], limits)
            self._opened = opened.pop_all()

    def records(self) -> Iterator[tuple[int, list[Cell] | Bad]]:
        with broken_zip_refused():
            for sheet in self._sheets:
                with closing(self._sheet_rows(sheet)) as rows:
                    first = next(rows, None)
                    if first is None or first[1] != self._first_row:
                        return
                    for line, cells in rows:
                        yield line, cells if isinstance(cells, Bad) else self._fitted(cells)

    def close(self) -> None:
        self._opened.close()

    def _sheet_rows(self, part: str) -> Generator[tuple[int, list[Cell] | Bad], None, None]:
        with self._archive.open(part) as stream:
            for line, cells in sheet_rows(stream, self._strings, self._formats, self._epoch, self._limits):
                if not isinstance(cells, Bad) and not self._raw:
                    cells = [unguard(cell) if isinstance(cell, str) else cell for cell in cells]
                yield line, cells

    def _fitted(self, cells: list[Cell]) -> list[Cell] | Bad:
        """As many cells as the header has names: a sheet has no cells where nothing was typed."""
        width = len(self.header)
        if len(cells) > width and any(cell not in ("", None) for cell in cells[width:]):
            return Bad("too_many_cells", f"The row has a cell behind the last column of the header, {width:,}.")
        return [*cells[:width], *[""] * (width - len(cells))]


def _part_of_kind(parts: dict[str, tuple[str, str]], kind: str) -> str | None:
    return next((part for its_kind, part in parts.values() if its_kind == kind), None)


def _find_sheets(
    archive: ZipFile, workbook: str, parts: dict[str, tuple[str, str]], wanted: str | None
) -> tuple[list[str], datetime]:
    """The sheet's part, those in which it may go on, and the day from which the workbook counts."""
    epoch = WINDOWS_EPOCH
    found: list[str] = []
    goes_on = False
    for _, name, attributes in elements_of(archive, workbook):
        if name == "workbookPr" and attributes.get("date1904") in ("1", "true"):
            epoch = MAC_EPOCH
        elif name == "sheet" and _is_wanted(attributes, wanted) and (goes_on or not found):
            reference = next((value for key, value in attributes.items() if key.endswith(":id")), "")
            kind, part = parts.get(reference, ("", ""))
            if kind == "worksheet":
                is_next = attributes.get("name") == f"{SHEET}{len(found) + 1}"
                goes_on = wanted is None and is_next and part not in found
                found += [part] if goes_on or not found else []
    if found:
        return found, epoch
    if wanted is not None:
        raise FileProblem("no_sheet", f"The file has no sheet {wanted!r}.")
    raise FileProblem("no_sheet", "The file has no sheet that can be seen.")


def _is_wanted(sheet: dict[str, str], wanted: str | None) -> bool:
    return sheet.get("name") == wanted if wanted is not None else sheet.get("state", "visible") == "visible"


def _formats(archive: ZipFile, part: str | None) -> list[Meaning]:
    return cell_formats(elements_of(archive, part)) if part is not None else []
