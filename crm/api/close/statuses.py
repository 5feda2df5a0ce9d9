"""`/status/lead/` (close-api.md 4.4)."""

from django.db.models import QuerySet
from django.urls import path
from rest_framework import serializers
from rest_framework.response import Response

from crm.api.close.conventions import CloseRequest, CloseView, pick_fields
from crm.api.close.openapi import FIELDS, NOTHING, Answer, describe, page
from crm.errors import FieldErrors, NotFound
from crm.ids import close_id, parse_close_id
from crm.models import LeadStatus, Permission
from crm.statuses import create_status, delete_status, rename_status


class LeadStatusAnswer(Answer):
    id = serializers.CharField()
    label = serializers.CharField()
    organization_id = serializers.CharField()


class LeadStatusBody(serializers.Serializer):
    label = serializers.CharField(max_length=255)


class LeadStatusChanges(serializers.Serializer):
    label = serializers.CharField(max_length=255, required=False)


def show_status(status: LeadStatus) -> dict[str, object]:
    """A lead status as Close spells it."""
    return {
        "id": close_id("stat", status.pk),
        "label": status.label,
        "organization_id": close_id("orga", status.organization_id),
    }


class _StatusView(CloseView):
    def statuses(self) -> QuerySet[LeadStatus]:
        return LeadStatus.objects.filter(organization=self.request.caller.organization)

    def status_of(self, id: str) -> LeadStatus:
        status = self.statuses().filter(pk=parse_close_id("stat", id)).first()
        if status is None:
            raise NotFound
        return status

    def answer(self, status: LeadStatus) -> Response:
        return Response(pick_fields(show_status(status), self.fields))


class LeadStatusesView(_StatusView):
    permissions = {"POST": Permission.MANAGE_CUSTOMIZATIONS}

    @describe(
        "lead_status_list",
        "Lists the lead statuses; the first one is that of new leads.",
        answer=page("LeadStatusPage", LeadStatusAnswer),
        query=[FIELDS],
    )
    def get(self, request: CloseRequest) -> Response:
        shown = [pick_fields(show_status(status), self.fields) for status in self.statuses()]
        return Response({"data": shown, "has_more": False})

    @describe("lead_status_create", "Makes a lead status.", body=LeadStatusBody, answer=LeadStatusAnswer)
    def post(self, request: CloseRequest) -> Response:
        if "label" not in self.body:
            raise FieldErrors({"label": "This field is required."})
        return self.answer(create_status(organization=request.caller.organization, label=self.body["label"]))


class LeadStatusView(_StatusView):
    permissions = {"PUT": Permission.MANAGE_CUSTOMIZATIONS, "DELETE": Permission.MANAGE_CUSTOMIZATIONS}

    @describe("lead_status_get", "Gives a lead status.", answer=LeadStatusAnswer, query=[FIELDS])
    def get(self, request: CloseRequest, id: str) -> Response:
        return self.answer(self.status_of(id))

    @describe("lead_status_update", "Renames a lead status.", body=LeadStatusChanges, answer=LeadStatusAnswer)
    def put(self, request: CloseRequest, id: str) -> Response:
        status = self.status_of(id)
        if "label" in self.body:
            status = rename_status(status=status, label=self.body["label"])
        return self.answer(status)

    @describe("lead_status_delete", "Deletes a lead status that no lead has.", answer=NOTHING)
    def delete(self, request: CloseRequest, id: str) -> Response:
        delete_status(status=self.status_of(id))
        return Response({})


urlpatterns = [
    path("status/lead/", LeadStatusesView.as_view()),
    path("status/lead/<str:id>/", LeadStatusView.as_view()),
]
