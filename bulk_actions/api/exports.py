"""`/export/` (close-api.md 4.13): exports, and the files that they make."""

from collections.abc import Sequence
from typing import ClassVar

import structlog
from django.http import FileResponse, HttpRequest, HttpResponseBase
from django.urls import path
from django.views import View
from rest_framework.response import Response

from bulk_actions.api.answers import ChangeBody
from bulk_actions.api.base import BulkActionView
from bulk_actions.api.changes import change_of
from bulk_actions.api.export_body import INCLUDED, LEAD_TYPES, lead_export, opportunity_export
from bulk_actions.api.export_schemas import STATUS_WORDS, ExportAnswer, LeadExportBody, OpportunityExportBody
from bulk_actions.export_files import file_of_link, link_to, opened
from bulk_actions.models import PREFIX, BulkAction, ExportFile, Kind
from bulk_actions.progress import Progress, progress_of
from bulk_actions.services import cancel, create_bulk_action
from bulk_actions.states import Status
from crm.api.close.conventions import CloseRequest, close_datetime, paginate, pick_fields
from crm.api.close.errors import plain_error
from crm.api.close.openapi import FIELDS, PAGING, describe, page
from crm.api.close.showing import shown_id
from crm.errors import NotFound
from crm.ids import close_id, parse_close_id
from crm.models import Permission

log = structlog.get_logger(__name__)
_NO_FILE = "There is no file here. The link may have expired: the export itself, /api/v1/export/{id}/, gives a new one."
_MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "jsonl": "application/x-ndjson",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


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
        "status": STATUS_WORDS[Status(action.status)],
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
        "raw": params["raw"],
        "bom": params["bom"],
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


def _name_for_people(action: BulkAction) -> str:
    """A raw file says that it is: nobody is to open it in a spreadsheet."""
    params = action.params
    raw = "_raw" if params["raw"] else ""
    return f"{params['type']}_{action.date_created:%Y%m%d}{raw}.{params['format']}"


class ExportFileView(View):
    """The file that a link leads to. Whoever has the link may: it says which file, and until when."""

    http_method_names: ClassVar = ["get", "head", "options"]

    def get(self, request: HttpRequest, id: str) -> HttpResponseBase:
        try:
            action, file = file_of_link(parse_close_id(PREFIX[Kind.EXPORT], id), request.GET.get("token", ""))
            content = opened(file.name)
        except (NotFound, FileNotFoundError):
            return plain_error(request, _NO_FILE, 404)
        except OSError:
            log.exception("export.file_unreadable", job_id=str(file.action_id))
            answer = plain_error(request, "The file cannot be read at the moment. Try again.", 503)
            answer["Retry-After"] = "30"
            return answer
        ending = str(action.params["format"])
        response = FileResponse(
            content,
            as_attachment=True,
            filename=_name_for_people(action),
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
