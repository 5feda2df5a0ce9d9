"""Rows as the bytes of a CSV, JSON or JSONL file, piece by piece: for a file, or for an answer that is streamed.

A piece is made of some rows at once. `start`, any number of `encode`, `end`: put together they are the file.
"""

import csv
import io
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Protocol

from crm.files.formulas import FIRST, guard, guard_phone
from crm.files.values import DateFormat, cell_text, json_text

_ROWS_OF_A_PIECE = 500


class Encoder(Protocol):
    def start(self) -> bytes: ...
    def encode(self, rows: Iterable[Sequence[object]]) -> Iterator[bytes]: ...
    def end(self) -> bytes: ...


class Guard:
    """Makes the texts of a row harmless (`crm.files.formulas`). Numbers and dates are none.

    `phones` are the columns of phone numbers; `raw` leaves every text as it is, for programs.
    """

    def __init__(self, phones: Collection[int] = (), *, raw: bool = False) -> None:
        self._phones, self._raw = frozenset(phones), raw

    def __call__(self, row: Sequence[object]) -> Sequence[object]:
        """The row itself where there is nothing to change: most rows have no text that begins so."""
        if self._raw:
            return row
        suspects = [place for place, cell in enumerate(row) if isinstance(cell, str) and cell[:1] in FIRST]
        if not suspects:
            return row
        cells = list(row)
        for place in suspects:
            cells[place] = (guard_phone if place in self._phones else guard)(cells[place])
        return row if cells == list(row) else cells


class CsvEncoder:
    """RFC 4180: commas, CRLF, quotes where they are needed. UTF-8, with a byte order mark for spreadsheets (`mark`)."""

    def __init__(
        self,
        header: Sequence[str],
        *,
        dates: DateFormat = DateFormat.ORIGINAL,
        mark: bool = False,
        guard: Guard | None = None,
    ) -> None:
        self._header, self._dates, self._mark, self._guard = header, dates, mark, guard or Guard()

    def start(self) -> bytes:
        mark = "\ufeff".encode() if self._mark else b""
        return mark + b"".join(self.encode([self._header]))

    def encode(self, rows: Iterable[Sequence[object]]) -> Iterator[bytes]:
        iterator = iter(rows)
        while piece := list(islice(iterator, _ROWS_OF_A_PIECE)):
            text = io.StringIO()
            write = csv.writer(text, lineterminator="\r\n").writerow
            # A program that splits at another delimiter must not find a formula within the cell.
            write_quoted = csv.writer(text, lineterminator="\r\n", quoting=csv.QUOTE_ALL).writerow
            for row in piece:
                cells = self._guard(row)
                # The writer writes None as nothing, and texts as they are.
                texts = [
                    cell if cell is None or isinstance(cell, str) else cell_text(cell, self._dates) for cell in cells
                ]
                (write if cells is row else write_quoted)(texts)
            yield text.getvalue().encode()

    def end(self) -> bytes:
        return b""


class JsonEncoder:
    """One array with an object for each row; without a header the rows are such objects themselves."""

    def __init__(self, header: Sequence[str] | None, *, dates: DateFormat = DateFormat.ORIGINAL) -> None:
        self._header, self._dates, self._n_rows = header, dates, 0

    def start(self) -> bytes:
        return b"["

    def encode(self, rows: Iterable[Sequence[object]]) -> Iterator[bytes]:
        iterator = iter(rows)
        while piece := list(islice(iterator, _ROWS_OF_A_PIECE)):
            texts = [json_text(_object(self._header, row), self._dates) for row in piece]
            yield ((",\n" if self._n_rows else "\n") + ",\n".join(texts)).encode()
            self._n_rows += len(piece)

    def end(self) -> bytes:
        return b"\n]\n"


class JsonlEncoder:
    """One object in a line for each row; without a header the rows are such objects themselves."""

    def __init__(self, header: Sequence[str] | None, *, dates: DateFormat = DateFormat.ORIGINAL) -> None:
        self._header, self._dates = header, dates

    def start(self) -> bytes:
        return b""

    def encode(self, rows: Iterable[Sequence[object]]) -> Iterator[bytes]:
        iterator = iter(rows)
        while piece := list(islice(iterator, _ROWS_OF_A_PIECE)):
            yield "".join(f"{json_text(_object(self._header, row), self._dates)}\n" for row in piece).encode()

    def end(self) -> bytes:
        return b""


def _object(header: Sequence[str] | None, row: object) -> object:
    return row if header is None else dict(zip(header, row, strict=True))
