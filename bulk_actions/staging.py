"""The rows of a file, read and staged by COPY before the first of them is merged."""

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from uuid import UUID

from django.db import transaction
from django.db.models import Max

from bulk_actions import locks, uploads
from bulk_actions.errors import JobImpossible
from bulk_actions.models import BulkAction, ImportRow, Upload
from bulk_actions.states import Status
from bulk_actions.targets import outcomes_of
from crm.copying import copy_rows
from crm.files.encodings import fallbacks_of
from crm.files.opening import Options, Table
from crm.files.problems import FileProblem
from crm.files.rows import RowProblem
from crm.import_fields import Fields, Mapped, field_of
from crm.import_rows import ImportReader, RowFault

PIECE = 5_000  # rows staged in one transaction, so that a crash or a pause costs no more than reading them again
_SHOWN_NAME = 100  # characters of a column's name

_COLUMNS = ("action_id", "number", "line", "data", "code", "message", "column_name", "value")
# In the order of the file.
_TARGETS = "SELECT id FROM bulk_actions_importrow WHERE action_id = %s::uuid ORDER BY number"
_TARGETS_OF_RETRY = """
    SELECT id FROM bulk_actions_importrow AS mine WHERE action_id = %s::uuid AND EXISTS (
        SELECT FROM bulk_actions_importrow AS tried
        WHERE tried.action_id = %s::uuid AND tried.number = mine.number AND tried.outcome = ANY(%s))
    ORDER BY number
"""

Staged = tuple[int, int, str | None, str | None, str | None, str | None, str | None]


def targets_of(action: BulkAction) -> tuple[str, tuple[object, ...]]:
    """A SELECT of the staged rows that are to be merged: of a retry those that did not go well the time before."""
    if action.retry_of_id is None:
        return _TARGETS, (action.pk,)
    return _TARGETS_OF_RETRY, (action.pk, action.retry_of_id, outcomes_of(action))


def options_of(params: dict) -> Options:
    return Options(
        fallbacks=fallbacks_of(params.get("encoding")), sheet=params.get("sheet"), raw=bool(params.get("raw"))
    )


def stage(action: BulkAction) -> bool:
    """Read what is not staged yet; False where somebody else does that, or the job is not loading any more.

    Raises `JobImpossible` where the file cannot be read to its end, or a field of it is gone: then no row is imported.
    """
    upload = Upload.objects.filter(pk=action.params["upload_id"]).first()
    if upload is None:
        raise JobImpossible("file_gone", "The uploaded file is no longer kept. Send it again.")
    last = ImportRow.objects.filter(action=action.pk).aggregate(last=Max("number"))["last"] or 0
    try:
        with uploads.opened(upload, options_of(action.params)) as table:
            rows = _read(action, table, last)
            while piece := list(islice(rows, PIECE)):
                if not _write(action.pk, piece, last):
                    return False
                last = piece[-1][0]
    except FileProblem as problem:
        raise JobImpossible(problem.code, problem.message) from problem
    return True


def _read(action: BulkAction, table: Table, after: int) -> Iterator[Staged]:
    fields = Fields(action.organization_id, action.params["records"])
    _refuse_gone_fields(fields, action.params["mapping"])
    reader = ImportReader(
        action.organization_id, fields, table.header, action.params["mapping"], action.params.get("required", ())
    )
    for row in table.rows(after):
        if isinstance(row, RowProblem):
            yield row.number, row.line, None, row.code, row.message, row.column, row.value
            continue
        read = reader.read(row.cells)
        if isinstance(read, RowFault):
            yield row.number, row.line, None, read.code, read.message, read.column, read.value
        else:
            yield row.number, row.line, json.dumps(read, ensure_ascii=False), None, None, None, None


def _refuse_gone_fields(fields: Fields, mapping: Mapping[str, Mapped]) -> None:
    """A custom field may be deleted between the request and the reading."""
    for column, mapped in mapping.items():
        if field_of(mapped) not in fields.known:
            raise JobImpossible(
                "field_gone", f"The custom field of the column {column[:_SHOWN_NAME]!r} has been deleted."
            )


@transaction.atomic
def _write(action_id: UUID, piece: list[Staged], after: int) -> bool:
    """Stage these rows, the next ones behind the number `after`, unless the job or another loader has moved on."""
    if not locks.become_loader(action_id):
        return False
    if not BulkAction.objects.filter(pk=action_id, status=Status.LOADING).exists():
        return False
    if (ImportRow.objects.filter(action=action_id).aggregate(last=Max("number"))["last"] or 0) != after:
        return False
    copy_rows(ImportRow._meta.db_table, _COLUMNS, ((action_id.hex, *row) for row in piece))
    return True
