"""`/leads/bulk` of the gomega dialect (gomega-api.md 7), and what became of such a call."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from django.db import transaction
from django.db.models import Q
from django.urls import path
from rest_framework import serializers
from rest_framework.exceptions import ParseError
from rest_framework.response import Response

from bulk_actions.merges import MergeAtOnce
from bulk_actions.models import BulkAction, Kind
from bulk_actions.progress import progress_of
from bulk_actions.states import Status
from bulk_actions.undoing import undo
from crm.api.close.requests import JsonParser, refuse_unstorable
from crm.api.gomega.conventions import WRITE, GomegaRequest, GomegaView
from crm.api.gomega.errors import messages_of
from crm.api.gomega.lead_input import GONE, RULES, RowReader
from crm.api.gomega.openapi import IDEMPOTENCY_KEY, GomegaLeadBody, describe
from crm.api.gomega.webhook_input import read_flag
from crm.errors import FieldErrors, NotFound
from crm.ids import parse_uuid
from crm.merging import Key, OnDuplicate, Outcome, Row, RowResult, Rules, merge_rows
from crm.models import SourceType
from crm.webhooks.dates import gomega_datetime

MOST_ROWS = 500
LONGEST_REF = 255  # characters of a row_ref
_POLICIES = {"update": OnDuplicate.UPDATE, "skip": OnDuplicate.SKIP}
_SOURCE = "gomega"
_IMPORTED = {"source_type": SourceType.IMPORT.value}


class BulkRow(GomegaLeadBody):
    row_ref = serializers.CharField(required=False, allow_null=True, max_length=LONGEST_REF, help_text="Echoed.")
    owner_id = serializers.UUIDField(required=False, allow_null=True, help_text="One of the team.")


class BulkBody(serializers.Serializer):
    leads = serializers.ListField(child=BulkRow(), min_length=1, max_length=MOST_ROWS)
    on_duplicate = serializers.ChoiceField(list(_POLICIES), default="update")
    dry_run = serializers.BooleanField(default=False, help_text="Say what would become of the rows; write nothing.")


class BulkSummary(serializers.Serializer):
    total = serializers.IntegerField()
    created = serializers.IntegerField()
    updated = serializers.IntegerField()
    skipped = serializers.IntegerField()
    failed = serializers.IntegerField()


class BulkResult(serializers.Serializer):
    row_ref = serializers.CharField(allow_null=True)
    status = serializers.ChoiceField([outcome.value for outcome in Outcome])
    lead_id = serializers.UUIDField(allow_null=True)
    matched_by = serializers.ChoiceField(["email", "phone"], allow_null=True)
    errors = serializers.ListField(child=serializers.CharField(), allow_null=True)
    ignored_custom_fields = serializers.ListField(child=serializers.CharField())


class BulkAnswer(serializers.Serializer):
    dry_run = serializers.BooleanField()
    summary = BulkSummary()
    results = BulkResult(many=True)
    unknown_custom_fields = serializers.ListField(child=serializers.CharField())
    job_id = serializers.UUIDField(
        allow_null=True, help_text="Of the call as a job, which can be undone. Not gomega's."
    )


class BulkJob(serializers.Serializer):
    id = serializers.UUIDField()
    status = serializers.ChoiceField(Status.choices)
    undo_of = serializers.UUIDField(allow_null=True)
    total = serializers.IntegerField(allow_null=True, help_text="Leads.")
    succeeded = serializers.IntegerField()
    unchanged = serializers.IntegerField()
    skipped = serializers.IntegerField()
    failed = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class BulkJobAnswer(serializers.Serializer):
    job = BulkJob()


class BulkUndoBody(serializers.Serializer):
    force = serializers.BooleanField(default=False, help_text="Also where a lead was changed since.")


@dataclass
class _Told:
    """One row as it was sent, and what is known of it before the merge."""

    ref: str | None
    row: Row | None = None  # None: it cannot be read
    ignored: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def failed(self, errors: list[str]) -> dict[str, object]:
        return self._result(Outcome.FAILED.value, None, None, errors)

    def result(self, result: RowResult, reader: RowReader) -> dict[str, object]:
        if result.outcome is Outcome.FAILED:
            return self.failed([f"{reader.named(str(result.problem))}: {GONE}"])
        lead_id = str(result.lead_id) if result.lead_id else None
        matched_by = result.matched_by.value if result.matched_by in (Key.EMAIL, Key.PHONE) else None
        return self._result(result.outcome.value, lead_id, matched_by, None)

    def _result(
        self, status: str, lead_id: str | None, matched_by: str | None, errors: list[str] | None
    ) -> dict[str, object]:
        return {
            "row_ref": self.ref,
            "status": status,
            "lead_id": lead_id,
            "matched_by": matched_by,
            "errors": errors,
            "ignored_custom_fields": self.ignored,
        }


class _RowsParser(JsonParser):
    """A row that cannot be stored fails alone."""

    unchecked = ("leads",)


class BulkLeadsView(GomegaView):
    scopes = {"POST": WRITE}
    parser_classes = [_RowsParser]
    is_bulk = True

    @describe(
        "gomega_lead_bulk",
        f"Makes leads, or merges into those there are: 1 to {MOST_ROWS} rows. Tells no webhook. A bad row fails alone.",
        body=BulkBody,
        answer=BulkAnswer,
        query=[IDEMPOTENCY_KEY],
    )
    def post(self, request: GomegaRequest) -> Response:
        bodies = _rows_of(request.data)
        policy = request.data.get("on_duplicate", "update")
        if not isinstance(policy, str) or policy not in _POLICIES:
            raise FieldErrors({"on_duplicate": f"must be one of {', '.join(_POLICIES)}"})
        rules = replace(RULES, on_duplicate=_POLICIES[policy])
        if read_flag(request.data.get("dry_run", False), "dry_run"):
            return Response(self._merge(bodies, rules, dry_run=True))
        return self.answer_once(lambda: Response(self._merge(bodies, rules, dry_run=False)))

    @transaction.atomic
    def _merge(self, bodies: list[object], rules: Rules, *, dry_run: bool) -> dict[str, object]:
        caller = self.request.caller
        reader = RowReader(caller.organization.pk, [body for body in bodies if isinstance(body, dict)])
        told = _read_rows(bodies, reader)
        rows = [one.row for one in told if one.row is not None]
        job_id = None
        if dry_run:
            merged = merge_rows(organization=caller.organization, by=caller.user, rows=rows, rules=rules, dry_run=True)
        else:
            merge = MergeAtOnce(rules=rules, caller=caller, source=_SOURCE)
            merged = merge.merge(rows)
            job_id = str(merge.close(n_unread=len(told) - len(rows)).pk)
        outcomes = iter(merged.results)
        results = [one.failed(one.errors) if one.row is None else one.result(next(outcomes), reader) for one in told]
        counts = {outcome.value: sum(row["status"] == outcome for row in results) for outcome in Outcome}
        return {
            "dry_run": dry_run,
            "summary": {"total": len(results), **counts},
            "results": results,
            "unknown_custom_fields": list(dict.fromkeys(slug for one in told for slug in one.ignored)),
            "job_id": job_id,
        }


class BulkJobView(GomegaView):
    scopes = {"GET": WRITE}

    @describe("gomega_bulk_job", "Says what became of a bulk call, or of its undo. Not gomega's.", answer=BulkJobAnswer)
    def get(self, request: GomegaRequest, id: str) -> Response:
        return Response({"job": _show(_job_of(request, id))})


class BulkUndoView(GomegaView):
    scopes = {"POST": WRITE}
    is_bulk = True

    @describe(
        "gomega_bulk_undo",
        "Begins a job that deletes the leads that a bulk call has made and restores those that it has changed, unless "
        "they were changed since. Not gomega's.",
        body=BulkUndoBody,
        answer=BulkJobAnswer,
        query=[IDEMPOTENCY_KEY],
    )
    def post(self, request: GomegaRequest, id: str) -> Response:
        force = read_flag(request.data.get("force", False), "force")
        original = _job_of(request, id)
        return self.answer_once(
            lambda: Response({"job": _show(undo(action=original, caller=request.caller, force=force))})
        )


def _rows_of(data: Mapping[str, object]) -> list[object]:
    rows = data.get("leads")
    if not isinstance(rows, list) or not 1 <= len(rows) <= MOST_ROWS:
        raise FieldErrors({"leads": f"must hold 1 to {MOST_ROWS} rows"})
    return rows


def _read_rows(bodies: list[object], reader: RowReader) -> list[_Told]:
    told = []
    for body in bodies:
        if not isinstance(body, dict):
            told.append(_Told(None, errors=["a row must be an object"]))
            continue
        try:
            refuse_unstorable(body, what="row")
        except ParseError as problem:
            told.append(_Told(None, errors=[str(problem.detail)]))
            continue
        ref = body.get("row_ref")
        if ref is not None and not (isinstance(ref, str) and len(ref) <= LONGEST_REF):
            told.append(_Told(None, errors=[f"row_ref: must be text of at most {LONGEST_REF} characters"]))
            continue
        one = _Told(ref, ignored=reader.unknown_slugs(body))
        try:
            one.row = reader.read(body, defaults=_IMPORTED)
        except FieldErrors as problem:
            one.errors = messages_of(problem)
        told.append(one)
    return told


def _job_of(request: GomegaRequest, id: str) -> BulkAction:
    """The job of a bulk call, or its undo: imports of other dialects ask for other permissions."""
    ours = Q(params__source=_SOURCE) | Q(undo_of__params__source=_SOURCE)
    jobs = BulkAction.objects.filter(ours, organization=request.caller.organization, kind=Kind.IMPORT)
    action = jobs.filter(pk=parse_uuid(id)).first()
    if action is None:
        raise NotFound
    return action


def _show(action: BulkAction) -> dict[str, object]:
    progress = progress_of([action])[action.pk]
    return {
        "id": str(action.pk),
        "status": action.status,
        "undo_of": action.undo_of_id and str(action.undo_of_id),
        "total": progress.n_objects,
        "succeeded": progress.n_succeeded,
        "unchanged": progress.n_unchanged,
        "skipped": progress.n_skipped,
        "failed": progress.n_failed,
        "created_at": gomega_datetime(action.date_created),
        "finished_at": action.date_finished and gomega_datetime(action.date_finished),
    }


urlpatterns = [
    path("leads/bulk/", BulkLeadsView.as_view()),
    path("leads/bulk/<str:id>/", BulkJobView.as_view()),
    path("leads/bulk/<str:id>/undo/", BulkUndoView.as_view()),
]
