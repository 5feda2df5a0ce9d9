"""Filters of lists: ids, dates, yes or no (close-api.md 1.6). An empty parameter is no filter."""

from collections.abc import Mapping, Sequence
from typing import TypeVar
from uuid import UUID

from django.db.models import Model, QuerySet

from crm.api.close.conventions import CloseRequest
from crm.api.close.dates import read_moment
from crm.api.close.openapi import query_text
from crm.errors import FieldErrors
from crm.ids import parse_close_id

COMPARISONS = ("gte", "gt", "lte", "lt")
M = TypeVar("M", bound=Model)
IdFilters = Mapping[str, tuple[str, str]]  # parameter -> (prefix of the ids, column)


def date_filters(*columns: str) -> list[str]:
    """The names of the range filters of these columns."""
    return [f"{column}__{comparison}" for column in columns for comparison in COMPARISONS]


def describe_filters(ids: IdFilters, dates: Sequence[str]) -> list[object]:
    return [
        *(query_text(name, "Ids, separated by commas.") for name in ids),
        *(query_text(name, "A date, or a date and time in ISO 8601.") for name in dates),
    ]


def words_of(request: CloseRequest, name: str) -> list[str]:
    """The words of a comma list; none where the parameter is missing or empty."""
    return [word.strip() for word in request.query_params.get(name, "").split(",") if word.strip()]


def keys_of(words: Sequence[str], prefix: str) -> list[UUID]:
    """The keys behind the ids; those of another form are unknown ids and match nothing."""
    return [key for word in words if (key := parse_close_id(prefix, word))]


def filter_ids(request: CloseRequest, rows: QuerySet[M], filters: IdFilters) -> QuerySet[M]:
    for name, (prefix, column) in filters.items():
        if words := words_of(request, name):
            rows = rows.filter(**{f"{column}__in": keys_of(words, prefix)})
    return rows


def filter_dates(
    request: CloseRequest, rows: QuerySet[M], names: Sequence[str], columns: Mapping[str, str] | None = None
) -> QuerySet[M]:
    """`columns`: the columns of those that are not named as their filters are."""
    for name in names:
        if text := request.query_params.get(name):
            column, _, comparison = name.rpartition("__")
            lookup = f"{(columns or {}).get(column, column)}__{comparison}"
            rows = rows.filter(**{lookup: read_moment(name, text, request.tz)})
    return rows


def read_flag(name: str, text: str) -> bool:
    flag = {"true": True, "1": True, "false": False, "0": False}.get(text.strip().lower())
    if flag is None:
        raise FieldErrors({name: "Value must be true or false."})
    return flag
