"""Writes a table to a file, whatever its format, while its rows come."""

import gzip
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from io import RawIOBase
from typing import BinaryIO

from crm.files.encoders import CsvEncoder, Encoder, Guard, JsonEncoder, JsonlEncoder
from crm.files.values import DateFormat
from crm.files.xlsx_writer import write_xlsx

FORMATS = ("csv", "json", "jsonl", "xlsx")
_GZIP_LEVEL = 5  # as small as 9 within a few percent, in a third of the time


def write_table(
    out: BinaryIO | RawIOBase,
    format: str,
    header: Sequence[str] | None,
    rows: Iterable[Sequence[object]] | Iterable[Mapping[str, object]],
    *,
    dates: DateFormat = DateFormat.ORIGINAL,
    mark: bool = False,
    phones: Collection[int] = (),
    raw: bool = False,
    compressed: bool = False,
) -> int:
    """Writes a table to `out`, in flat memory, and says how many rows it had. `out` stays open; it may be a stream that
    cannot go back.

    `mark`: of CSV, begin with a byte order mark. `phones`: columns of phone numbers. `raw`: texts stay as they are, be
    they formulas or not; in JSON they always do. `compressed`: by gzip, the same bytes for the same rows; XLSX, which
    is a ZIP, never. Of JSON and JSONL, without a header the rows are the objects themselves.
    """
    guard = Guard(phones, raw=raw)
    if format == "xlsx":
        return write_xlsx(out, header, rows, dates=dates, guard=guard)
    encoder: Encoder
    if format == "csv":
        encoder = CsvEncoder(header, dates=dates, mark=mark, guard=guard)
    elif format == "json":
        encoder = JsonEncoder(header, dates=dates)
    else:
        encoder = JsonlEncoder(header, dates=dates)
    counted = _Counted(rows)
    target: BinaryIO | RawIOBase | gzip.GzipFile = out
    with ExitStack() as opened:
        if compressed:
            target = opened.enter_context(
                gzip.GzipFile(filename="", mode="wb", compresslevel=_GZIP_LEVEL, fileobj=out, mtime=0)
            )
        target.write(encoder.start())
        for piece in encoder.encode(counted):
            target.write(piece)
        target.write(encoder.end())
    return counted.n


class _Counted(Iterator[Sequence[object]]):
    def __init__(self, rows: Iterable[Sequence[object]]) -> None:
        self._rows = iter(rows)
        self.n = 0

    def __next__(self) -> Sequence[object]:
        row = next(self._rows)
        self.n += 1
        return row
