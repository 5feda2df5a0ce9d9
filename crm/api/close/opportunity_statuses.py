"""`/status/opportunity/` (close-api.md 4.4)."""

from uuid import UUID

from django.db.models import QuerySet
from django.urls import path
from rest_framework import serializers
from rest_framework.response import Response

from crm.api.close.conventions import CloseRequest, CloseView, pick_fields
from crm.api.close.openapi import FIELDS, NOTHING, Answer, describe, page
from crm.errors import FieldErrors, NotFound
from crm.ids import close_id, parse_close_id
from crm.models import OpportunityStatus, Permission, StatusType
from crm.pipelines import create_status, delete_status, statuses_of, update_status


class OpportunityStatusAnswer(Answer):
    id = serializers.CharField()
    label = serializers.CharField()
    type = serializers.ChoiceField(StatusType.choices)
    pipeline_id = serializers.CharField()
    organization_id = serializers.CharField()


class OpportunityStatusChanges(serializers.Serializer):
    label = serializers.CharField(max_length=255, required=False)
    type = serializers.ChoiceField(StatusType.choices, required=False)
    pipeline_id = serializers.CharField(required=False)


class OpportunityStatusBody(OpportunityStatusChanges):
    label = serializers.CharField(max_length=255)


def show_opportunity_status(status: OpportunityStatus) -> dict[str, object]:
    """An opportunity status as Close spells it."""
    return {
        "id": close_id("stat", status.pk),
        "label": status.label,
        "type": status.type,
        "pipeline_id": close_id("pipe", status.pipeline_id),
        "organization_id": close_id("orga", status.organization_id),
    }


class _StatusView(CloseView):
    def statuses(self) -> QuerySet[OpportunityStatus]:
        return statuses_of(self.request.caller.organization.pk)

    def status_of(self, id: str) -> OpportunityStatus:
        status = self.statuses().filter(pk=parse_close_id("stat", id)).first()
        if status is None:
            raise NotFound
        return status

    def pipeline_id(self) -> UUID | None:
        text = self.body.get("pipeline_id")
        key = parse_close_id("pipe", text)
        if text is not None and key is None:
            raise FieldErrors({"pipeline_id": "Object does not exist."})
        return key

    def answer(self, status: OpportunityStatus) -> Response:
        return Response(pick_fields(show_opportunity_status(status), self.fields))


class OpportunityStatusesView(_StatusView):
    permissions = {"POST": Permission.MANAGE_CUSTOMIZATIONS}

    @describe(
        "opportunity_status_list",
        "Lists the opportunity statuses, pipeline by pipeline; the first one is that of new opportunities.",
        answer=page("OpportunityStatusPage", OpportunityStatusAnswer),
        query=[FIELDS],
    )
    def get(self, request: CloseRequest) -> Response:
        shown = [pick_fields(show_opportunity_status(status), self.fields) for status in self.statuses()]
        return Response({"data": shown, "has_more": False})

    @describe(
        "opportunity_status_create",
        "Makes an opportunity status, without `pipeline_id` in the first pipeline.",
        body=OpportunityStatusBody,
        answer=OpportunityStatusAnswer,
    )
    def post(self, request: CloseRequest) -> Response:
        if "label" not in self.body:
            raise FieldErrors({"label": "This field is required."})
        status = create_status(
            organization=request.caller.organization,
            label=self.body["label"],
            status_type=self.body.get("type", StatusType.ACTIVE),
            pipeline_id=self.pipeline_id(),
        )
        return self.answer(status)


class OpportunityStatusView(_StatusView):
    permissions = {"PUT": Permission.MANAGE_CUSTOMIZATIONS, "DELETE": Permission.MANAGE_CUSTOMIZATIONS}

    @describe("opportunity_status_get", "Gives an opportunity status.", answer=OpportunityStatusAnswer, query=[FIELDS])
    def get(self, request: CloseRequest, id: str) -> Response:
        return self.answer(self.status_of(id))

    @describe(
        "opportunity_status_update",
        "Changes what is given of an opportunity status; `pipeline_id` moves it, with its opportunities.",
        body=OpportunityStatusChanges,
        answer=OpportunityStatusAnswer,
    )
    def put(self, request: CloseRequest, id: str) -> Response:
        status = self.status_of(id)
        return self.answer(
            update_status(
                status=status,
                label=self.body.get("label"),
                status_type=self.body.get("type"),
                pipeline_id=self.pipeline_id(),
            )
        )

    @describe("opportunity_status_delete", "Deletes a status that no opportunity has.", answer=NOTHING)
    def delete(self, request: CloseRequest, id: str) -> Response:
        delete_status(status=self.status_of(id))
        return Response({})


urlpatterns = [
    path("status/opportunity/", OpportunityStatusesView.as_view()),
    path("status/opportunity/<str:id>/", OpportunityStatusView.as_view()),
]
