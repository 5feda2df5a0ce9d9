"""What a list of opportunities can be narrowed to (close-api.md 4.3)."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db.models import QuerySet

from crm.api.close.conventions import CloseRequest
from crm.api.close.dates import end_of, read_date_or_moment, start_of
from crm.api.close.list_filters import (
    COMPARISONS,
    IdFilters,
    date_filters,
    describe_filters,
    filter_dates,
    filter_ids,
    words_of,
)
from crm.api.close.openapi import query_text
from crm.errors import FieldErrors
from crm.models import Opportunity, StatusType, ValuePeriod

_IDS: IdFilters = {
    f"{name}{suffix}": (prefix, column)
    for name, prefix, column in (
        ("id", "oppo", "pk"),
        ("lead_id", "lead", "lead_id"),
        ("contact_id", "cont", "contact_id"),
        ("user_id", "user", "user_id"),
        ("status_id", "stat", "status_id"),
        ("pipeline_id", "pipe", "status__pipeline_id"),
        ("organization_id", "orga", "organization_id"),
    )
    for suffix in ("", "__in")
}
# Parameter -> (column, the words that there are; None for any). `status` is what older clients call the label.
_WORDS: Mapping[str, tuple[str, list[str] | None]] = {
    "status_label": ("status__label", None),
    "status": ("status__label", None),
    "status_type": ("status__type", StatusType.values),
    "value_period": ("value_period", ValuePeriod.values),
}
_MOMENTS = ("date_created", "date_updated", "date_lost")
_MOMENT_RANGES = date_filters(*_MOMENTS)
_DAY_RANGES = date_filters("date_won")
_UNSUPPORTED = ("is_stalled",)

FILTERS = [
    *describe_filters(_IDS, [*_MOMENTS, *_MOMENT_RANGES, "date_won", *_DAY_RANGES]),
    *(
        query_text(f"{name}{suffix}", f"Any word out of: {', '.join(words)}." if words else "Labels of statuses.")
        for name, (_, words) in _WORDS.items()
        for suffix in ("", "__in")
    ),
]


def filtered(request: CloseRequest, rows: QuerySet[Opportunity]) -> QuerySet[Opportunity]:
    """Those that the query asks for. What would narrow them and is not supported is a 400, never passed over."""
    for name in _UNSUPPORTED:
        if request.query_params.get(name, "").strip() not in ("", "*"):
            raise FieldErrors({name: "Not supported yet."})
    rows = filter_ids(request, rows, _IDS)
    for name, (column, known) in _WORDS.items():
        rows = _filter_words(request, rows, name, column, known)
    rows = filter_dates(request, rows, _MOMENT_RANGES)
    for name in _MOMENTS:
        if text := request.query_params.get(name):
            rows = rows.filter(**{f"{name}__{sign}": moment for sign, moment in _bounds(name, text, request).items()})
    for name in ("date_won", *(f"date_won__{comparison}" for comparison in COMPARISONS)):
        if text := request.query_params.get(name):
            found = read_date_or_moment(name, text)
            rows = rows.filter(**{name: found.astimezone(request.tz).date() if isinstance(found, datetime) else found})
    return rows


def _filter_words(
    request: CloseRequest, rows: QuerySet[Opportunity], name: str, column: str, known: list[str] | None
) -> QuerySet[Opportunity]:
    for parameter in (name, f"{name}__in"):
        # A label may have a comma of its own; only `__in` is a list.
        text = request.query_params.get(parameter, "").strip()
        words = words_of(request, parameter) if parameter != name else [text] if text else []
        if known and not set(words) <= set(known):
            raise FieldErrors({parameter: f"Not a valid choice. One of: {', '.join(known)}."})
        if words:
            rows = rows.filter(**{f"{column}__in": words})
    return rows


def _bounds(name: str, text: str, request: CloseRequest) -> dict[str, datetime]:
    """A day in the caller's zone, or a moment to the microsecond."""
    found = read_date_or_moment(name, text)
    if isinstance(found, datetime):
        return {"gte": found, "lt": found + timedelta(microseconds=1)}
    return {"gte": start_of(found, request.tz), "lt": end_of(found, request.tz)}
