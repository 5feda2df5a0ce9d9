"""Lists in pages by offset: `_skip` and `_limit` (close-api.md 1.6)."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from django.db.models import Model, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from crm.errors import FieldErrors

DEFAULT_LIMIT = 100
MAX_LIMIT = 200
MAX_SKIP = 35_000

M = TypeVar("M", bound=Model)


def _whole_number(request: Request, name: str, default: int, maximum: int, problems: dict[str, object]) -> int:
    text = request.query_params.get(name, "").strip()
    if not text:
        return default
    try:
        number = int(text) if len(text) < 20 and text.isascii() else None
    except ValueError:
        number = None
    if number is None:
        problems[name] = "Input should be a valid integer"
    elif number < 0:
        problems[name] = "Input should be greater than or equal to 0"
    elif number > maximum:
        problems[name] = f"Input should be less than or equal to {maximum}"
    else:
        return number
    return default


def page_of(request: Request, *, max_limit: int = MAX_LIMIT, max_skip: int = MAX_SKIP) -> tuple[int, int]:
    """(`_skip`, `_limit`); what is no whole number in bounds is a 400 that names it, never clamped."""
    problems: dict[str, object] = {}
    skip = _whole_number(request, "_skip", 0, max_skip, problems)
    limit = _whole_number(request, "_limit", min(DEFAULT_LIMIT, max_limit), max_limit, problems)
    if problems:
        raise FieldErrors(problems)
    return skip, limit


def paginate(
    request: Request,
    queryset: QuerySet[M],
    serialize: Callable[[Sequence[M]], Sequence[Mapping[str, object]]],
    *,
    max_limit: int = MAX_LIMIT,
    max_skip: int = MAX_SKIP,
    total: bool = False,
) -> Response:
    """The page that the request asks for: `{"data", "has_more"}`, with `total` also `total_results` (one more query).

    `serialize` gets the whole page at once, so that it can fetch what hangs on the rows in a fixed number of queries.
    """
    skip, limit = page_of(request, max_limit=max_limit, max_skip=max_skip)
    rows = list(queryset[skip : skip + limit + 1])
    answer: dict[str, object] = {"data": serialize(rows[:limit]), "has_more": len(rows) > limit}
    if total:
        answer["total_results"] = queryset.count()
    return Response(answer)
