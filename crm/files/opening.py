"""Opens a table in a file, whatever its format."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import BinaryIO, Self

from crm.files.csv_reader import CsvReader
from crm.files.encodings import FALLBACKS
from crm.files.jsonl_reader import JsonlReader
from crm.files.limits import Limits, limits_of_settings
from crm.files.problems import FileProblem
from crm.files.rows import Row, RowProblem, numbered_rows
from crm.files.xlsx_reader import XlsxReader

FORMATS = ("csv", "xlsx", "jsonl")
_ZIP = b"PK\x03\x04"
_COMPOUND_FILE = b"\xd0\xcf\x11\xe0"  # XLS, and XLSX with a password
_JSONL_NAMES = (".jsonl", ".ndjson")
_JSONL_TYPES = ("application/jsonl", "application/x-ndjson", "application/x-jsonlines")


@dataclass(frozen=True)
class Options:
    """`fallbacks`: what a CSV file that is not UTF-8 may be, in this order. `sheet`: of XLSX, unless the first one.

    `raw`: texts are not what `formulas.guard` made of them; they stay as they are.
    """

    fallbacks: Sequence[str] = FALLBACKS
    sheet: str | None = None
    raw: bool = False


class Table:
    """A table that is open. Read it to its end as often as needed, one reading at a time, and close it."""

    def __init__(self, reader: CsvReader | XlsxReader | JsonlReader, limits: Limits, opened: ExitStack) -> None:
        self.format = reader.format
        self.header = reader.header
        self.encoding = reader.encoding
        self.delimiter = reader.delimiter
        self._reader, self._limits, self._opened = reader, limits, opened

    def rows(self, after: int = 0) -> Iterator[Row | RowProblem]:
        """The rows in order, behind the one with the number `after`. Raises `FileProblem` where no more can be read."""
        return numbered_rows(self._reader, self._limits, after)

    def close(self) -> None:
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_table(
    source: str | os.PathLike[str] | BinaryIO,
    name: str = "",
    *,
    content_type: str | None = None,
    format: str | None = None,
    options: Options | None = None,
    limits: Limits | None = None,
) -> Table:
    """The table in a file, which must be seekable and stay open. Raises `FileProblem` before the first row is read.

    Without `format` it is told by the first bytes, the name, and the content type: browsers call CSV what they like.
    """
    options, limits = options or Options(), limits or limits_of_settings()
    with ExitStack() as opened:
        if isinstance(source, str | os.PathLike):
            source = opened.enter_context(open(source, "rb"))
        reader = _reader(source, format or _format_of(source, name, content_type), options, limits)
        if isinstance(reader, XlsxReader):
            opened.callback(reader.close)
        return Table(reader, limits, opened.pop_all())


def _reader(stream: BinaryIO, format: str, options: Options, limits: Limits) -> CsvReader | XlsxReader | JsonlReader:
    stream.seek(0, os.SEEK_END)
    size = stream.tell()
    if size > limits.file_bytes:
        raise FileProblem("file_too_large", f"The file has {size:,} bytes; {limits.file_bytes:,} are allowed.")
    if size == 0:
        raise FileProblem("empty_file", "The file is empty.")
    if format == "xlsx":
        return XlsxReader(stream, options.sheet, limits, raw=options.raw)
    if format == "jsonl":
        return JsonlReader(stream, limits)
    if format == "csv":
        return CsvReader(stream, options.fallbacks, limits, raw=options.raw)
    raise FileProblem("unknown_format", f"The format must be one of {', '.join(FORMATS)}.")


def _format_of(stream: BinaryIO, name: str, content_type: str | None) -> str:
    stream.seek(0)
    start = stream.read(4)
    if start == _ZIP:
        return "xlsx"
    if start == _COMPOUND_FILE:
        raise FileProblem("unknown_format", "The file is XLS, or protected by a password. Save it as XLSX or CSV.")
    media_type = (content_type or "").partition(";")[0].strip().lower()
    is_jsonl = name.lower().endswith(_JSONL_NAMES) or media_type in _JSONL_TYPES or start[:1] == b"{"
    return "jsonl" if is_jsonl else "csv"
