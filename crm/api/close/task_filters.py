"""The filters of the task list, which are those of the bulk update too (close-api.md 4.5)."""

from datetime import UTC, date, datetime, tzinfo

from django.db.models import Q, QuerySet

from crm.api.close.conventions import CloseRequest
from crm.api.close.dates import end_of, read_date_or_moment, start_of
from crm.api.close.list_filters import (
    COMPARISONS,
    date_filters,
    describe_filters,
    filter_dates,
    filter_ids,
    read_flag,
    words_of,
)
from crm.api.close.openapi import query_text
from crm.errors import FieldErrors
from crm.models import Task, TaskType

_IDS = {
    "id": ("task", "pk"),
    "id__in": ("task", "pk"),
    "lead_id": ("lead", "lead_id"),
    "contact_id": ("cont", "contact_id"),
    "assigned_to": ("user", "assigned_to_id"),
    "organization_id": ("orga", "organization_id"),
}
_DATES = date_filters("date_created", "date_updated")
_DUE = [f"{name}{suffix}" for name in ("date", "due_date") for suffix in ("", *(f"__{word}" for word in COMPARISONS))]
_VIEWS = ("inbox", "future", "archive")
_TYPES = {
    "_type": "`lead` (without the parameter), another type, or `all`.",
    "_type__in": "Types, separated by commas.",
}
_OTHERS = {"is_complete": "`true` or `false`.", "view": "`inbox`, `future` or `archive`."}
NAMES = (*_IDS, *_DATES, *_DUE, *_TYPES, *_OTHERS)
# These leave everything in, or nothing but one organization's: no bulk update goes by them alone.
_SELECT_NOTHING = ("organization_id", "_type", "_type__in")
DESCRIBED = [
    *describe_filters(_IDS, [*_DATES, *_DUE]),
    *(query_text(name, words) for name, words in {**_TYPES, **_OTHERS}.items()),
]


def filter_tasks(request: CloseRequest, tasks: QuerySet[Task]) -> QuerySet[Task]:
    """Those of `tasks` that the parameters leave; of other types than `lead` only where they are asked for."""
    tasks = filter_dates(request, filter_ids(request, _of_types(request, tasks), _IDS), _DATES)
    for name in _DUE:
        if text := request.query_params.get(name):
            comparison = name.rpartition("__")[2] if "__" in name else "exact"
            tasks = tasks.filter(_due(comparison, read_date_or_moment(name, text), request.tz))
    if text := request.query_params.get("is_complete"):
        tasks = tasks.filter(is_complete=read_flag("is_complete", text))
    if view := request.query_params.get("view"):
        tasks = tasks.filter(_in_view(view, request.tz))
    return tasks


def selects(request: CloseRequest) -> bool:
    """Whether some parameter says which tasks are meant. `FieldErrors` for an empty one, which would say nothing."""
    given = [name for name in NAMES if name in request.query_params]
    if empty := [name for name in given if not request.query_params[name].strip(" ,")]:
        raise FieldErrors(dict.fromkeys(empty, "This field is required."))
    return any(name not in _SELECT_NOTHING for name in given)


def _of_types(request: CloseRequest, tasks: QuerySet[Task]) -> QuerySet[Task]:
    words: list[str] = []
    for name in _TYPES:
        found = words_of(request, name)
        if any(word != "all" and word not in TaskType.values for word in found):
            raise FieldErrors({name: f"Not a valid choice. One of: all, {', '.join(TaskType.values)}."})
        words += found
    return tasks if "all" in words else tasks.filter(type__in=words or [TaskType.LEAD])


def _due(comparison: str, value: date | datetime, zone: tzinfo) -> Q:
    """A task of a whole day counts as the start of that day in `zone`; a plain date as value means that whole day."""
    if isinstance(value, datetime):
        local = value.astimezone(zone)
        day = local.date()
        starts_day = local == start_of(day, zone)
        on_day = {
            "gte": Q(due_date__gte=day) if starts_day else Q(due_date__gt=day),
            "gt": Q(due_date__gt=day),
            "lte": Q(due_date__lte=day),
            "lt": Q(due_date__lt=day) if starts_day else Q(due_date__lte=day),
            "exact": Q(due_date=day) if starts_day else Q(pk__in=[]),
        }[comparison]
        return Q(**{f"due_at__{comparison}": value}) | Q(due_at__isnull=True) & on_day
    start, end = start_of(value, zone), end_of(value, zone)
    at_moment = {
        "gte": Q(due_at__gte=start),
        "gt": Q(due_at__gte=end),
        "lte": Q(due_at__lt=end),
        "lt": Q(due_at__lt=start),
        "exact": Q(due_at__gte=start, due_at__lt=end),
    }[comparison]
    return at_moment | Q(due_at__isnull=True) & Q(**{f"due_date__{comparison}": value})


def _in_view(view: str, zone: tzinfo) -> Q:
    today = datetime.now(UTC).astimezone(zone).date()
    if view == "archive":
        return Q(is_complete=True)
    if view == "future":
        return Q(is_complete=False) & _due("gt", today, zone)
    if view == "inbox":
        return Q(is_complete=False) & (Q(due_date__isnull=True) | _due("lte", today, zone))
    raise FieldErrors({"view": f"Not a valid choice. One of: {', '.join(_VIEWS)}."})
