"""The lists of records that `?query=` narrows. Their views are the records' own; this is given to them at the start."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from django.db.models import Model, QuerySet
from django.utils import timezone

from crm.api.close.conventions import CloseRequest
from search.compiler import condition_of, found, order_of
from search.limits import limited_in_time
from search.text_query.resolve import resolve_text

M = TypeVar("M", bound=Model)


@contextmanager
def search_list(
    request: CloseRequest, rows: QuerySet[M], text: str, *, object_type: str, parameter: str, column: str
) -> Iterator[QuerySet[M]]:
    """See `crm.api.close.text_queries.searching`."""
    caller = request.caller
    _, resolved = resolve_text(
        text, caller=caller, tz=request.tz, now=timezone.now(), object_type=object_type, path=parameter
    )
    if column != "pk":
        rows = rows.filter(**{f"{column}__in": found(resolved, caller.organization.pk).values("pk")})
    else:
        rows = rows.filter(condition_of(resolved))
        if resolved.sort:
            rows = rows.order_by(*order_of(resolved))
    with limited_in_time():
        yield rows
