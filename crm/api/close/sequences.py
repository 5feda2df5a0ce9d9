"""`/sequence/` (close-api.md 4.9)."""

from django.urls import path
from rest_framework.response import Response

from crm.api.close import sequence_schemas as schemas
from crm.api.close.conventions import CloseRequest, CloseView, Fields, paginate, pick_fields, wants
from crm.api.close.openapi import FIELDS, NOTHING, PAGING, describe, page
from crm.api.close.sequence_input import SequenceReader
from crm.api.close.showing import Shown, naive_datetime, shown_id
from crm.errors import NotFound
from crm.ids import close_id, parse_close_id
from crm.models import Sequence, SequenceStep
from crm.sequences.rules import counts_by_status, create_sequence, delete_sequence, sequences_of, update_sequence


def serialize_sequence(sequence: Sequence, fields: Fields) -> Shown:
    return pick_fields(
        {
            "id": close_id("seq", sequence.pk),
            "organization_id": close_id("orga", sequence.organization_id),
            "name": sequence.name,
            "status": sequence.status,
            "timezone": sequence.timezone,
            "schedule": sequence.schedule,
            "steps": [_step(step) for step in sequence.steps.all()],
            "trigger_query": sequence.trigger_query,
            "allow_manual_enrollment": sequence.allow_manual_enrollment,
            "owner_id": shown_id("user", sequence.owner_id),
            "created_by_id": shown_id("user", sequence.created_by_id),
            "updated_by_id": shown_id("user", sequence.updated_by_id),
            "date_created": naive_datetime(sequence.date_created),
            "date_updated": naive_datetime(sequence.date_updated),
        },
        fields,
    )


def _step(step: SequenceStep) -> Shown:
    return {
        "id": close_id("seqstep", step.pk),
        "step_type": step.step_type,
        "delay": step.delay,
        "email_template_id": shown_id("tmpl", step.email_template_id),
        "sms_template_id": shown_id("smstmpl", step.sms_template_id),
        "threading": step.threading,
        "required": step.required,
        "step_allowed_delay": step.step_allowed_delay,
    }


class _SequenceView(CloseView):
    def sequence_of(self, id: str) -> Sequence:
        rows = sequences_of(self.request.caller.organization.pk)
        found = rows.filter(pk=parse_close_id("seq", id)).first()
        if found is None:
            raise NotFound
        return found

    def answer(self, sequence: Sequence) -> Response:
        return Response(serialize_sequence(sequence, self.fields))


class SequencesView(_SequenceView):
    @describe(
        "sequence_list",
        "Lists the sequences.",
        answer=page("SequencePage", schemas.SequenceAnswer),
        query=[*PAGING, FIELDS],
    )
    def get(self, request: CloseRequest) -> Response:
        rows = sequences_of(request.caller.organization.pk)
        return paginate(request, rows, lambda found: [serialize_sequence(one, self.fields) for one in found])

    @describe(
        "sequence_create",
        "Makes a sequence with its steps.",
        body=schemas.SequenceBody,
        answer=schemas.SequenceAnswer,
        query=[FIELDS],
    )
    def post(self, request: CloseRequest) -> Response:
        columns, steps = SequenceReader(self.body, request.tz).read()
        return self.answer(create_sequence(caller=request.caller, columns=columns, steps=steps or []))


class SequenceView(_SequenceView):
    @describe(
        "sequence_get",
        "Gives a sequence, and how many subscriptions it has by their status.",
        answer=schemas.SequenceWithCountsAnswer,
        query=[FIELDS],
    )
    def get(self, request: CloseRequest, id: str) -> Response:
        sequence = self.sequence_of(id)
        shown = serialize_sequence(sequence, self.fields)
        if wants(self.fields, "subscription_counts_by_status"):
            shown["subscription_counts_by_status"] = counts_by_status(sequence.pk)
        return Response(shown)

    @describe(
        "sequence_update",
        "Changes what is given of a sequence. `steps` replaces the steps: one with its id is kept, one left out goes.",
        body=schemas.SequenceChanges,
        answer=schemas.SequenceAnswer,
        query=[FIELDS],
    )
    def put(self, request: CloseRequest, id: str) -> Response:
        current = self.sequence_of(id)
        columns, steps = SequenceReader(self.body, request.tz).read(current)
        return self.answer(update_sequence(caller=request.caller, sequence_id=current.pk, columns=columns, steps=steps))

    @describe("sequence_delete", "Deletes a sequence; its active subscriptions are paused.", answer=NOTHING)
    def delete(self, request: CloseRequest, id: str) -> Response:
        delete_sequence(caller=request.caller, sequence_id=parse_close_id("seq", id))
        return Response({})


urlpatterns = [
    path("sequence/", SequencesView.as_view()),
    path("sequence/<str:id>/", SequenceView.as_view()),
]
