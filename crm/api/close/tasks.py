"""`/task/` (close-api.md 4.5)."""

from collections.abc import Sequence

from django.db.models import F, QuerySet
from django.urls import path
from rest_framework import serializers
from rest_framework.response import Response

from crm.api.close.conventions import CloseRequest, CloseView, paginate
from crm.api.close.dates import read_date_or_moment
from crm.api.close.inputs import Body
from crm.api.close.openapi import FIELDS, NOTHING, PAGING, Answer, describe, page, query_text
from crm.api.close.part_input import PartReader
from crm.api.close.record_schemas import text
from crm.api.close.showing import Shown
from crm.api.close.task_answers import serialize_tasks
from crm.api.close.task_filters import DESCRIBED, NAMES, filter_tasks, selects
from crm.errors import FieldErrors, Invalid, NotFound
from crm.ids import parse_close_id
from crm.models import Task, TaskType
from crm.tasks_to_do import create_task, delete_task, due_columns, tasks_of, update_task, update_tasks

_OF_CLIENTS = (TaskType.LEAD.value, TaskType.OUTGOING_CALL.value)
_PRIORITIES = ("high", "medium")
_ORDERS = {"date": "due_date", "due_date": "due_date", "date_created": "date_created", "date_updated": "date_updated"}
_ORDER_BY = query_text("_order_by", f"{', '.join(f'`{name}`' for name in _ORDERS)}; with `-` from the last one.")
_BULK_KEYS = {"assigned_to", "date", "due_date", "is_complete"}
_BULK_PARAMETERS = {*NAMES, "_fields", "_order_by", "format"}


class TaskAnswer(Answer):
    id = serializers.CharField()
    _type = serializers.CharField()
    organization_id = serializers.CharField()
    lead_id = serializers.CharField()
    lead_name = text()
    contact_id = text()
    contact_name = text()
    assigned_to = text()
    assigned_to_name = text()
    text = text()
    date = serializers.CharField(allow_null=True, help_text="A date, or a date and time.")
    due_date = serializers.CharField(allow_null=True, help_text="As `date`.")
    is_dateless = serializers.BooleanField()
    is_complete = serializers.BooleanField()
    priority = serializers.CharField(allow_null=True)
    view = serializers.CharField()
    object_id = serializers.CharField(allow_null=True)
    object_type = serializers.CharField(allow_null=True)
    created_by = serializers.CharField(allow_null=True)
    created_by_name = serializers.CharField(allow_null=True)
    updated_by = serializers.CharField(allow_null=True)
    updated_by_name = serializers.CharField(allow_null=True)
    date_created = serializers.DateTimeField()
    date_updated = serializers.DateTimeField()


class ManyTaskChanges(serializers.Serializer):
    assigned_to = text(required=False)
    date = serializers.CharField(required=False, allow_null=True, help_text="A date, or a date and time.")
    is_complete = serializers.BooleanField(required=False)


class TaskChanges(ManyTaskChanges):
    text = text(required=False)
    due_date = serializers.CharField(required=False, allow_null=True, help_text="As `date`.")
    contact_id = serializers.CharField(required=False, allow_null=True, help_text="A contact of the lead.")
    priority = serializers.ChoiceField(_PRIORITIES, required=False, allow_null=True)


class TaskBody(TaskChanges):
    _type = serializers.ChoiceField(_OF_CLIENTS, required=False)
    lead_id = serializers.CharField()


class _TaskView(CloseView):
    def tasks(self) -> QuerySet[Task]:
        return tasks_of(self.request.caller.organization.pk)

    def task_of(self, id: str) -> Task:
        found = self.tasks().filter(pk=parse_close_id("task", id)).first()
        if found is None:
            raise NotFound
        return found

    def answer(self, task: Task) -> Response:
        return Response(serialize_tasks([task], self.fields, self.request)[0])

    def reader(self, body: Body) -> PartReader:
        return PartReader(body, self.request.tz)


class TasksView(_TaskView):
    @describe(
        "task_list",
        "Lists the tasks of the type `lead`, newest first; others with `_type`.",
        answer=page("TaskPage", TaskAnswer),
        query=[*PAGING, FIELDS, _ORDER_BY, *DESCRIBED],
    )
    def get(self, request: CloseRequest) -> Response:
        def show(page: Sequence[Task]) -> list[Shown]:
            return serialize_tasks(page, self.fields, request)

        return paginate(request, _ordered(request, filter_tasks(request, self.tasks())), show)

    @describe("task_create", "Makes a task.", body=TaskBody, answer=TaskAnswer, query=[FIELDS])
    def post(self, request: CloseRequest) -> Response:
        reader = self.reader(self.body)
        reader.lead_into()
        reader.choice_into("type", "_type", _OF_CLIENTS)
        columns = _read_task(reader)
        caller = request.caller
        return self.answer(create_task(organization=caller.organization, by=caller.user, columns=columns))

    @describe(
        "task_bulk_update",
        "Changes all tasks that the filters select, at once. Without any filter it is refused.",
        body=ManyTaskChanges,
        answer=NOTHING,
        query=[FIELDS, _ORDER_BY, *DESCRIBED],
    )
    def put(self, request: CloseRequest) -> Response:
        # What is passed over here would change more tasks than were meant.
        unknown = [name for name in request.query_params if name not in _BULK_PARAMETERS]
        unknown_keys = [name for name in self.body if name not in _BULK_KEYS]
        if unknown or unknown_keys:
            raise FieldErrors(dict.fromkeys([*unknown, *unknown_keys], "unknown field"))
        if not selects(request):
            raise Invalid(["A bulk update needs a filter, such as id__in."])
        columns = _read_task(self.reader(self.body))
        if not columns:
            raise Invalid([f"Nothing to change. One of: {', '.join(sorted(_BULK_KEYS))}."])
        caller = request.caller
        update_tasks(
            tasks=filter_tasks(request, self.tasks()),
            organization=caller.organization,
            by=caller.user,
            columns=columns,
        )
        return Response({})


class TaskView(_TaskView):
    @describe("task_get", "Gives a task.", answer=TaskAnswer, query=[FIELDS])
    def get(self, request: CloseRequest, id: str) -> Response:
        return self.answer(self.task_of(id))

    @describe(
        "task_update",
        "Changes what is given of a task; the lead stays.",
        body=TaskChanges,
        answer=TaskAnswer,
        query=[FIELDS],
    )
    def put(self, request: CloseRequest, id: str) -> Response:
        caller = request.caller
        task = self.task_of(id)
        columns = _read_task(self.reader(self.body))
        return self.answer(
            update_task(task_id=task.pk, organization=caller.organization, by=caller.user, columns=columns)
        )

    @describe("task_delete", "Deletes a task.", answer=NOTHING)
    def delete(self, request: CloseRequest, id: str) -> Response:
        delete_task(task_id=self.task_of(id).pk, organization=request.caller.organization)
        return Response({})


def _read_task(reader: PartReader) -> dict[str, object]:
    """The columns of what any write may name."""
    if "text" in reader.body:
        reader.columns["text"] = reader.text("text") or ""
    reader.reference_into("contact_id", "contact_id", "cont")
    reader.reference_into("assigned_to_id", "assigned_to", "user")
    for key in ("due_date", "date"):
        if key in reader.body:
            value = reader.body[key]
            due = None if value in (None, "") else reader.attempt(lambda key=key: _due(reader, key), None)
            reader.columns |= due_columns(due)
    if reader.given("is_complete"):
        reader.columns["is_complete"] = reader.flag("is_complete")
    if "priority" in reader.body:
        reader.columns["priority"] = None
        reader.choice_into("priority", "priority", _PRIORITIES)
    return reader.finished()


def _due(reader: PartReader, key: str) -> object:
    return read_date_or_moment(key, reader.body[key])


def _ordered(request: CloseRequest, tasks: QuerySet[Task]) -> QuerySet[Task]:
    asked = request.query_params.get("_order_by", "").strip()
    if not asked:
        return tasks.order_by("-id")
    column = _ORDERS.get(asked.removeprefix("-"))
    if column is None:
        raise FieldErrors({"_order_by": f"Not a valid choice. One of: {', '.join(_ORDERS)}."})
    if asked.startswith("-"):
        return tasks.order_by(F(column).desc(nulls_last=True), "-id")
    return tasks.order_by(F(column).asc(nulls_last=True), "id")


urlpatterns = [
    path("task/", TasksView.as_view()),
    path("task/<str:id>/", TaskView.as_view()),
]
