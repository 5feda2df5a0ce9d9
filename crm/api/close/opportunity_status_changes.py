"""`/activity/status_change/opportunity/`: which opportunity went from which status to which, when, and by whom."""

from collections.abc import Sequence

from django.db.models import Exists, OuterRef, QuerySet
from django.urls import path
from rest_framework import serializers
from rest_framework.response import Response

from crm.api.close.conventions import CloseRequest, CloseView, close_datetime, paginate, pick_fields
from crm.api.close.list_filters import date_filters, describe_filters, filter_dates, filter_ids
from crm.api.close.openapi import FIELDS, NOTHING, PAGING, Answer, describe, page
from crm.api.close.part_input import PartReader
from crm.api.close.showing import Shown, shown_id
from crm.api.close.status_changes import StatusChangeLog
from crm.errors import NotFound
from crm.ids import close_id, parse_close_id
from crm.models import OpportunityStatus, OpportunityStatusChange
from crm.opportunities import opportunities_of
from crm.status_logs import delete_status_change, log_opportunity_status_change

_IDS = {
    "id__in": ("acti", "pk"),
    "lead_id": ("lead", "lead_id"),
    "opportunity_id": ("oppo", "opportunity_id"),
    "user_id": ("user", "user_id"),
    "organization_id": ("orga", "organization_id"),
}
_DATES = date_filters("date_created", "activity_at")
_COLUMNS = {"activity_at": "date_created"}


class OpportunityStatusChangeAnswer(Answer):
    id = serializers.CharField()
    _type = serializers.CharField()
    organization_id = serializers.CharField()
    lead_id = serializers.CharField(allow_null=True)
    contact_id = serializers.CharField(allow_null=True)
    opportunity_id = serializers.CharField()
    old_status_id = serializers.CharField(allow_null=True)
    old_status_label = serializers.CharField(allow_null=True)
    old_status_type = serializers.CharField(allow_null=True)
    old_pipeline_id = serializers.CharField(allow_null=True)
    new_status_id = serializers.CharField()
    new_status_label = serializers.CharField(allow_null=True)
    new_status_type = serializers.CharField(allow_null=True)
    new_pipeline_id = serializers.CharField(allow_null=True)
    user_id = serializers.CharField(allow_null=True)
    users = serializers.ListField(child=serializers.CharField())
    created_by = serializers.CharField(allow_null=True)
    updated_by = serializers.CharField(allow_null=True)
    date_created = serializers.DateTimeField()
    date_updated = serializers.DateTimeField()
    activity_at = serializers.DateTimeField()


class OpportunityStatusChangeBody(StatusChangeLog):
    opportunity_id = serializers.CharField()


class _ChangeView(CloseView):
    def changes(self) -> QuerySet[OpportunityStatusChange]:
        """The organization's changes; those of opportunities that are not to be seen neither."""
        organization_id = self.request.caller.organization.pk
        live = opportunities_of(organization_id).filter(pk=OuterRef("opportunity_id"))
        return OpportunityStatusChange.objects.filter(Exists(live), organization_id=organization_id)

    def show(self, changes: Sequence[OpportunityStatusChange]) -> list[Shown]:
        statuses = OpportunityStatus.objects.filter(organization=self.request.caller.organization)
        known = {status.pk: status for status in statuses} if changes else {}
        answers = []
        for change in changes:
            moment, user = close_datetime(change.date_created), shown_id("user", change.user_id)
            shown: Shown = {
                "id": close_id("acti", change.pk),
                "_type": "OpportunityStatusChange",
                "organization_id": close_id("orga", change.organization_id),
                "lead_id": shown_id("lead", change.lead_id),
                "contact_id": None,
                "opportunity_id": close_id("oppo", change.opportunity_id),
                "old_status_id": shown_id("stat", change.old_status_id),
                **_status("old", known.get(change.old_status_id)),
                "new_status_id": close_id("stat", change.new_status_id),
                **_status("new", known.get(change.new_status_id)),
                "user_id": user,
                "users": [],
                "created_by": user,
                "updated_by": user,
                "date_created": moment,
                "date_updated": moment,
                "activity_at": moment,
            }
            answers.append(pick_fields(shown, self.fields))
        return answers


def _status(which: str, status: OpportunityStatus | None) -> Shown:
    return {
        f"{which}_status_label": status.label if status else None,
        f"{which}_status_type": status.type if status else None,
        f"{which}_pipeline_id": close_id("pipe", status.pipeline_id) if status else None,
    }


class OpportunityStatusChangesView(_ChangeView):
    @describe(
        "opportunity_status_change_list",
        "Lists the changes of opportunity statuses, newest first.",
        answer=page("OpportunityStatusChangePage", OpportunityStatusChangeAnswer),
        query=[*PAGING, FIELDS, *describe_filters(_IDS, _DATES)],
    )
    def get(self, request: CloseRequest) -> Response:
        changes = filter_dates(request, filter_ids(request, self.changes(), _IDS), _DATES, _COLUMNS)
        return paginate(request, changes.order_by("-id"), self.show)

    @describe(
        "opportunity_status_change_create",
        "Writes down a change of an opportunity's status. The opportunity stays as it is.",
        body=OpportunityStatusChangeBody,
        answer=OpportunityStatusChangeAnswer,
        query=[FIELDS],
    )
    def post(self, request: CloseRequest) -> Response:
        caller = request.caller
        reader = PartReader(self.body, request.tz)
        reader.needed_into("opportunity_id", "opportunity_id", "oppo")
        reader.change_into()
        change = log_opportunity_status_change(
            organization=caller.organization, by=caller.user, columns=reader.finished()
        )
        return Response(self.show([change])[0])


class OpportunityStatusChangeView(_ChangeView):
    @describe(
        "opportunity_status_change_get",
        "Gives a change of an opportunity's status.",
        answer=OpportunityStatusChangeAnswer,
        query=[FIELDS],
    )
    def get(self, request: CloseRequest, id: str) -> Response:
        change = self.changes().filter(pk=parse_close_id("acti", id)).first()
        if change is None:
            raise NotFound
        return Response(self.show([change])[0])

    @describe(
        "opportunity_status_change_delete",
        "Deletes the record of a change. The opportunity stays as it is.",
        answer=NOTHING,
    )
    def delete(self, request: CloseRequest, id: str) -> Response:
        delete_status_change(self.changes(), parse_close_id("acti", id))
        return Response({})


urlpatterns = [
    path("activity/status_change/opportunity/", OpportunityStatusChangesView.as_view()),
    path("activity/status_change/opportunity/<str:id>/", OpportunityStatusChangeView.as_view()),
]
