"""`/activity/status_change/lead/`: which lead went from which status to which, when, and by whom."""

from collections.abc import Sequence

from django.db.models import Exists, OuterRef, QuerySet
from django.urls import path
from rest_framework import serializers
from rest_framework.response import Response

from crm.api.close.answers import shown_id
from crm.api.close.conventions import CloseRequest, CloseView, close_datetime, paginate, pick_fields
from crm.api.close.list_filters import date_filters, describe_filters, filter_dates, filter_ids
from crm.api.close.openapi import FIELDS, NOTHING, PAGING, Answer, describe, page
from crm.api.close.part_input import PartReader
from crm.errors import NotFound
from crm.ids import close_id, parse_close_id
from crm.leads import leads_of
from crm.models import Lead, LeadStatus, LeadStatusChange
from crm.status_logs import delete_status_change, log_lead_status_change

_ID_FILTERS = {
    "id__in": ("acti", "pk"),
    "lead_id": ("lead", "lead_id"),
    "user_id": ("user", "user_id"),
    "organization_id": ("orga", "organization_id"),
}
_DATES = [*date_filters("date_created"), *date_filters("activity_at")]
_COLUMNS = {"activity_at": "date_created"}


class StatusChangeAnswer(Answer):
    id = serializers.CharField()
    _type = serializers.CharField()
    organization_id = serializers.CharField()
    lead_id = serializers.CharField()
    old_status_id = serializers.CharField(allow_null=True)
    old_status_label = serializers.CharField(allow_null=True)
    new_status_id = serializers.CharField()
    new_status_label = serializers.CharField(allow_null=True)
    user_id = serializers.CharField(allow_null=True)
    created_by = serializers.CharField(allow_null=True)
    bulk_action_id = serializers.CharField(allow_null=True)
    date_created = serializers.DateTimeField()
    activity_at = serializers.DateTimeField()


class StatusChangeLog(serializers.Serializer):
    """What every change of a status has that is written down by hand."""

    old_status_id = serializers.CharField(required=False, allow_null=True)
    new_status_id = serializers.CharField()
    user_id = serializers.CharField(required=False, allow_null=True, help_text="Without it, the caller.")
    date_created = serializers.DateTimeField(required=False, allow_null=True, help_text="Without it, now.")
    activity_at = serializers.DateTimeField(required=False, allow_null=True, help_text="As `date_created`.")


class LeadStatusChangeBody(StatusChangeLog):
    lead_id = serializers.CharField()


def _show(changes: Sequence[LeadStatusChange], request: CloseRequest) -> list[dict[str, object]]:
    statuses = LeadStatus.objects.filter(organization=request.caller.organization)
    labels = dict(statuses.values_list("pk", "label")) if changes else {}
    return [
        {
            "id": close_id("acti", change.pk),
            "_type": "LeadStatusChange",
            "organization_id": close_id("orga", change.organization_id),
            "lead_id": close_id("lead", change.lead_id),
            "old_status_id": shown_id("stat", change.old_status_id),
            "old_status_label": labels.get(change.old_status_id),
            "new_status_id": close_id("stat", change.new_status_id),
            "new_status_label": labels.get(change.new_status_id),
            "user_id": shown_id("user", change.user_id),
            "created_by": shown_id("user", change.user_id),
            "bulk_action_id": shown_id("bulkedit", change.bulk_action_id),
            "date_created": close_datetime(change.date_created),
            "activity_at": close_datetime(change.date_created),
        }
        for change in changes
    ]


def _changes_of(request: CloseRequest) -> QuerySet[LeadStatusChange]:
    """The organization's changes; those of a deleted lead are not to be seen."""
    organization_id = request.caller.organization.pk
    live: QuerySet[Lead] = leads_of(organization_id).filter(pk=OuterRef("lead_id"))
    return LeadStatusChange.objects.filter(Exists(live), organization_id=organization_id)


class StatusChangesView(CloseView):
    @describe(
        "lead_status_change_list",
        "Lists the changes of lead statuses, newest first.",
        answer=page("LeadStatusChangePage", StatusChangeAnswer),
        query=[*PAGING, FIELDS, *describe_filters(_ID_FILTERS, _DATES)],
    )
    def get(self, request: CloseRequest) -> Response:
        changes = filter_ids(request, _changes_of(request), _ID_FILTERS)
        changes = filter_dates(request, changes, _DATES, _COLUMNS)

        def show(page: Sequence[LeadStatusChange]) -> list[dict[str, object]]:
            return [pick_fields(shown, self.fields) for shown in _show(page, request)]

        return paginate(request, changes.order_by("-id"), show)

    @describe(
        "lead_status_change_create",
        "Writes down a change of a lead's status. The lead stays as it is.",
        body=LeadStatusChangeBody,
        answer=StatusChangeAnswer,
        query=[FIELDS],
    )
    def post(self, request: CloseRequest) -> Response:
        caller = request.caller
        reader = PartReader(self.body, request.tz)
        reader.lead_into()
        reader.change_into()
        change = log_lead_status_change(organization=caller.organization, by=caller.user, columns=reader.finished())
        return Response(pick_fields(_show([change], request)[0], self.fields))


class StatusChangeView(CloseView):
    @describe("lead_status_change_get", "Gives a change of a lead's status.", answer=StatusChangeAnswer, query=[FIELDS])
    def get(self, request: CloseRequest, id: str) -> Response:
        change = _changes_of(request).filter(pk=parse_close_id("acti", id)).first()
        if change is None:
            raise NotFound
        return Response(pick_fields(_show([change], request)[0], self.fields))

    @describe("lead_status_change_delete", "Deletes the record of a change. The lead stays as it is.", answer=NOTHING)
    def delete(self, request: CloseRequest, id: str) -> Response:
        delete_status_change(_changes_of(request), parse_close_id("acti", id))
        return Response({})


urlpatterns = [
    path("activity/status_change/lead/", StatusChangesView.as_view()),
    path("activity/status_change/lead/<str:id>/", StatusChangeView.as_view()),
]
