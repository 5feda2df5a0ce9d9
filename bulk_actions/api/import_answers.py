"""How an import and the rows of its file are told."""

from collections.abc import Mapping
from uuid import UUID

from bulk_actions import uploads
from bulk_actions.import_results import Kind
from bulk_actions.models import ImportRow, Upload
from crm.ids import close_id
from crm.import_fields import show_mapped

ROW_COLUMNS = ("row", "line", "outcome", "lead_id", "contact_id", "code", "column", "value", "message")


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
        "mapping": {name: show_mapped(field) for name, field in mapping.items()} if isinstance(mapping, dict) else None,
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
    return dict(zip(ROW_COLUMNS, values, strict=True))


def show_kind(kind: Kind) -> dict[str, object]:
    keys = ("row", "line", "column", "value", "message")
    rows = [show_row(row) for row in kind.rows]
    return {"code": kind.code, "n_rows": kind.n_rows, "first": [{key: row[key] for key in keys} for row in rows]}
