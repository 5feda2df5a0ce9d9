"""`/export/` (close-api.md 4.13): exports, and the files that they make."""

from collections.abc import Sequence
from typing import ClassVar

from django.http import FileResponse, HttpRequest, HttpResponseBase
from django.urls import path
from django.views import View
from rest_framework import serializers
from rest_framework.response import Response

from bulk_actions.api.answers import ChangeBody
from bulk_actions.api.base import BulkActionView
from bulk_actions.api.changes import change_of
from bulk_actions.api.export_body import DATE_FORMATS, INCLUDED, LEAD_TYPES, lead_export, opportunity_export
from bulk_actions.export_files import file_of_link, link_to, storage
from bulk_actions.models import PREFIX, BulkAction, ExportFile, Kind
from bulk_actions.progress import Progress, progress_of
from bulk_actions.services import cancel, create_bulk_action
from bulk_actions.states import Status
from crm.api.close.conventions import CloseRequest, close_datetime, paginate, pick_fields
from crm.api.close.openapi import FIELDS, PAGING, Answer, any_value, describe, page, strings
from crm.api.close.showing import shown_id
from crm.api.handlers import page_not_found
from crm.errors import NotFound
from crm.files.writing import FORMATS
from crm.ids import close_id, parse_close_id
from crm.models import Permission

# The words of `/export/` for the engine's.
_STATUS = {
    Status.CREATED: "created",
    Status.LOADING: "started",
    Status.PROCESSING: "in_progress",
    Status.RESUMING: "in_progress",
    Status.PAUSED: "in_progress",
    Status.DONE: "done",
    Status.ERROR: "error",
}
_MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "jsonl": "application/x-ndjson",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


class ExportAnswer(Answer):
    """`download_url` leads to the file for six hours; each answer gives a new one. The file is kept for seven days."""

    id = serializers.CharField()
    organization_id = serializers.CharField()
    user_id = serializers.CharField()
    created_by = serializers.CharField()
    updated_by = serializers.CharField(allow_null=True)
    date_created = serializers.DateTimeField()
    date_updated = serializers.DateTimeField()
    status = serializers.ChoiceField(sorted(set(_STATUS.values())))
    job_status = serializers.ChoiceField(Status.choices, help_text="The engine's own word: `paused` and the like.")
    error = serializers.CharField(allow_null=True)
    download_url = serializers.CharField(allow_null=True)
    n_docs = serializers.IntegerField(allow_null=True, help_text="Rows of the file; not known before it is complete.")
    n_docs_processed = serializers.IntegerField(help_text="Rows written. An export that was paused begins anew.")
    n_targets = serializers.IntegerField(
        allow_null=True, help_text="What the query found: leads, or contacts or opportunities themselves."
    )
    n_targets_processed = serializers.IntegerField()
    type = serializers.ChoiceField([*LEAD_TYPES, "opps"])
    format = serializers.ChoiceField(FORMATS)
    date_format = serializers.ChoiceField(DATE_FORMATS)
    fields = strings(allow_null=True)
    s_query = any_value(allow_null=True)
    query = serializers.CharField(allow_null=True)
    params = any_value(allow_null=True)
    results_limit = serializers.IntegerField(allow_null=True)
    sort = any_value()
    include_activities = serializers.BooleanField()
    include_smart_fields = serializers.BooleanField()
    include_custom_objects = serializers.BooleanField()
    include_addresses = serializers.BooleanField()
    send_done_email = serializers.BooleanField()


class _ExportBody(serializers.Serializer):
    format = serializers.ChoiceField(FORMATS)
    date_format = serializers.ChoiceField(
        DATE_FORMATS, required=False, allow_null=True, help_text="Of CSV and XLSX; JSON has what the API shows."
    )
    fields = strings(required=False, allow_null=True, help_text="Columns, or keys of the objects; without it all.")
    send_done_email = serializers.BooleanField(required=False, allow_null=True)


class LeadExportBody(_ExportBody):
    type = serializers.ChoiceField(
        LEAD_TYPES,
        help_text="What each row is: a lead, a contact or an opportunity (`lead_opps`) of the leads that are found. Of "
        "a query for contacts, or for opportunities, those that it finds themselves.",
    )
    s_query = any_value(required=False, help_text="Which leads; without it all of them.")
    results_limit = serializers.IntegerField(required=False, allow_null=True, min_value=1)
    sort = any_value(required=False)
    include_activities = serializers.BooleanField(
        required=False, allow_null=True, help_text="Of the type leads, as JSON."
    )
    include_smart_fields = serializers.BooleanField(
        required=False, allow_null=True, help_text="Of the type leads, as JSON: `num_contacts` and the like."
    )
    include_custom_objects = serializers.BooleanField(
        required=False, allow_null=True, help_text="There are no custom objects: it changes nothing."
    )
    include_addresses = serializers.BooleanField(
        required=False, allow_null=True, help_text="Of tables: the first address. JSON of leads has all of them anyway."
    )


class OpportunityExportBody(_ExportBody):
    params = any_value(required=False, help_text="Filters of the list of opportunities, by name.")


def show_exports(actions: Sequence[BulkAction]) -> list[dict[str, object]]:
    """The answers for a page of exports, in a fixed number of queries."""
    progress = progress_of(actions)
    files = {file.action_id: file for file in ExportFile.objects.filter(action__in=[action.pk for action in actions])}
    return [_show(action, progress[action.pk], files.get(action.pk)) for action in actions]


def _show(action: BulkAction, progress: Progress, file: ExportFile | None) -> dict[str, object]:
    params = action.params
    is_complete = action.status == Status.DONE and file is not None and file.date_finished is not None
    return {
        "id": action.api_id,
        "organization_id": close_id("orga", action.organization_id),
        "user_id": close_id("user", action.created_by_id),
        "created_by": close_id("user", action.created_by_id),
        "updated_by": shown_id("user", action.updated_by_id),
        "date_created": close_datetime(action.date_created),
        "date_updated": close_datetime(action.date_updated),
        "status": _STATUS[Status(action.status)],
        "job_status": action.status,
        "error": action.error_message,
        "download_url": link_to(action, file) if is_complete and file else None,
        "n_docs": file.n_rows if is_complete and file else None,
        "n_docs_processed": file.n_rows if file else 0,
        "n_targets": action.n_leads,
        "n_targets_processed": progress.n_processed,
        "type": params["type"],
        "format": params["format"],
        "date_format": params["date_format"],
        "fields": params["fields"],
        "s_query": action.s_query,
        "query": action.query,
        "params": params.get("params"),
        "results_limit": action.results_limit,
        "sort": action.sort,
        **{name: params[name] for name in INCLUDED},
        "send_done_email": action.send_done_email,
    }


class _ExportView(BulkActionView):
    """Exports of the caller's organization. Reading one gives its file, so it takes the permission too."""

    kind = Kind.EXPORT

    def permission_for(self, method: str) -> Permission | None:
        return Permission.EXPORT

    def answer(self, action: BulkAction, **more: object) -> Response:
        return Response(pick_fields({**show_exports([action])[0], **more}, self.fields))

    def list(self, request: CloseRequest, types: Sequence[str] | None = None) -> Response:
        found = self.actions().order_by("-pk")
        if types is not None:
            found = found.filter(params__type__in=types)
        return paginate(
            request, found, lambda actions: [pick_fields(shown, self.fields) for shown in show_exports(actions)]
        )


class ExportsView(_ExportView):
    @describe(
        "export_list", "Lists the exports, newest first.",
        answer=page("ExportPage", ExportAnswer), query=[*PAGING, FIELDS],
    )  # fmt: skip
    def get(self, request: CloseRequest) -> Response:
        return self.list(request)


class LeadExportsView(_ExportView):
    @describe(
        "export_lead_list", "Lists the exports of leads, newest first.",
        answer=page("LeadExportPage", ExportAnswer), query=[*PAGING, FIELDS],
    )  # fmt: skip
    def get(self, request: CloseRequest) -> Response:
        return self.list(request, LEAD_TYPES)

    @describe(
        "export_lead_create", "Starts an export of leads, of their contacts, or of their opportunities.",
        body=LeadExportBody, answer=ExportAnswer,
    )  # fmt: skip
    def post(self, request: CloseRequest) -> Response:
        order = lead_export(self.body, caller=request.caller, tz=request.tz)
        return self.answer(create_bulk_action(order=order, caller=request.caller))


class OpportunityExportsView(_ExportView):
    @describe(
        "export_opportunity_list", "Lists the exports of opportunities, newest first.",
        answer=page("OpportunityExportPage", ExportAnswer), query=[*PAGING, FIELDS],
    )  # fmt: skip
    def get(self, request: CloseRequest) -> Response:
        return self.list(request, ("opps",))

    @describe(
        "export_opportunity_create", "Starts an export of opportunities.",
        body=OpportunityExportBody, answer=ExportAnswer,
    )  # fmt: skip
    def post(self, request: CloseRequest) -> Response:
        order = opportunity_export(self.body, caller=request.caller, tz=request.tz)
        return self.answer(create_bulk_action(order=order, caller=request.caller))


class ExportView(_ExportView):
    @describe(
        "export_get", "Gives an export; once it is done, with a new link to its file.",
        answer=ExportAnswer, query=[FIELDS],
    )  # fmt: skip
    def get(self, request: CloseRequest, id: str) -> Response:
        return self.answer(self.action_of(id))

    @describe("export_update", "Pauses an export that lives, or resumes it.", body=ChangeBody, answer=ExportAnswer)
    def put(self, request: CloseRequest, id: str) -> Response:
        action = self.action_of(id)
        return self.answer(change_of(self.body, action)(action=action, by=request.caller.user))


class LeadExportView(_ExportView):
    @describe("export_lead_get", "Gives an export, as `/export/{id}/` does.", answer=ExportAnswer, query=[FIELDS])
    def get(self, request: CloseRequest, id: str) -> Response:
        return self.answer(self.action_of(id))


class ExportCancelView(_ExportView):
    creates = False

    @describe("export_cancel", "Ends an export for good; there is no file.", answer=ExportAnswer)
    def post(self, request: CloseRequest, id: str) -> Response:
        return self.answer(cancel(action=self.action_of(id), by=request.caller.user))


class ExportFileView(View):
    """The file that a link leads to. Whoever has the link may: it says which file, and until when."""

    http_method_names: ClassVar = ["get", "head", "options"]

    def get(self, request: HttpRequest, id: str) -> HttpResponseBase:
        try:
            action, file = file_of_link(parse_close_id(PREFIX[Kind.EXPORT], id), request.GET.get("token", ""))
            content = storage().open(file.name, "rb")
        except (NotFound, FileNotFoundError) as problem:
            return page_not_found(request, problem)
        ending = str(action.params["format"])
        response = FileResponse(
            content,
            as_attachment=True,
            filename=f"{action.params['type']}_{action.date_created:%Y%m%d}.{ending}",
            content_type=_MEDIA_TYPES[ending],
        )
        response["X-Content-Type-Options"] = "nosniff"
        response["Cache-Control"] = "private, no-store"
        response["Referrer-Policy"] = "no-referrer"
        if file.name.endswith(".gz"):
            response["Content-Encoding"] = "gzip"
        return response


urlpatterns = [
    path("export/", ExportsView.as_view()),
    path("export/lead/", LeadExportsView.as_view()),
    path("export/lead/<str:id>/", LeadExportView.as_view()),
    path("export/opportunity/", OpportunityExportsView.as_view()),
    path("export/<str:id>/", ExportView.as_view()),
    path("export/<str:id>/cancel/", ExportCancelView.as_view()),
    path("export/<str:id>/file/", ExportFileView.as_view()),
]
