"""What reading a table gives, and the rules that hold for the rows of every format."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from crm.files.limits import Limits
from crm.files.problems import FileProblem
from crm.text import composed, is_storable

# What JSON can say, whatever the format: dates are ISO 8601 texts. An empty cell is "", or None in JSONL.
Cell = str | int | float | bool | list | dict | None

_SHOWN_VALUE = 100  # characters of a value in a problem
DEEPEST = 50  # lists and objects inside of each other; a contact of a lead has four
TOO_DEEP = f"The value has more than {DEEPEST} lists or objects inside of each other."


class Row(NamedTuple):
    """`number`: from 1 on, blank rows not counted. `line`: where the row begins, from 1 on; of XLSX the sheet's row."""

    number: int
    line: int
    cells: tuple[Cell, ...]


class RowProblem(NamedTuple):
    """This row cannot be read; the others can. `column` and `value` where one cell is to blame."""

    number: int
    line: int
    code: str
    message: str
    column: str | None
    value: str | None


class Bad(NamedTuple):
    """What a reader says of a row in place of its cells."""

    code: str
    message: str
    column: str | None = None
    value: str | None = None


class Reader(Protocol):
    """One format. `records` gives each row that is not blank with its line, from the first on, at every call anew."""

    @property
    def format(self) -> str: ...
    @property
    def header(self) -> tuple[str, ...]: ...
    @property
    def encoding(self) -> str | None: ...
    @property
    def delimiter(self) -> str | None: ...

    def records(self) -> Iterator[tuple[int, Sequence[Cell] | Bad]]: ...


def numbered_rows(reader: Reader, limits: Limits, after: int) -> Iterator[Row | RowProblem]:
    """The rows behind the one with the number `after`. Raises `FileProblem` at the first row too many."""
    for number, (line, found) in enumerate(reader.records(), start=1):
        if number > limits.rows:
            raise FileProblem("too_many_rows", f"The file has more than {limits.rows:,} rows.")
        if number <= after:
            continue
        bad = found if isinstance(found, Bad) else _bad_cell(found, reader.header, limits)
        if bad is None:
            yield Row(number, line, tuple(found))
        else:
            value = None if bad.value is None else bad.value[:_SHOWN_VALUE]
            yield RowProblem(number, line, bad.code, bad.message, bad.column, value)


def _bad_cell(cells: Sequence[Cell], header: Sequence[str], limits: Limits) -> Bad | None:
    for column, cell in zip(header, cells, strict=True):
        if isinstance(cell, str) and len(cell) > limits.cell_characters:
            return Bad("cell_too_long", f"The cell has more than {limits.cell_characters:,} characters.", column, cell)
        if is_too_deep(cell):
            return Bad("too_deep", TOO_DEEP, column)
    return None


def is_too_deep(value: Cell, deepest: int = DEEPEST) -> bool:
    """Whether more lists and objects lie inside of each other than any row needs: whoever walks them has no limit."""
    if not isinstance(value, list | dict):
        return False
    parts = value.values() if isinstance(value, dict) else value
    return deepest == 0 or any(is_too_deep(part, deepest - 1) for part in parts)


def named_columns(names: Sequence[str], limits: Limits) -> tuple[str, ...]:
    """The header, trimmed, in NFC and without unnamed columns at its end. Raises `FileProblem`.

    Spreadsheets leave unnamed columns behind the last one; anywhere else a name has been forgotten.
    """
    header = [composed(name.strip()) for name in names]
    while header and not header[-1]:
        header.pop()
    if len(header) > limits.columns:
        raise FileProblem("too_many_columns", f"The header has more than {limits.columns:,} columns.")
    if not header:
        raise FileProblem("no_header", "The file has no header.")
    if "" in header:
        raise FileProblem("unnamed_column", f"Column {header.index('') + 1} has no name in the header.")
    _refuse_bad_names(header, limits)
    return tuple(header)


def _refuse_bad_names(header: Sequence[str], limits: Limits) -> None:
    seen: set[str] = set()
    for place, name in enumerate(header, start=1):
        if len(name) > limits.cell_characters or not is_storable(name):
            raise FileProblem("bad_column_name", f"The name of column {place} is too long or cannot be stored.")
        if name in seen:
            raise FileProblem("duplicate_column", f"The header has the column {name[:_SHOWN_VALUE]!r} twice.")
        seen.add(name)
