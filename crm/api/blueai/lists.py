"""Lists in the two published dialects (blueai-api.md 1): `limit` and `offset`, or `page` and `per_page`."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from django.db.models import F, Model, OrderBy, Q, QuerySet
from django.utils.dateparse import parse_date, parse_datetime
from rest_framework.request import Request
from rest_framework.response import Response

from crm.errors import FieldErrors

DEFAULT_SIZE = 50
MAX_LIMIT = 200
MAX_PER_PAGE = 100
MAX_OFFSET = 10_000_000  # rows; a later one is refused rather than counted up to
MAX_SEARCH = 255  # characters

M = TypeVar("M", bound=Model)
Serialize = Callable[[Sequence[M]], Sequence[Mapping[str, object]]]


@dataclass(frozen=True)
class Paging:
    """Which rows are asked for, and in which dialect they are to be answered."""

    offset: int
    size: int
    is_guide: bool  # `object`, `data`, `pagination`


def paging_of(request: Request) -> Paging:
    """Raises `FieldErrors` for what is no whole number in its bounds: nothing is clamped."""
    query, problems = request.query_params, dict[str, object]()

    def number(name: str, default: int, lowest: int, highest: int) -> int:
        text = query.get(name, "").strip()
        if not text:
            return default
        found = int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None
        if found is None or not lowest <= found <= highest:
            problems[name] = f"must be a whole number from {lowest} to {highest}"
            return default
        return found

    is_guide = "page" in query or "per_page" in query
    if is_guide:
        size = number("per_page", DEFAULT_SIZE, 1, MAX_PER_PAGE)
        paging = Paging((number("page", 1, 1, MAX_OFFSET // MAX_PER_PAGE) - 1) * size, size, True)
    else:
        limit = number("limit", DEFAULT_SIZE, 1, MAX_LIMIT)
        paging = Paging(number("offset", 0, 0, MAX_OFFSET), limit, False)
    if problems:
        raise FieldErrors(problems)
    return paging


def listed(
    request: Request, rows: QuerySet[M], serialize: Serialize[M], *, name: str, n_total: int | None = None
) -> Response:
    """The page that the request asks for. `name`: what an object of the guides' dialect calls itself."""
    paging = paging_of(request)
    total = rows.count() if n_total is None else n_total
    shown = serialize(list(rows[paging.offset : paging.offset + paging.size]))
    if not paging.is_guide:
        return Response({"items": shown, "total": total, "limit": paging.size, "offset": paging.offset})
    return Response(
        {
            "object": "list",
            "data": [{"object": name, **item} for item in shown],
            "pagination": {
                "page": paging.offset // paging.size + 1,
                "per_page": paging.size,
                "total": total,
                "total_pages": math.ceil(total / paging.size),
            },
        }
    )


def ordered(request: Request, rows: QuerySet[M], columns: Mapping[str, object]) -> QuerySet[M]:
    """By `sort=column` with `order=asc|desc`, or by `sort=name:asc,created_at:desc`; ties by id, newest first.

    `columns`: what may be sorted by, each as a column or an expression. Null comes last. `FieldErrors` for others.
    """
    sort = request.query_params.get("sort", "").strip() or "created_at"
    order = request.query_params.get("order", "").strip() or "desc"
    if order not in ("asc", "desc"):
        raise FieldErrors({"order": "must be asc or desc"})
    terms = []
    for word in sort.split(","):
        name, _, direction = word.strip().partition(":")
        if name not in columns or direction not in ("", "asc", "desc"):
            raise FieldErrors({"sort": f"must name one of {', '.join(columns)}, each with :asc or :desc if at all"})
        column = columns[name]
        expression = F(column) if isinstance(column, str) else column
        terms.append(OrderBy(expression, descending=(direction or order) == "desc", nulls_last=True))
    return rows.order_by(*terms, "-pk")


def made_between(request: Request, rows: QuerySet[M], column: str = "date_created") -> QuerySet[M]:
    """Those made after `created_after` and before `created_before`. A day stands for its start in UTC."""
    for name, lookup in (("created_after", "gt"), ("created_before", "lt")):
        if text := request.query_params.get(name, "").strip():
            rows = rows.filter(**{f"{column}__{lookup}": _moment(name, text)})
    return rows


def search_of(request: Request) -> str:
    """The text to be looked for, maybe empty."""
    text = request.query_params.get("search", "").strip()
    if len(text) > MAX_SEARCH or "\0" in text:
        raise FieldErrors({"search": f"must have at most {MAX_SEARCH} characters, and no NUL"})
    return text


def holding(text: str, *columns: str) -> Q:
    """Rows that hold the text in one of these columns, whatever the case; `%` and `_` mean themselves."""
    found = Q()
    for column in columns:
        found |= Q(**{f"{column}__icontains": text})
    return found


def _moment(name: str, text: str) -> datetime:
    # A plus sign in an address is a blank once it is decoded.
    try:
        moment = parse_datetime(text.replace(" ", "+") if "T" in text else text)
        day = None if moment else parse_date(text)
    except ValueError:
        moment = day = None
    if day is not None:
        return datetime(day.year, day.month, day.day, tzinfo=UTC)
    if moment is None:
        raise FieldErrors({name: "must be a moment such as 2026-01-20T10:00:00Z, or a day"})
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError as problem:
        raise FieldErrors({name: "is out of range"}) from problem
