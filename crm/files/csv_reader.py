"""Reads CSV (RFC 4180) with any of four delimiters, three kinds of line ends and the encodings of `encodings`."""

import csv
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from crm.files.delimiters import find_delimiter
from crm.files.encodings import Encoding, decoded, find_encoding
from crm.files.formulas import unguard
from crm.files.limits import Limits
from crm.files.lines import physical_lines
from crm.files.problems import FileProblem
from crm.files.rows import Bad, named_columns

# The parser's own limit belongs to the whole process, and ends a row in its midst. `_Feed` counts instead.
csv.field_size_limit(2**31 - 1)


class CsvReader:
    format = "csv"

    def __init__(self, stream: BinaryIO, fallbacks: Sequence[str], limits: Limits, *, raw: bool) -> None:
        """Finds encoding and delimiter and reads the header. Raises `FileProblem`."""
        self._stream, self._limits, self._raw = stream, limits, raw
        self._encoding = find_encoding(stream, fallbacks=fallbacks, longest_line=limits.row_characters)
        self.encoding = self._encoding.name
        self.delimiter = find_delimiter(self._feed(), limits.row_characters)
        first = next(self._parsed(), None)
        if first is None:
            raise FileProblem("no_header", "The file has no header.")
        if isinstance(first[1], Bad):
            raise FileProblem(first[1].code, f"The header cannot be read. {first[1].message}")
        self._width = len(first[1])
        self.header = named_columns(first[1], limits)

    def records(self) -> Iterator[tuple[int, list[str] | Bad]]:
        parsed = self._parsed()
        next(parsed)
        for line, cells in parsed:
            yield line, cells if isinstance(cells, Bad) else self._fitted(cells)

    def _fitted(self, cells: list[str]) -> list[str] | Bad:
        """As many cells as the header has names; those in unnamed columns must be empty."""
        width = len(self.header)
        if len(cells) != self._width:
            return Bad("ragged_row", f"The row has {len(cells):,} cells, the header has {self._width:,}.")
        if any(cells[width:]):
            return Bad("unnamed_column", "The row has a cell in a column without a name.", value="".join(cells[width:]))
        return cells[:width]

    def _parsed(self) -> Iterator[tuple[int, list[str] | Bad]]:
        """Each row that is not blank, with the line where it begins."""
        feed = self._feed()
        rows = csv.reader(feed, delimiter=self.delimiter, strict=True)
        while True:
            feed.begin_row()
            try:
                cells = next(rows)
            except StopIteration:
                return
            except csv.Error as problem:
                yield feed.line, _bad_quotes(problem)
                continue
            if any(map(str.strip, cells)):
                yield feed.line, cells if self._raw else [unguard(cell) if cell[:1] == "'" else cell for cell in cells]

    def _feed(self) -> "_Feed":
        return _Feed(self._stream, self._encoding, self._limits.row_characters)


class _Feed(Iterator[str]):
    """Physical lines for the parser; knows where the current row begins and how long it is by now."""

    def __init__(self, stream: BinaryIO, encoding: Encoding, longest_row: int) -> None:
        self._lines = physical_lines(decoded(stream, encoding), longest_row)
        self._longest_row = longest_row
        self.begin_row()

    def begin_row(self) -> None:
        self.line, self._n_characters = 0, 0

    def __next__(self) -> str:
        number, text = next(self._lines)
        self.line = self.line or number
        if text is None:
            raise FileProblem("line_too_long", f"Line {number:,} has more than {self._longest_row:,} characters.")
        self._n_characters += len(text)
        if self._n_characters > self._longest_row:
            raise FileProblem(
                "row_too_long",
                f"The row that begins in line {self.line:,} has more than {self._longest_row:,} characters. "
                "Is there a quote that is never closed?",
            )
        return text


def _bad_quotes(problem: csv.Error) -> Bad:
    if "unexpected end of data" in str(problem):
        return Bad("open_quote", "The row has a quote that is never closed, so the rest of the file is part of it.")
    return Bad("bad_quotes", "Behind a closing quote stands something else than a delimiter or the end of the row.")
