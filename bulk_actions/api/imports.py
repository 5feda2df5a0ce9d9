"""`/bulk_action/import/`: leads and contacts out of a file, as a job."""

from itertools import islice

from django.core.files.uploadedfile import UploadedFile
from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from rest_framework.response import Response

from bulk_actions import import_results, uploads
from bulk_actions.api.after import RETRY_QUERY, STREAMS, ResultsView, RetryView, UndoBody, UndoView, results_query
from bulk_actions.api.answers import ChangeBody
from bulk_actions.api.base import BulkActionView
from bulk_actions.api.close import FILTERS, DetailView, ListView
from bulk_actions.api.import_answers import show_kind, show_upload
from bulk_actions.api.import_orders import as_before, order_of, reading_of
from bulk_actions.api.import_schemas import (
    BulkImportAnswer,
    BulkImportBody,
    BulkImportPreviewAnswer,
    ReadingBody,
    RowsAnswer,
    UploadAnswer,
    UploadBody,
)
from bulk_actions.api.import_source import ImportParser, source_of, told
from bulk_actions.api.listings import CSV
from bulk_actions.api.orders import refuse_unknown_keys
from bulk_actions.failed_rows import failed_rows
from bulk_actions.models import Kind
from bulk_actions.services import cancel, create_bulk_action
from crm.api.close.conventions import CloseRequest, pick_fields
from crm.api.close.openapi import FIELDS, PAGING, describe, page
from crm.api.close.requests import JsonParser
from crm.errors import NotFound
from crm.files.problems import FileProblem
from crm.files.rows import RowProblem
from crm.import_fields import show_field, show_mapped
from crm.import_rows import ImportReader, RowFault

_ROWS_SHOWN = 20  # in a preview


class _FileView(BulkActionView):
    """Takes a file as a form, or JSON that names one."""

    kind = Kind.IMPORT
    parser_classes = [JsonParser, ImportParser]
    upload: UploadedFile | None = None

    def finalize_response(
        self, request: CloseRequest, response: HttpResponseBase, *args: object, **kwargs: object
    ) -> HttpResponseBase:
        if self.upload is not None:
            self.upload.close()  # a large one is a temporary file, and has been moved where it is kept
        return super().finalize_response(request, response, *args, **kwargs)


class UploadsView(_FileView):
    @describe(
        "bulk_import_upload", "Keeps a file, to be imported or looked at.",
        body={"multipart/form-data": UploadBody}, answer=UploadAnswer,
    )  # fmt: skip
    def post(self, request: CloseRequest) -> Response:
        refuse_unknown_keys(self.body, ["file"])
        return Response(show_upload(source_of(self.body, self.upload, request.caller).kept(request.caller)))


class BulkImportPreviewView(_FileView):
    creates = False

    @describe(
        "bulk_import_preview", "Tells how a file would be read: its columns, and its first rows.",
        body={"multipart/form-data": ReadingBody, "application/json": ReadingBody}, answer=BulkImportPreviewAnswer,
    )  # fmt: skip
    def post(self, request: CloseRequest) -> Response:
        reading = reading_of(as_before(self.body, request.caller), self.upload, request.caller)
        reader = ImportReader(request.caller.organization.pk, reading.fields, reading.header, reading.mapping)
        with reading.source.opened(reading.options) as table:
            rows = [_previewed(row, reader) for row in islice(table.rows(), _ROWS_SHOWN)]
            told = {"format": table.format, "encoding": table.encoding, "delimiter": table.delimiter}
        fields = {name: show_mapped(field) for name, field in reading.mapping.items()}
        columns = [{"name": name, "field": fields.get(name)} for name in reading.header]
        known = [show_field(field) for field in reading.fields.known]
        return Response(pick_fields({**told, "columns": columns, "rows": rows, "fields_known": known}, self.fields))


def _previewed(row: object, reader: ImportReader) -> dict[str, object]:
    if isinstance(row, RowProblem):
        problem = RowFault(row.code, row.message, row.column, row.value)
        return {"row": row.number, "line": row.line, "values": None, "problem": vars(problem)}
    read = reader.read(row.cells)  # type: ignore[attr-defined]
    place = {"row": row.number, "line": row.line}  # type: ignore[attr-defined]
    if isinstance(read, RowFault):
        return {**place, "values": None, "problem": vars(read)}
    return {**place, "values": reader.shown(row.cells), "problem": None}  # type: ignore[attr-defined]


class BulkImportsView(ListView, _FileView):
    @describe(
        "bulk_import_list", "Lists the imports, newest first.",
        answer=page("BulkImportPage", BulkImportAnswer), query=[*FILTERS, *PAGING, FIELDS],
    )  # fmt: skip
    def get(self, request: CloseRequest) -> Response:
        return self.list(request)

    @describe(
        "bulk_import_create", "Starts an import.",
        body={"multipart/form-data": BulkImportBody, "application/json": BulkImportBody}, answer=BulkImportAnswer,
    )  # fmt: skip
    def post(self, request: CloseRequest) -> Response:
        order, upload = order_of(self.body, self.upload, request.caller)
        earlier = [action.api_id for action in uploads.earlier_imports(upload)]
        return self.answer(create_bulk_action(order=order, caller=request.caller), imported_by=earlier)


class BulkImportView(DetailView):
    kind = Kind.IMPORT

    @describe("bulk_import_get", "Gives an import.", answer=BulkImportAnswer, query=[FIELDS])
    def get(self, request: CloseRequest, id: str) -> Response:
        action = self.action_of(id)
        if not action.is_of_file:
            return self.answer(action)
        problems = [show_kind(kind) for kind in import_results.problems_of(action)]
        return self.answer(action, rows=import_results.counts_of(action), problems=problems)

    @describe("bulk_import_update", "Steers an import that lives.", body=ChangeBody, answer=BulkImportAnswer)
    def put(self, request: CloseRequest, id: str) -> Response:
        return self.change(request, id)


class BulkImportCancelView(BulkActionView):
    kind = Kind.IMPORT
    creates = False

    @describe("bulk_import_cancel", "Ends an import for good.", answer=BulkImportAnswer)
    def post(self, request: CloseRequest, id: str) -> Response:
        return self.answer(cancel(action=self.action_of(id), by=request.caller.user))


class BulkImportResultsView(ResultsView):
    kind = Kind.IMPORT

    @describe(
        "bulk_import_results", "Lists what became of each row of the file; of an undo, of each lead.",
        answer=RowsAnswer, also=STREAMS,
        query=results_query(import_results.OUTCOMES),
    )  # fmt: skip
    def get(self, request: CloseRequest, id: str) -> Response | StreamingHttpResponse:
        return self.show(request, id)


class BulkImportFailedRowsView(BulkActionView):
    kind = Kind.IMPORT

    @describe(
        "bulk_import_failed_rows", "Gives the rows that failed as they stood in the file, with the reason of each.",
        answer=None, also={CSV: OpenApiTypes.STR},
    )  # fmt: skip
    def get(self, request: CloseRequest, id: str) -> StreamingHttpResponse:
        action = self.action_of(id)
        if not action.is_of_file:
            raise NotFound
        try:
            rows = failed_rows(action)
        except FileProblem as problem:
            raise told(problem) from problem
        name = f'attachment; filename="{action.api_id}-failed.csv"'
        headers = {"Content-Disposition": name, "X-Content-Type-Options": "nosniff"}
        return StreamingHttpResponse(rows, content_type=f"{CSV}; charset=utf-8", headers=headers)


class BulkImportRetryView(RetryView):
    kind = Kind.IMPORT

    @describe("bulk_import_retry", "Tries failed rows again.", answer=BulkImportAnswer, query=RETRY_QUERY)
    def post(self, request: CloseRequest, id: str) -> Response:
        return self.retry(request, id)


class BulkImportUndoView(UndoView):
    kind = Kind.IMPORT

    @describe(
        "bulk_import_undo", "Deletes the leads that an import has made, and restores those that it has changed.",
        body=UndoBody, answer=BulkImportAnswer, conflict=True,
    )  # fmt: skip
    def post(self, request: CloseRequest, id: str) -> Response:
        return self.undo(request, id)


urlpatterns = [
    path("bulk_action/import/upload/", UploadsView.as_view()),
    path("bulk_action/import/preview/", BulkImportPreviewView.as_view()),
    path("bulk_action/import/", BulkImportsView.as_view()),
    path("bulk_action/import/<str:id>/", BulkImportView.as_view()),
    path("bulk_action/import/<str:id>/cancel/", BulkImportCancelView.as_view()),
    path("bulk_action/import/<str:id>/results/", BulkImportResultsView.as_view()),
    path("bulk_action/import/<str:id>/failed_rows/", BulkImportFailedRowsView.as_view()),
    path("bulk_action/import/<str:id>/retry/", BulkImportRetryView.as_view()),
    path("bulk_action/import/<str:id>/undo/", BulkImportUndoView.as_view()),
]
