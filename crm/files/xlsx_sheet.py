"""Reads the rows of one sheet of an XLSX file. What the sheet says of its own size is not believed."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import IO

from openpyxl.utils import column_index_from_string

from crm.files.limits import Limits
from crm.files.rows import Bad, Cell
from crm.files.xlsx_numbers import Meaning, number_cell
from crm.files.xlsx_strings import SharedStrings, TextCollector, unescaped
from crm.files.xlsx_xml import parse
from crm.text import is_storable

_DIGITS = "0123456789"
_LETTERS_OF_A_COLUMN = 3


def sheet_rows(
    stream: IO[bytes], strings: SharedStrings, formats: Sequence[Meaning], epoch: datetime, limits: Limits
) -> Iterator[tuple[int, list[Cell] | Bad]]:
    """Each row that is not blank, with its number in the sheet; as many cells as it has, at most those allowed."""
    handler = _SheetHandler(strings, formats, epoch, limits)
    for _ in parse(stream, handler):
        yield from handler.rows
        handler.rows.clear()
        if handler.is_at_end:
            return


class _SheetHandler:
    def __init__(self, strings: SharedStrings, formats: Sequence[Meaning], epoch: datetime, limits: Limits) -> None:
        self._strings, self._formats, self._epoch, self._limits = strings, formats, epoch, limits
        self.rows: list[tuple[int, list[Cell] | Bad]] = []
        self.is_at_end = False
        self._collector = TextCollector(limits.row_characters)
        self._in_text = self._in_pronunciation = False
        self._line = 0
        self._begin_row()

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "c":
            self._column = self._column_of(attributes.get("r"))
            self._type, self._style = attributes.get("t", "n"), attributes.get("s", "0")
            self._collector.clear()
        elif name == "v":
            self._in_text = True
        elif name == "t":
            self._in_text = not self._in_pronunciation
        elif name == "row":
            number = attributes.get("r", "")
            self._line = int(number) if number.isascii() and number.isdigit() and len(number) < 10 else self._line + 1
            self._begin_row()
        elif name == "rPh":
            self._in_pronunciation = True

    def end(self, name: str) -> None:
        if name == "c":
            self._end_cell()
        elif name in ("v", "t"):
            self._in_text = False
        elif name == "row":
            self._end_row()
        elif name == "rPh":
            self._in_pronunciation = False
        elif name == "sheetData":
            self.is_at_end = True

    def text(self, data: str) -> None:
        if self._in_text:
            self._collector.add(data)

    def _begin_row(self) -> None:
        self._cells: dict[int, Cell] = {}
        self._column = 0
        self._n_characters = 0
        self._bad: Bad | None = None

    def _column_of(self, reference: str | None) -> int:
        """From 1 on. A cell without a reference, or with one that is none, stands behind the one before."""
        letters = (reference or "").rstrip(_DIGITS)
        if not 0 < len(letters) <= _LETTERS_OF_A_COLUMN:
            return self._column + 1
        try:
            # It remembers all that it has found: in upper case these are 18,278 at most.
            return column_index_from_string(letters.upper())
        except ValueError:
            return self._column + 1

    def _end_cell(self) -> None:
        text = self._collector.value()
        if not text or self._bad is not None:
            return
        value = self._value_of(text)
        if value == "":
            return
        if self._column > self._limits.columns:
            self._bad = Bad("too_many_columns", f"The row has a cell behind column {self._limits.columns:,}.")
        elif isinstance(value, str):
            self._n_characters += len(value)
            if self._n_characters > self._limits.row_characters:
                self._bad = Bad("row_too_long", f"The row has more than {self._limits.row_characters:,} characters.")
            elif not is_storable(value):
                self._bad = Bad("unstorable_text", "A text has a NUL character, which cannot be stored.")
        self._cells[self._column] = value

    def _value_of(self, text: str) -> Cell:
        """The cell's value as it was last computed: a formula is never looked at."""
        if self._type == "s":
            return self._strings[int(text)] if text.isascii() and text.isdigit() and len(text) < 10 else ""
        if self._type == "b":
            return text.strip() not in ("0", "false")
        if self._type == "n":
            place = int(self._style) if self._style.isascii() and self._style.isdigit() and len(self._style) < 10 else 0
            meaning = self._formats[place] if place < len(self._formats) else Meaning.NUMBER
            return number_cell(text.strip(), meaning, self._epoch)
        return unescaped(text)

    def _end_row(self) -> None:
        if self._bad is not None:
            self.rows.append((self._line, self._bad))
        elif any(not isinstance(cell, str) or cell.strip() for cell in self._cells.values()):
            width = max(self._cells)
            self.rows.append((self._line, [self._cells.get(place, "") for place in range(1, width + 1)]))
