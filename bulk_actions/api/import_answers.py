"""How an import and the rows of its file are told."""

import json
from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from uuid import UUID

from django.http import StreamingHttpResponse

from bulk_actions import import_results, uploads
from bulk_actions.import_results import Kind
from bulk_actions.models import BulkAction, ImportRow, Upload
from crm.files.encoders import CsvEncoder
from crm.ids import close_id
from crm.import_rows import show_field

CSV, JSONL = "text/csv", "application/jsonl"
_ROWS_IN_A_CHUNK = 1_000
_ROW_COLUMNS = ("row", "line", "outcome", "lead_id", "contact_id", "code", "column", "value", "message")


def show_import(params: Mapping[str, object]) -> dict[str, object]:
    """What was asked for; all null in an undo, most of it in what a call of another dialect has brought."""
    upload_id, mapping = params.get("upload_id"), params.get("mapping")
    field_id = params.get("match_field_id")
    match = params.get("match")
    return {
        "source": params.get("source") or ("file" if upload_id else None),
        "upload_id": close_id(uploads.PREFIX, UUID(str(upload_id))) if upload_id else None,
        "file_name": params.get("file"),
        "records": params.get("records"),
        "mapping": {name: show_field(field) for name, field in mapping.items()} if isinstance(mapping, dict) else None,
        "match": [f"custom.{close_id('cf', UUID(str(field_id)))}" if key == "custom" else key for key in match]
        if isinstance(match, list)
        else None,
        "on_duplicate": params.get("on_duplicate"),
        "dry_run": bool(params.get("dry_run")),
    }


def show_upload(upload: Upload) -> dict[str, object]:
    return {
        "id": uploads.spelled(upload),
        "name": upload.name,
        "size": upload.size,
        "sha256": upload.sha256,
        "imported_by": [action.api_id for action in uploads.earlier_imports(upload)],
    }


def show_row(row: ImportRow) -> dict[str, object]:
    values = (
        row.number,
        row.line,
        row.outcome or "pending",
        close_id("lead", row.lead_id) if row.lead_id else None,
        close_id("cont", row.contact_id) if row.contact_id else None,
        row.code,
        row.column_name,
        row.value,
        row.message,
    )
    return dict(zip(_ROW_COLUMNS, values, strict=True))


def rows_response(action: BulkAction, outcomes: Collection[str], media_type: str) -> StreamingHttpResponse:
    """All rows with one of these outcomes as a file, CSV or JSONL."""
    write, ending = (_csv, "csv") if media_type == CSV else (_jsonl, "jsonl")
    return StreamingHttpResponse(
        write(import_results.all_of(action, outcomes)),
        content_type=f"{media_type}; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{action.api_id}.{ending}"'},
    )


def _csv(rows: Iterator[ImportRow]) -> Iterator[bytes]:
    encoder = CsvEncoder(_ROW_COLUMNS)
    yield encoder.start()
    yield from encoder.encode(list(show_row(row).values()) for row in rows)


def _jsonl(rows: Iterator[ImportRow]) -> Iterator[str]:
    while chunk := list(islice(rows, _ROWS_IN_A_CHUNK)):
        yield "".join(f"{json.dumps(show_row(row), ensure_ascii=False)}\n" for row in chunk)


def show_kind(kind: Kind) -> dict[str, object]:
    keys = ("row", "line", "column", "value", "message")
    rows = [show_row(row) for row in kind.rows]
    return {"code": kind.code, "n_rows": kind.n_rows, "first": [{key: row[key] for key in keys} for row in rows]}
