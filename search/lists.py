"""The lists of records that `?query=` or a Smart View narrows.

The views of those lists are the records' own; this is given to them at the start.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from django.db.models import Model, QuerySet
from django.utils import timezone

from crm.api.close.conventions import CloseRequest
from crm.errors import FieldErrors
from search.compiler import condition_of, found, order_of
from search.errors import InvalidSearch
from search.limits import limited_in_time
from search.resolve import resolve
from search.text_query.resolve import resolve_text

M = TypeVar("M", bound=Model)


@contextmanager
def search_list(
    request: CloseRequest, rows: QuerySet[M], text: str, *, object_type: str, parameter: str, column: str
) -> Iterator[QuerySet[M]]:
    """See `crm.api.close.searches.searching`."""
    caller = request.caller
    _, resolved = resolve_text(
        text, caller=caller, tz=request.tz, now=timezone.now(), object_type=object_type, path=parameter
    )
    if column != "pk":
        rows = rows.filter(**{f"{column}__in": found(resolved, caller.organization.pk).values("pk")})
    else:
        rows = rows.filter(condition_of(resolved, caller.organization.pk))
        if resolved.sort:
            rows = rows.order_by(*order_of(resolved))
    with limited_in_time():
        yield rows


@contextmanager
def view_list(
    request: CloseRequest, rows: QuerySet[M], id: str, *, object_type: str, parameter: str, column: str
) -> Iterator[QuerySet[M]]:
    """See `crm.api.close.searches.in_view`."""
    caller = request.caller
    query = {"type": "saved_search", "saved_search_id": id}
    try:
        resolved = resolve(
            query=query, sort=None, caller=caller, tz=request.tz, now=timezone.now(), path=parameter, for_bulk=False
        )
    except InvalidSearch as problem:
        raise FieldErrors({parameter: next(iter(problem.field_errors.values()))}) from problem
    if resolved.object_type != object_type:
        raise FieldErrors({parameter: f"It is not a Smart View of the type '{object_type}'."})
    with limited_in_time():
        yield rows.filter(**{f"{column}__in": found(resolved, caller.organization.pk).values("pk")})
