"""`/bulk_action/import/`: leads and contacts out of a file, as a job."""

from itertools import islice

from django.core.files.uploadedfile import UploadedFile
from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import path
from rest_framework import serializers
from rest_framework.response import Response

from bulk_actions import import_results, uploads
from bulk_actions.api.after import MAX_LIMIT, RETRY_QUERY, STREAMS, ResultsView, RetryView, UndoBody, UndoView
from bulk_actions.api.answers import BulkActionAnswer, ChangeBody
from bulk_actions.api.base import BulkActionView
from bulk_actions.api.close import FILTERS, DetailView, ListView
from bulk_actions.api.import_answers import CSV, JSONL, rows_response, show_kind, show_row, show_upload
from bulk_actions.api.import_orders import RECORDS, ImportParser, order_of, reading_of, source_of
from bulk_actions.api.orders import refuse_unknown_keys
from bulk_actions.models import BulkAction, Kind
from bulk_actions.results import read_cursor, sign_cursor
from bulk_actions.services import cancel, create_bulk_action
from crm.api.close import paging
from crm.api.close.conventions import CloseRequest, pick_fields
from crm.api.close.openapi import FIELDS, PAGING, Answer, any_value, describe, page, query_text, strings, whole_number
from crm.api.close.requests import JsonParser
from crm.errors import FieldErrors
from crm.files.rows import RowProblem
from crm.import_rows import ImportReader, RowFault, show_field
from crm.merging import Key, OnDuplicate

_ROWS_SHOWN = 20  # in a preview


class UploadBody(serializers.Serializer):
    file = serializers.FileField()


class UploadAnswer(Answer):
    id = serializers.CharField()
    name = serializers.CharField()
    size = serializers.IntegerField(help_text="Bytes.")
    sha256 = serializers.CharField()
    imported_by = strings(help_text="Imports of a file with the same content, the latest first.")


class ReadingBody(serializers.Serializer):
    file = serializers.FileField(required=False, help_text="CSV, XLSX or JSONL, of multipart/form-data.")
    upload_id = serializers.CharField(required=False, allow_null=True, help_text="Of a kept file, instead of `file`.")
    records = serializers.ChoiceField(RECORDS, required=False, allow_null=True)
    mapping = any_value(
        required=False, help_text="The field of each column by its name, null for none; without it names decide."
    )
    sheet = serializers.CharField(required=False, allow_null=True, help_text="Of XLSX; without it the first one.")
    raw = serializers.BooleanField(
        required=False, allow_null=True, help_text="The file has no quotes before texts that look like formulas."
    )


class BulkImportBody(ReadingBody):
    match = strings(
        required=False,
        allow_null=True,
        help_text=f"What records are known again by, in order: {', '.join(list(Key)[:3])}, or `custom.cf_…`.",
    )
    on_duplicate = serializers.ChoiceField(list(OnDuplicate), required=False, allow_null=True)
    dry_run = serializers.BooleanField(required=False, allow_null=True, help_text="Decide everything, change nothing.")
    send_done_email = serializers.BooleanField(required=False, allow_null=True)
    leads_per_minute = serializers.IntegerField(required=False, allow_null=True, min_value=1)
    priority = serializers.CharField(required=False, allow_null=True)
    run_at = serializers.DateTimeField(required=False, allow_null=True)
    canary = any_value(required=False)
    max_failure_ratio = serializers.FloatField(required=False, allow_null=True)


class FirstProblemAnswer(Answer):
    row = serializers.IntegerField()
    line = serializers.IntegerField()
    column = serializers.CharField(allow_null=True)
    value = serializers.CharField(allow_null=True)
    message = serializers.CharField(allow_null=True)


class ProblemKindAnswer(Answer):
    code = serializers.CharField()
    n_rows = serializers.IntegerField()
    first = FirstProblemAnswer(many=True)


class RowCountsAnswer(Answer):
    created = serializers.IntegerField()
    updated = serializers.IntegerField()
    skipped = serializers.IntegerField()
    failed = serializers.IntegerField()


class BulkImportAnswer(BulkActionAnswer):
    source = serializers.CharField(allow_null=True, help_text="`file`, or the dialect whose call brought the rows.")
    upload_id = serializers.CharField(allow_null=True)
    file_name = serializers.CharField(allow_null=True)
    records = serializers.CharField(allow_null=True)
    mapping = any_value(allow_null=True)
    match = strings(allow_null=True)
    on_duplicate = serializers.CharField(allow_null=True)
    dry_run = serializers.BooleanField()
    rows = RowCountsAnswer(help_text="Only in the answer to a GET of one import.")
    problems = ProblemKindAnswer(many=True, help_text="The first of each kind. Only in the answer to a GET of one.")
    imported_by = strings(help_text="Only in the answer to a create: earlier imports of the same content.")


class ColumnAnswer(Answer):
    name = serializers.CharField()
    field = serializers.CharField(allow_null=True)


class PreviewRowAnswer(Answer):
    row = serializers.IntegerField()
    line = serializers.IntegerField()
    values = any_value(allow_null=True)
    problem = any_value(allow_null=True)


class BulkImportPreviewAnswer(Answer):
    format = serializers.CharField()
    encoding = serializers.CharField(allow_null=True)
    delimiter = serializers.CharField(allow_null=True)
    columns = ColumnAnswer(many=True)
    rows = PreviewRowAnswer(many=True)
    fields_known = strings(help_text="What a column may be mapped to.")


class RowAnswer(Answer):
    row = serializers.IntegerField(help_text="From 1 on, without the header.")
    line = serializers.IntegerField()
    outcome = serializers.CharField()
    lead_id = serializers.CharField(allow_null=True)
    contact_id = serializers.CharField(allow_null=True)
    code = serializers.CharField(allow_null=True)
    column = serializers.CharField(allow_null=True)
    value = serializers.CharField(allow_null=True)
    message = serializers.CharField(allow_null=True)


class RowsAnswer(Answer):
    data = RowAnswer(many=True)
    has_more = serializers.BooleanField()
    cursor = serializers.CharField(allow_null=True, help_text="Null on the last page.")


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
        reading = reading_of(self.body, self.upload, request.caller)
        reader = ImportReader(request.caller.organization.pk, reading.fields, reading.header, reading.mapping)
        with reading.source.opened(reading.options) as table:
            rows = [_previewed(row, reader) for row in islice(table.rows(), _ROWS_SHOWN)]
            told = {"format": table.format, "encoding": table.encoding, "delimiter": table.delimiter}
        fields = {name: show_field(field) for name, field in reading.mapping.items()}
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
    return {**place, "values": read, "problem": None}


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
        query=[
            query_text("outcome", f"Only these, separated by commas: {', '.join(import_results.OUTCOMES)}."),
            whole_number("_limit", MAX_LIMIT, paging.DEFAULT_LIMIT, "How many rows to give at most."),
            query_text("cursor", "That of the page before."),
            FIELDS,
        ],
    )  # fmt: skip
    def get(self, request: CloseRequest, id: str) -> Response | StreamingHttpResponse:
        action = self.action_of(id)
        return self._rows(request, action) if action.is_of_file else self.show(request, id)

    def _rows(self, request: CloseRequest, action: BulkAction) -> Response | StreamingHttpResponse:
        text = request.query_params.get("outcome", "").strip()
        outcomes = tuple(dict.fromkeys(word.strip() for word in text.split(","))) if text else import_results.OUTCOMES
        if not set(outcomes) <= set(import_results.OUTCOMES):
            known = ", ".join(import_results.OUTCOMES)
            raise FieldErrors({"outcome": f"Value must be one or more of: {known}; separated by commas."})
        media_type = request._request.get_preferred_type(["application/json", CSV, JSONL])
        cursor = request.query_params.get("cursor")
        after = read_cursor(cursor, action, outcomes) if cursor else 0
        if media_type in (CSV, JSONL):
            import_results.page_of(action, outcomes, after=0, size=0)  # refuses what is purged before the first byte
            return rows_response(action, outcomes, media_type)
        _, limit = paging.page_of(request, max_limit=MAX_LIMIT, max_skip=0)
        found = import_results.page_of(action, outcomes, after=after, size=limit + 1)
        rows, has_more = found[:limit], len(found) > limit
        number = rows[-1].number if rows else after
        return Response(
            {
                "data": [pick_fields(show_row(row), self.fields) for row in rows],
                "has_more": has_more,
                "cursor": sign_cursor(action, outcomes, number) if has_more else None,
            }
        )


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
    path("bulk_action/import/<str:id>/retry/", BulkImportRetryView.as_view()),
    path("bulk_action/import/<str:id>/undo/", BulkImportUndoView.as_view()),
]
