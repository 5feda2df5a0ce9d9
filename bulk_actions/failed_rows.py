"""The rows of a file that were not imported, as they stood in it, each with its reason: to be mended and sent again."""

from collections.abc import Iterator
from contextlib import ExitStack

from bulk_actions import import_results, uploads
from bulk_actions.models import BulkAction, ImportRow, Upload
from bulk_actions.scrubbing import SCRUBBED
from bulk_actions.staging import options_of
from crm.files.encoders import CsvEncoder
from crm.files.opening import Table
from crm.files.problems import FileProblem
from crm.files.rows import Row
from crm.merging import Outcome

LINE, PROBLEM = "import_line", "import_problem"  # the columns that come behind those of the file


def failed_rows(action: BulkAction) -> Iterator[bytes]:
    """A CSV file with a byte order mark. Those about a lead that has been erased are left out.

    The file is opened at once, and closed when the iterator is done with: raises `FileProblem`, `LedgerPurged`.
    """
    import_results.page_of(action, [Outcome.FAILED], after=0, size=0)
    upload = Upload.objects.filter(pk=action.params["upload_id"]).first()
    if upload is None:
        raise FileProblem("file_gone", "The uploaded file is no longer kept.")
    with ExitStack() as opened:
        table = opened.enter_context(uploads.opened(upload, options_of(action.params)))
        return _written(table, import_results.all_of(action, [Outcome.FAILED]), opened.pop_all())


def _written(table: Table, failed: Iterator[ImportRow], opened: ExitStack) -> Iterator[bytes]:
    with opened:
        # A file of failed rows that is sent again has our columns already.
        places = [place for place, name in enumerate(table.header) if name not in (LINE, PROBLEM)]
        encoder = CsvEncoder([*(table.header[place] for place in places), LINE, PROBLEM], mark=True)
        yield encoder.start()
        yield from encoder.encode(
            [*((cells[place] if cells else None) for place in places), row.line, _reason(row)]
            for row, cells in _beside(table, failed)
            if row.message != SCRUBBED
        )


def _beside(table: Table, failed: Iterator[ImportRow]) -> Iterator[tuple[ImportRow, tuple | None]]:
    """Each failed row with its cells; None of one that could not be read. Both go by the numbers of the rows."""
    rows = table.rows()
    for row in failed:
        found = next(found for found in rows if found.number == row.number)
        yield row, found.cells if isinstance(found, Row) else None


def _reason(row: ImportRow) -> str:
    return f"{row.column_name}: {row.message}" if row.column_name else row.message or ""
