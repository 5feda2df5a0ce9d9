"""`/activity/` and below it one address for each type of activity (close-api.md 4.11)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.db.models import QuerySet
from django.urls import URLPattern, path
from rest_framework import serializers
from rest_framework.response import Response

from crm.activities import activities_of, create_activity, delete_activity, update_activity
from crm.api.close import activity_input as inputs
from crm.api.close import activity_schemas as schemas
from crm.api.close.activity_answers import WORDS, Shown, serialize_activities
from crm.api.close.conventions import CloseRequest, CloseView, paginate
from crm.api.close.list_filters import date_filters, describe_filters, filter_dates, filter_ids, words_of
from crm.api.close.openapi import FIELDS, NOTHING, PAGING, describe, page, query_text
from crm.api.close.part_input import PartReader
from crm.errors import FieldErrors, NotFound
from crm.ids import parse_close_id
from crm.mail.single import create_email, delete_email, update_email
from crm.models import Activity, ActivityType

_IDS = {
    "id__in": ("acti", "pk"),
    "lead_id": ("lead", "lead_id"),
    "contact_id": ("cont", "contact_id"),
    "user_id": ("user", "user_id"),
    "organization_id": ("orga", "organization_id"),
}
_DATES = date_filters("date_created", "activity_at")
_TYPES = {word: type for type, word in WORDS.items()}
_TYPE_FILTERS = ("_type", "_type__in")
_FILTERS = [
    *describe_filters(_IDS, _DATES),
    *(query_text(name, "`Note`, `Call`, ...; several separated by commas.") for name in _TYPE_FILTERS),
]


@dataclass(frozen=True)
class Kind:
    """One type of activity, and how it is read and shown."""

    type: ActivityType
    read: inputs.Read
    answer: type[serializers.Serializer]
    changes: type[serializers.Serializer]
    body: type[serializers.Serializer]
    create: Callable[..., Activity] = create_activity
    update: Callable[..., Activity] = update_activity
    delete: Callable[..., None] = delete_activity
    purpose: str = "Nothing is sent."


KINDS = (
    Kind(ActivityType.NOTE, inputs.read_note, schemas.NoteAnswer, schemas.NoteChanges, schemas.NoteBody),
    Kind(ActivityType.CALL, inputs.read_call, schemas.CallAnswer, schemas.CallChanges, schemas.CallBody),
    Kind(
        ActivityType.EMAIL,
        inputs.read_email,
        schemas.EmailActivityAnswer,
        schemas.EmailChanges,
        schemas.EmailActivityBody,
        create_email,
        update_email,
        delete_email,
        "With the status `outbox` or `scheduled` it is sent.",
    ),
    Kind(ActivityType.SMS, inputs.read_sms, schemas.SmsAnswer, schemas.SmsChanges, schemas.SmsBody),
    Kind(ActivityType.MEETING, inputs.read_meeting, schemas.MeetingAnswer, schemas.MeetingChanges, schemas.MeetingBody),
)


class _ActivityView(CloseView):
    kind: Kind = KINDS[0]  # set by `as_view`

    def activities(self) -> QuerySet[Activity]:
        return activities_of(self.request.caller.organization.pk)

    def activity_of(self, id: str) -> Activity:
        found = self.activities().filter(type=self.kind.type, pk=parse_close_id("acti", id)).first()
        if found is None:
            raise NotFound
        return found

    def listed(self, request: CloseRequest, rows: QuerySet[Activity]) -> Response:
        """A page of those that the filters leave, the latest first."""

        def show(page: Sequence[Activity]) -> list[Shown]:
            return serialize_activities(page, self.fields)

        for name in _TYPE_FILTERS:
            if words := words_of(request, name):
                if not set(words) <= set(_TYPES):
                    raise FieldErrors({name: f"Not a valid choice. One of: {', '.join(_TYPES)}."})
                rows = rows.filter(type__in=[_TYPES[word] for word in words])
        rows = filter_dates(request, filter_ids(request, rows, _IDS), _DATES)
        return paginate(request, rows.order_by("-activity_at", "-id"), show)

    def answer(self, activity: Activity) -> Response:
        return Response(serialize_activities([activity], self.fields)[0])

    def read(self, current: Activity | None) -> inputs.Columns:
        return inputs.read_activity(PartReader(self.body, self.request.tz), current, self.kind.read)


class ActivitiesView(_ActivityView):
    @describe(
        "activity_list",
        "Lists the activities of all types, the latest first.",
        answer=page("ActivityPage", schemas.ActivityAnswer),
        query=[*PAGING, FIELDS, *_FILTERS],
    )
    def get(self, request: CloseRequest) -> Response:
        return self.listed(request, self.activities())


def _addresses(kind: Kind) -> list[URLPattern]:
    """The two addresses of a type. Each has views of its own, since each takes and gives something else."""
    word = WORDS[kind.type]
    name = kind.type.value

    class ListView(_ActivityView):
        @describe(
            f"activity_{name}_list",
            f"Lists the activities of the type {word}, the latest first.",
            answer=page(f"{word}Page", kind.answer),
            query=[*PAGING, FIELDS, *_FILTERS],
        )
        def get(self, request: CloseRequest) -> Response:
            return self.listed(request, self.activities().filter(type=self.kind.type))

        @describe(
            f"activity_{name}_create",
            f"Writes down an activity of the type {word}. {kind.purpose}",
            body=kind.body,
            answer=kind.answer,
            query=[FIELDS],
        )
        def post(self, request: CloseRequest) -> Response:
            caller = request.caller
            columns = self.read(None)
            return self.answer(
                kind.create(
                    organization=caller.organization, by=caller.user, type=self.kind.type.value, columns=columns
                )
            )

    class OneView(_ActivityView):
        @describe(f"activity_{name}_get", f"Gives one {word}.", answer=kind.answer, query=[FIELDS])
        def get(self, request: CloseRequest, id: str) -> Response:
            return self.answer(self.activity_of(id))

        @describe(
            f"activity_{name}_update",
            f"Changes what is given of a {word}; the lead stays.",
            body=kind.changes,
            answer=kind.answer,
            query=[FIELDS],
        )
        def put(self, request: CloseRequest, id: str) -> Response:
            caller = request.caller
            activity = self.activity_of(id)
            columns = self.read(activity)
            return self.answer(
                kind.update(activity_id=activity.pk, organization=caller.organization, by=caller.user, columns=columns)
            )

        @describe(f"activity_{name}_delete", f"Deletes one {word}.", answer=NOTHING)
        def delete(self, request: CloseRequest, id: str) -> Response:
            kind.delete(activity_id=self.activity_of(id).pk, organization=request.caller.organization)
            return Response({})

    return [
        path(f"activity/{name}/", ListView.as_view(kind=kind)),
        path(f"activity/{name}/<str:id>/", OneView.as_view(kind=kind)),
    ]


urlpatterns = [
    path("activity/", ActivitiesView.as_view()),
    *(address for kind in KINDS for address in _addresses(kind)),
]
