"""What became of each target of a job: how it is told in pages of JSON, and in streams of CSV or JSONL."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

from django.http import StreamingHttpResponse

from bulk_actions import import_results, results
from bulk_actions.actions import MAILING, SUBSCRIBING
from bulk_actions.api.import_answers import ROW_COLUMNS, show_row
from bulk_actions.models import BulkAction, ImportRow, spelled_target
from bulk_actions.results import Result
from bulk_actions.targets import OUTCOMES
from crm.files.encoders import CsvEncoder
from crm.ids import close_id

CSV, JSONL = "text/csv", "application/jsonl"
_COLUMNS = ("lead_id", "outcome", "code", "message")
_COLUMNS_OF_MAILS = ("lead_id", "email", "outcome", "code", "message")
_COLUMNS_OF_SUBSCRIPTIONS = ("lead_id", "subscription_id", "email", "outcome", "code", "message")
_ROWS_IN_A_CHUNK = 1_000

Row = Result | ImportRow


@dataclass(frozen=True)
class Listing:
    """The rows of one job: `page(job, outcomes, after=, size=)` of them, or all by `every(job, outcomes)`.

    `outcomes` are those that may be asked for; `show` gives the `columns` of a row by name, `key` that behind which the
    next page begins.
    """

    outcomes: Collection[str]
    columns: Sequence[str]
    page: Callable[..., Sequence[Row]]
    every: Callable[[BulkAction, Collection[str]], Iterator[Row]]
    show: Callable[[Row], Mapping[str, object]]
    key: Callable[[Row], int]


def listing_of(action: BulkAction) -> Listing:
    """Of an import from a file its rows, of other jobs their targets, mails or subscriptions."""
    if action.is_of_file:
        return Listing(
            import_results.OUTCOMES,
            ROW_COLUMNS,
            import_results.page_of,
            import_results.all_of,
            show_row,
            lambda row: row.number,
        )
    columns = _columns_of(action)
    show = partial(_show, action, columns)
    return Listing(OUTCOMES, columns, results.page_of, results.all_of, show, lambda row: row.key)


def stream(action: BulkAction, outcomes: Collection[str], media_type: str) -> StreamingHttpResponse:
    """All rows with one of these outcomes, as a file to be saved: `CSV` or `JSONL`."""
    listing = listing_of(action)
    write, ending = (_csv, "csv") if media_type == CSV else (_jsonl, "jsonl")
    return StreamingHttpResponse(
        write(listing, listing.every(action, outcomes)),
        content_type=f"{media_type}; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{action.api_id}.{ending}"'},
    )


def _csv(listing: Listing, rows: Iterator[Row]) -> Iterator[bytes]:
    encoder = CsvEncoder(listing.columns)
    yield encoder.start()
    yield from encoder.encode(list(listing.show(row).values()) for row in rows)


def _jsonl(listing: Listing, rows: Iterator[Row]) -> Iterator[str]:
    while chunk := list(islice(rows, _ROWS_IN_A_CHUNK)):
        yield "".join(f"{json.dumps(listing.show(row), ensure_ascii=False)}\n" for row in chunk)


def _columns_of(action: BulkAction) -> Sequence[str]:
    if action.kind in SUBSCRIBING:
        return _COLUMNS_OF_SUBSCRIPTIONS
    return _COLUMNS_OF_MAILS if action.kind in MAILING else _COLUMNS


def _show(action: BulkAction, columns: Sequence[str], row: Result) -> dict[str, object]:
    values = {
        **row._asdict(),
        "lead_id": spelled_target(action, row.lead_id),
        "subscription_id": close_id("sub", row.subscription_id) if row.subscription_id else None,
    }
    return {name: values[name] for name in columns}
