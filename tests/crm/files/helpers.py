"""Small files, and what reading them gives."""

import io
from collections.abc import Sequence
from dataclasses import replace

from openpyxl import Workbook

from crm.files.limits import Limits, limits_of_settings
from crm.files.opening import Options, open_table
from crm.files.rows import Cell, Row, RowProblem


def read(
    data: bytes,
    *,
    format: str | None = None,
    options: Options | None = None,
    limits: Limits | None = None,
    after: int = 0,
) -> tuple[tuple[str, ...], list[Row | RowProblem]]:
    """The header and the rows."""
    with open_table(io.BytesIO(data), format=format, options=options, limits=limits) as table:
        return table.header, list(table.rows(after))


def cells_of(data: bytes, **given: object) -> list[tuple[Cell, ...]]:
    """The cells of all rows, none of which may be a problem."""
    _, rows = read(data, **given)  # type: ignore[arg-type]
    assert [row for row in rows if not isinstance(row, Row)] == []
    return [row.cells for row in rows if isinstance(row, Row)]


def small_limits(**changed: int) -> Limits:
    return replace(limits_of_settings(), **changed)


def sheet(*rows: Sequence[object], title: str = "People") -> bytes:
    """An XLSX file as openpyxl writes it, with one sheet."""
    book = Workbook()
    assert book.active is not None
    book.active.title = title
    for row in rows:
        book.active.append(list(row))
    return saved(book)


def saved(book: Workbook) -> bytes:
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()
