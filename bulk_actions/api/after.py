"""What can be asked of a job that has done something: its results, a retry, an undo."""

from collections.abc import Iterable
from itertools import islice

from django.http import StreamingHttpResponse
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.response import Response

from bulk_actions.actions import MAILING
from bulk_actions.api.answers import (
    BulkDeleteAnswer,
    BulkEditAnswer,
    BulkEmailAnswer,
    BulkSequenceSubscriptionAnswer,
)
from bulk_actions.api.base import BulkActionView
from bulk_actions.api.listings import CSV, JSONL, listing_of, stream
from bulk_actions.api.options import flag_of
from bulk_actions.models import Kind, Outcome
from bulk_actions.results import read_cursor, sign_cursor
from bulk_actions.retrying import retry
from bulk_actions.targets import OUTCOMES, refuse_purged
from bulk_actions.undoing import undo
from crm.api.close import paging
from crm.api.close.conventions import CloseRequest, pick_fields
from crm.api.close.openapi import FIELDS, Answer, describe, query_text, whole_number
from crm.errors import FieldErrors

MAX_LIMIT = 1_000


class ResultAnswer(Answer):
    lead_id = serializers.CharField()
    outcome = serializers.ChoiceField(OUTCOMES)
    code = serializers.CharField(allow_null=True)
    message = serializers.CharField(allow_null=True)


class ResultsAnswer(Answer):
    data = ResultAnswer(many=True)
    has_more = serializers.BooleanField()
    cursor = serializers.CharField(allow_null=True, help_text="Null on the last page.")


class MailResultAnswer(ResultAnswer):
    email = serializers.CharField(allow_null=True, help_text="Null where the lead has no address.")


class MailResultsAnswer(ResultsAnswer):
    data = MailResultAnswer(many=True)


class SubscriptionResultAnswer(ResultAnswer):
    subscription_id = serializers.CharField(allow_null=True, help_text="Null where the contact has none.")
    email = serializers.CharField(allow_null=True, help_text="Null where the lead has no address.")


class SubscriptionResultsAnswer(ResultsAnswer):
    data = SubscriptionResultAnswer(many=True)


class MailRetryBody(serializers.Serializer):
    confirm_possible_duplicates = serializers.BooleanField(
        required=False, help_text="Needed, and true, to send mails again that may have left."
    )


class UndoBody(serializers.Serializer):
    force = serializers.BooleanField(
        required=False, default=False, help_text="Also restore leads that were changed since."
    )


def results_query(outcomes: Iterable[str]) -> list[OpenApiParameter]:
    return [
        query_text("outcome", f"Only these, separated by commas: {', '.join(outcomes)}."),
        whole_number("_limit", MAX_LIMIT, paging.DEFAULT_LIMIT, "How many rows to give at most."),
        query_text("cursor", "That of the page before."),
        FIELDS,
    ]


RESULTS_QUERY = results_query(OUTCOMES)
RETRY_QUERY = [query_text("outcome", "`failed` (unless given), `skipped`, or both, separated by a comma.")]
_MAIL_RETRY_QUERY = [
    query_text("outcome", "`failed` (unless given), `skipped`, or both, separated by a comma; or `unknown` alone.")
]
STREAMS = {CSV: OpenApiTypes.STR, JSONL: OpenApiTypes.STR}


class ResultsView(BulkActionView):
    def show(self, request: CloseRequest, id: str) -> Response | StreamingHttpResponse:
        action = self.action_of(id)
        refuse_purged(action)
        listing = listing_of(action)
        outcomes = outcomes_asked(request, known=listing.outcomes, default=listing.outcomes)
        media_type = request._request.get_preferred_type(["application/json", CSV, JSONL])
        if media_type in (CSV, JSONL):
            return stream(action, outcomes, media_type)
        _, limit = paging.page_of(request, max_limit=MAX_LIMIT, max_skip=0)
        cursor = request.query_params.get("cursor")
        after = read_cursor(cursor, action, outcomes) if cursor else 0
        found = listing.page(action, outcomes, after=after, size=limit + 1)
        rows, has_more = found[:limit], len(found) > limit
        return Response(
            {
                "data": [pick_fields(listing.show(row), self.fields) for row in rows],
                "has_more": has_more,
                "cursor": sign_cursor(action, outcomes, listing.key(rows[-1])) if has_more else None,
            }
        )


class RetryView(BulkActionView):
    def retry(self, request: CloseRequest, id: str) -> Response:
        action = self.action_of(id)
        confirms = ("confirm_possible_duplicates",) if self.kind in MAILING else ()
        _refuse_unknown_keys(self.body, known=confirms)
        known = Outcome.values if self.kind in MAILING else (Outcome.SKIPPED.value, Outcome.FAILED.value)
        outcomes = outcomes_asked(request, known=known, default=(Outcome.FAILED.value,))
        confirmed = self.body.get("confirm_possible_duplicates")
        return self.answer(
            retry(action=action, outcomes=outcomes, caller=request.caller, confirm_possible_duplicates=confirmed)
        )


class UndoView(BulkActionView):
    def undo(self, request: CloseRequest, id: str) -> Response:
        action = self.action_of(id)
        _refuse_unknown_keys(self.body, known=("force",))
        return self.answer(undo(action=action, caller=request.caller, force=flag_of(self.body, "force")))


def outcomes_asked(request: CloseRequest, *, known: Iterable[str], default: Iterable[str]) -> tuple[str, ...]:
    """Those of the query; all at once must be known."""
    text = request.query_params.get("outcome", "").strip()
    given = tuple(dict.fromkeys(word.strip() for word in text.split(","))) if text else tuple(default)
    if not set(given) <= set(known):
        raise FieldErrors({"outcome": f"Value must be one or more of: {', '.join(known)}; separated by commas."})
    return given


def _refuse_unknown_keys(body: dict[str, object], known: Iterable[str]) -> None:
    unknown = [key[:100] for key in islice((key for key in body if key not in known), 20)]
    if unknown:
        raise FieldErrors(dict.fromkeys(unknown, "Unknown key."))


# --- each kind --------------------------------------------------------------------------------------------------------
class BulkDeleteResultsView(ResultsView):
    kind = Kind.DELETE

    @describe(
        "bulk_delete_results", "Lists what became of each lead.",
        answer=ResultsAnswer, query=RESULTS_QUERY, also=STREAMS,
    )  # fmt: skip
    def get(self, request: CloseRequest, id: str) -> Response | StreamingHttpResponse:
        return self.show(request, id)


class BulkDeleteRetryView(RetryView):
    kind = Kind.DELETE

    @describe("bulk_delete_retry", "Tries failed leads again.", answer=BulkDeleteAnswer, query=RETRY_QUERY)
    def post(self, request: CloseRequest, id: str) -> Response:
        return self.retry(request, id)


class BulkDeleteUndoView(UndoView):
    kind = Kind.DELETE

    @describe(
        "bulk_delete_undo", "Brings deleted leads back.", body=UndoBody, answer=BulkDeleteAnswer, conflict=True
    )  # fmt: skip
    def post(self, request: CloseRequest, id: str) -> Response:
        return self.undo(request, id)


class BulkEditResultsView(ResultsView):
    kind = Kind.EDIT

    @describe(
        "bulk_edit_results", "Lists what became of each lead.",
        answer=ResultsAnswer, query=RESULTS_QUERY, also=STREAMS,
    )  # fmt: skip
    def get(self, request: CloseRequest, id: str) -> Response | StreamingHttpResponse:
        return self.show(request, id)


class BulkEditRetryView(RetryView):
    kind = Kind.EDIT

    @describe("bulk_edit_retry", "Tries failed leads again.", answer=BulkEditAnswer, query=RETRY_QUERY)
    def post(self, request: CloseRequest, id: str) -> Response:
        return self.retry(request, id)


class BulkEditUndoView(UndoView):
    kind = Kind.EDIT

    @describe("bulk_edit_undo", "Takes an edit back.", body=UndoBody, answer=BulkEditAnswer, conflict=True)
    def post(self, request: CloseRequest, id: str) -> Response:
        return self.undo(request, id)


class BulkEmailResultsView(ResultsView):
    kind = Kind.EMAIL

    @describe(
        "bulk_email_results", "Lists what became of each mail, and of each lead that got none.",
        answer=MailResultsAnswer, query=RESULTS_QUERY, also=STREAMS,
    )  # fmt: skip
    def get(self, request: CloseRequest, id: str) -> Response | StreamingHttpResponse:
        return self.show(request, id)


class BulkEmailRetryView(RetryView):
    kind = Kind.EMAIL

    @describe(
        "bulk_email_retry", "Tries again what failed, or was skipped, or may have left.",
        body=MailRetryBody, answer=BulkEmailAnswer, query=_MAIL_RETRY_QUERY, conflict=True,
    )  # fmt: skip
    def post(self, request: CloseRequest, id: str) -> Response:
        return self.retry(request, id)


class BulkEmailUndoView(UndoView):
    kind = Kind.EMAIL

    @describe("bulk_email_undo", "Is always refused: mail cannot be unsent.", body=UndoBody, answer=BulkEmailAnswer)
    def post(self, request: CloseRequest, id: str) -> Response:
        return self.undo(request, id)


class BulkSequenceSubscriptionResultsView(ResultsView):
    kind = Kind.SEQUENCE_SUBSCRIPTION

    @describe(
        "bulk_sequence_subscription_results", "Lists what became of each subscription, and of who has none.",
        answer=SubscriptionResultsAnswer, query=RESULTS_QUERY, also=STREAMS,
    )  # fmt: skip
    def get(self, request: CloseRequest, id: str) -> Response | StreamingHttpResponse:
        return self.show(request, id)


class BulkSequenceSubscriptionRetryView(RetryView):
    kind = Kind.SEQUENCE_SUBSCRIPTION

    @describe(
        "bulk_sequence_subscription_retry", "Tries again the leads with something that failed or was skipped.",
        answer=BulkSequenceSubscriptionAnswer, query=RETRY_QUERY,
    )  # fmt: skip
    def post(self, request: CloseRequest, id: str) -> Response:
        return self.retry(request, id)


class BulkSequenceSubscriptionUndoView(UndoView):
    kind = Kind.SEQUENCE_SUBSCRIPTION

    @describe(
        "bulk_sequence_subscription_undo", "Takes it back: who was subscribed is paused.",
        body=UndoBody, answer=BulkSequenceSubscriptionAnswer, conflict=True,
    )  # fmt: skip
    def post(self, request: CloseRequest, id: str) -> Response:
        return self.undo(request, id)


urlpatterns = [
    path("bulk_action/delete/<str:id>/results/", BulkDeleteResultsView.as_view()),
    path("bulk_action/delete/<str:id>/retry/", BulkDeleteRetryView.as_view()),
    path("bulk_action/delete/<str:id>/undo/", BulkDeleteUndoView.as_view()),
    path("bulk_action/edit/<str:id>/results/", BulkEditResultsView.as_view()),
    path("bulk_action/edit/<str:id>/retry/", BulkEditRetryView.as_view()),
    path("bulk_action/edit/<str:id>/undo/", BulkEditUndoView.as_view()),
    path("bulk_action/email/<str:id>/results/", BulkEmailResultsView.as_view()),
    path("bulk_action/email/<str:id>/retry/", BulkEmailRetryView.as_view()),
    path("bulk_action/email/<str:id>/undo/", BulkEmailUndoView.as_view()),
    path("bulk_action/sequence_subscription/<str:id>/results/", BulkSequenceSubscriptionResultsView.as_view()),
    path("bulk_action/sequence_subscription/<str:id>/retry/", BulkSequenceSubscriptionRetryView.as_view()),
    path("bulk_action/sequence_subscription/<str:id>/undo/", BulkSequenceSubscriptionUndoView.as_view()),
]
