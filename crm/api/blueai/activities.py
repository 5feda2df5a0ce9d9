"""`/crm/activities` (blueai-api.md 5)."""

from collections.abc import Sequence
from uuid import UUID

from django.urls import path
from rest_framework import serializers
from rest_framework.response import Response

from crm.activities import all_activities_of, create_entry, delete_activity, update_entry
from crm.api.blueai.conventions import BlueAIRequest, BlueAIView, key_in_path, moment, shown_id
from crm.api.blueai.deal_schemas import BlueAITimelineEntry
from crm.api.blueai.inputs import Body
from crm.api.blueai.lists import listed, made_between, ordered
from crm.api.blueai.openapi import LIST_QUERY, ORDER_QUERY, Success, describe, wrapped
from crm.api.blueai.openapi import listed as list_answer
from crm.api.blueai.references import check_references, told_as_references
from crm.api.blueai.timeline import SHOWN_TYPES
from crm.api.close.openapi import query_text
from crm.contacts import contacts_of
from crm.errors import FieldErrors, NotFound
from crm.ids import hex_id, parse_hex_id
from crm.models import Activity
from crm.opportunities import deals_of

KEYS = ("type", "content", "deal_id", "contact_id")
_SORTS = {"created_at": "date_created"}
_TYPES = tuple(str(value) for value in SHOWN_TYPES)


class BlueAIActivityChange(serializers.Serializer):
    type = serializers.ChoiceField(_TYPES, required=False)
    content = serializers.CharField(required=False, allow_null=True)
    deal_id = serializers.CharField(required=False, allow_null=True)
    contact_id = serializers.CharField(required=False, allow_null=True)


class BlueAIActivityBody(BlueAIActivityChange):
    type = serializers.ChoiceField(_TYPES)


ANSWER = wrapped("BlueAIActivityWrapped", "activity", BlueAITimelineEntry)


def show_activities(activities: Sequence[Activity]) -> list[dict[str, object]]:
    return [
        {
            "id": hex_id("act", activity.pk),
            "type": activity.type,
            "content": activity.text if activity.text is not None else activity.title,
            "deal_id": shown_id("deal", activity.opportunity_id),
            "contact_id": shown_id("cont", activity.contact_id),
            "created_by": shown_id("usr", activity.created_by_id),
            "created_at": moment(activity.date_created),
        }
        for activity in activities
    ]


class _ActivityView(BlueAIView):
    def columns(self, *, is_new: bool) -> dict[str, object]:
        """What the body says. Raises `FieldErrors`, and `Unprocessable` for a deal or a contact that is not there."""
        body = Body(self.body_of(KEYS))
        kind = body.choice("type", _TYPES, required=is_new)
        if kind is None and body.has("type"):
            body.problems.setdefault("type", "is required")
        content = body.text("content")
        deal, contact = body.key("deal_id", "deal"), body.key("contact_id", "cont")
        body.close()
        organization_id = self.organization.pk
        check_references(deal_id=(deal, deals_of(organization_id)), contact_id=(contact, contacts_of(organization_id)))
        read = {"type": kind, "content": content, "deal_id": deal, "contact_id": contact}
        names = {"type": "type", "content": "text", "deal_id": "opportunity_id", "contact_id": "contact_id"}
        return {names[key]: value for key, value in read.items() if is_new or body.has(key)}

    def answer(self, activity: Activity, status: int = 200) -> Response:
        return Response({"activity": show_activities([activity])[0]}, status=status)


class ActivitiesView(_ActivityView):
    creates = True

    @describe(
        "activity_list", "Lists the activities.", answer=list_answer("BlueAIActivityPage", BlueAITimelineEntry),
        query=[
            *LIST_QUERY, *ORDER_QUERY,
            query_text("type", f"Only these: {', '.join(_TYPES)}."),
            query_text("deal_id", "Only those of this deal."),
            query_text("contact_id", "Only those of this contact."),
        ],
    )  # fmt: skip
    def get(self, request: BlueAIRequest) -> Response:
        rows = made_between(request, all_activities_of(self.organization.pk).filter(type__in=_TYPES))
        if kind := request.query_params.get("type"):
            if kind not in _TYPES:
                raise FieldErrors({"type": f"must be one of: {', '.join(_TYPES)}"})
            rows = rows.filter(type=kind)
        for name, prefix, column in (("deal_id", "deal", "opportunity"), ("contact_id", "cont", "contact")):
            if text := request.query_params.get(name):
                key = parse_hex_id(prefix, text)
                rows = rows.filter(**{column: key}) if key else rows.none()
        return listed(request, ordered(request, rows, _SORTS), show_activities, name="activity")

    @describe("activity_create", "Writes an activity down.", body=BlueAIActivityBody, answer=ANSWER, status=201)
    def post(self, request: BlueAIRequest) -> Response:
        columns = self.columns(is_new=True)
        with told_as_references():
            made = create_entry(organization=self.organization, by=request.caller.user, columns=columns)
        return self.answer(made, 201)


class ActivityView(_ActivityView):
    @describe("activity_get", "Gives an activity.", answer=ANSWER)
    def get(self, request: BlueAIRequest, id: str) -> Response:
        return self.answer(self._activity(id))

    @describe("activity_update", "Changes what is sent of an activity.", body=BlueAIActivityChange, answer=ANSWER)
    def patch(self, request: BlueAIRequest, id: str) -> Response:
        key = self._activity(id).pk
        columns = self.columns(is_new=False)
        with told_as_references():
            changed = update_entry(
                activity_id=key, organization=self.organization, by=request.caller.user, columns=columns
            )
        return self.answer(changed)

    @describe("activity_delete", "Deletes an activity.", answer=Success)
    def delete(self, request: BlueAIRequest, id: str) -> Response:
        delete_activity(activity_id=self._activity(id).pk, organization=self.organization)
        return Response({"success": True})

    def _activity(self, id: str) -> Activity:
        key: UUID = key_in_path("act", id)
        found = all_activities_of(self.organization.pk).filter(pk=key, type__in=_TYPES).first()
        if found is None:
            raise NotFound
        return found


urlpatterns = [path("activities/", ActivitiesView.as_view()), path("activities/<str:id>/", ActivityView.as_view())]
