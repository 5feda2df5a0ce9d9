"""`/crm/bulk/…` and what else BlueAI's API does through the engine (blueai-api.md 6)."""

from collections.abc import Sequence
from uuid import UUID

from django.db import transaction
from django.urls import path
from rest_framework import serializers
from rest_framework.response import Response

from bulk_actions.actions import ACTIONS
from bulk_actions.api import blueai_exports, blueai_import
from bulk_actions.at_once import Done, run_at_once
from bulk_actions.models import BulkAction, Kind
from bulk_actions.progress import progress_of
from bulk_actions.undoing import undo
from crm.api.blueai.companies import CompanyView
from crm.api.blueai.conventions import BlueAIRequest, BlueAIView, key_in_path, moment
from crm.api.blueai.errors import Unprocessable
from crm.api.blueai.inputs import LONGEST_LINE, UNKNOWN, Body
from crm.api.blueai.openapi import Success, describe, wrapped
from crm.api.close.openapi import query_text
from crm.errors import NotFound
from crm.ids import hex_id, parse_hex_id
from crm.leads import leads_of
from crm.models import Membership, Permission

MOST_IDS = 100
NOT_FOUND = "not found"
_LONGEST_SHOWN_ID = 100  # characters of what was sent as an id, in an error


class BulkDealsBody(serializers.Serializer):
    ids = serializers.ListField(child=serializers.CharField(), min_length=1, max_length=MOST_IDS)
    dry_run = serializers.BooleanField(required=False, allow_null=True, help_text="True writes nothing.")


class BulkDealsUpdateBody(BulkDealsBody):
    stage = serializers.CharField(required=False, allow_null=True, help_text="A stage of each deal's own pipeline.")
    assigned_member_id = serializers.CharField(required=False, allow_null=True)


class BulkDealsResult(serializers.Serializer):
    id = serializers.CharField()
    status = serializers.ChoiceField(["ok", "error"])
    changed = serializers.BooleanField()
    error = serializers.CharField(allow_null=True)


class BulkDealsAnswer(serializers.Serializer):
    processed = serializers.IntegerField(help_text="How many succeeded, those among them that were so already.")
    errors = serializers.ListField(child=serializers.CharField())
    results = BulkDealsResult(many=True, required=False, help_text="With `detail=1`.")
    job_id = serializers.CharField(required=False, allow_null=True, help_text="With `detail=1`; null in a dry run.")


class BlueAIJob(serializers.Serializer):
    id = serializers.CharField()
    kind = serializers.CharField()
    status = serializers.CharField()
    processed = serializers.IntegerField()
    changed = serializers.IntegerField()
    failed = serializers.IntegerField(help_text="Those that were skipped, or that the database refused.")
    undo_of = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()


_DETAIL = [query_text("detail", "`1`: also `results` and `job_id`.")]
_JOB = wrapped("BlueAIJobWrapped", "job", BlueAIJob)


class _BulkDealsView(BlueAIView):
    creates = True
    kind: Kind

    def run(self, ids: Sequence[str], params: dict[str, object], *, dry_run: bool) -> Response:
        """Carry it out over the deals behind `ids`; what stands for none is told, and is no target of the job."""
        self.require(ACTIONS[self.kind].permission)
        keys = {text: parse_hex_id("deal", text) for text in dict.fromkeys(ids)}
        targets = [key for key in keys.values() if key is not None]
        done = run_at_once(kind=self.kind, params=params, targets=targets, caller=self.request.caller, dry_run=dry_run)
        problems = {
            text: NOT_FOUND if key is None else done.problems[key]
            for text, key in keys.items()
            if key is None or key in done.problems
        }
        answer: dict[str, object] = {
            "processed": len(keys) - len(problems),
            "errors": [f"{text[:_LONGEST_SHOWN_ID]}: {problem}" for text, problem in problems.items()],
        }
        if self.request.query_params.get("detail") == "1":
            answer["results"] = _results(keys, problems, done)
            answer["job_id"] = None if dry_run else hex_id("job", done.action.pk)
        return Response(answer)

    def ids_in(self, body: Body) -> list[str]:
        ids = body.values.get("ids")
        if not isinstance(ids, list) or not all(isinstance(text, str) for text in ids):
            body.problems["ids"] = "must be a list of ids"
        elif not 1 <= len(ids) <= MOST_IDS:
            body.problems["ids"] = f"must hold 1 to {MOST_IDS} ids"
        else:
            return ids
        return []


def _results(keys: dict[str, UUID | None], problems: dict[str, str], done: Done) -> list[dict[str, object]]:
    return [
        {
            "id": text[:_LONGEST_SHOWN_ID],
            "status": "error" if text in problems else "ok",
            "changed": key in done.changed,
            "error": problems.get(text),
        }
        for text, key in keys.items()
    ]


class BulkDealsUpdateView(_BulkDealsView):
    kind = Kind.DEAL_UPDATE

    @describe(
        "bulk_deals_update", "Moves deals to a stage, assigns them to a member, or both.",
        body=BulkDealsUpdateBody, answer=BulkDealsAnswer, query=_DETAIL,
    )  # fmt: skip
    def post(self, request: BlueAIRequest) -> Response:
        body = Body(self.body_of(("ids", "stage", "assigned_member_id", "dry_run")))
        ids, dry_run = self.ids_in(body), bool(body.flag("dry_run"))
        stage = body.text("stage", limit=LONGEST_LINE)
        member = body.key("assigned_member_id", "usr")
        if stage is None and member is None and not body.problems:
            body.problems["stage"] = "or assigned_member_id is required"
        body.close()
        if member is not None and not self._is_member(member):
            raise Unprocessable({"assigned_member_id": "is no member of the organization"})
        params = {
            "stage": stage,
            "member_id": str(member) if member else None,
            "today": self.today.isoformat(),
        }
        return self.run(ids, params, dry_run=dry_run)

    def _is_member(self, key: UUID) -> bool:
        members = Membership.objects.filter(organization=self.organization, is_active=True)
        return key != UNKNOWN and members.filter(user=key).exists()


class BulkDealsDeleteView(_BulkDealsView):
    kind = Kind.DEAL_DELETE

    @describe(
        "bulk_deals_delete", "Deletes deals; for 30 days the job can be undone.",
        body=BulkDealsBody, answer=BulkDealsAnswer, query=_DETAIL,
    )  # fmt: skip
    def post(self, request: BlueAIRequest) -> Response:
        body = Body(self.body_of(("ids", "dry_run")))
        ids, dry_run = self.ids_in(body), bool(body.flag("dry_run"))
        body.close()
        return self.run(ids, {}, dry_run=dry_run)


class _JobView(BlueAIView):
    """Jobs of BlueAI's kinds, as `job_id` names them (ours: BlueAI documents no jobs)."""

    def job(self, id: str) -> BulkAction:
        jobs = BulkAction.objects.filter(organization=self.organization, kind__in=_KINDS)
        job = jobs.filter(pk=key_in_path("job", id)).first()
        if job is None:
            raise NotFound
        return job

    def answer(self, job: BulkAction, status: int = 200) -> Response:
        progress = progress_of([job])[job.pk]
        shown = {
            "id": hex_id("job", job.pk),
            "kind": job.kind,
            "status": job.status,
            "processed": progress.n_succeeded + progress.n_unchanged,
            "changed": progress.n_succeeded,
            "failed": progress.n_skipped + progress.n_failed,
            "undo_of": hex_id("job", job.undo_of_id) if job.undo_of_id else None,
            "created_at": moment(job.date_created),
        }
        return Response({"job": shown}, status=status)


class JobView(_JobView):
    @describe("bulk_job_get", "Gives a bulk call, as the job that it was.", answer=_JOB)
    def get(self, request: BlueAIRequest, id: str) -> Response:
        return self.answer(self.job(id))


class JobUndoView(_JobView):
    @describe("bulk_job_undo", "Takes a bulk call back: a job of its own, soon done.", answer=_JOB, status=202)
    def post(self, request: BlueAIRequest, id: str) -> Response:
        job = self.job(id)
        self.require(ACTIONS[job.kind].permission)
        return self.answer(undo(action=job, caller=request.caller), 202)


class UndoableCompanyView(CompanyView):
    """The same as for all records, but that a delete is a job: undone, it brings contacts and deals back as well."""

    permissions = {"DELETE": Permission.DELETE_LEAD}

    @describe("company_delete", "Deletes a company; its contacts and deals stay, without one.", answer=Success)
    def delete(self, request: BlueAIRequest, id: str) -> Response:
        key = key_in_path("comp", id)
        with transaction.atomic():
            # FOR UPDATE: whoever is giving the company a contact or a deal is waited for, or these would go with it.
            if leads_of(self.organization.pk).select_for_update().filter(pk=key).first() is None:
                raise NotFound
            run_at_once(kind=Kind.DELETE, params={"detach": True}, targets=[key], caller=request.caller)
        return Response({"success": True})


_KINDS = (Kind.DEAL_UPDATE, Kind.DEAL_DELETE, Kind.IMPORT)

urlpatterns = [
    path("bulk/deals/update/", BulkDealsUpdateView.as_view()),
    path("bulk/deals/delete/", BulkDealsDeleteView.as_view()),
    path("bulk/jobs/<str:id>/", JobView.as_view()),
    path("bulk/jobs/<str:id>/undo/", JobUndoView.as_view()),
    path("companies/<str:id>/", UndoableCompanyView.as_view()),
    *blueai_exports.urlpatterns,
    *blueai_import.urlpatterns,
]
