"""`?query=` and Smart Views in lists. Both live in a package above this one, which registers them here."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

from django.db.models import Model, QuerySet

from crm.api.close.conventions import CloseRequest

M = TypeVar("M", bound=Model)
Search = Callable[..., AbstractContextManager[QuerySet]]
_registered: dict[str, Search] = {}


def register_searches(*, by_text: Search, by_view: Search) -> None:
    _registered.update(by_text=by_text, by_view=by_view)


@contextmanager
def searching(
    request: CloseRequest, rows: QuerySet[M], *, object_type: str, parameter: str = "query", column: str = "pk"
) -> Iterator[QuerySet[M]]:
    """Those of `rows` that the text in `parameter` finds: all without one. Read them within: there the time is limited.

    The text speaks of objects of `object_type`, whose key is in `column`. Its own sort goes before that of `rows`, but
    where it speaks of other objects. Raises `Invalid` for a text that cannot be understood.
    """
    with _narrowed("by_text", request, rows, object_type, parameter, column) as found:
        yield found


@contextmanager
def in_view(
    request: CloseRequest, rows: QuerySet[M], *, object_type: str, parameter: str, column: str
) -> Iterator[QuerySet[M]]:
    """As `searching`, for the id of a Smart View; its own limit and sort do not count.

    Raises `FieldErrors` for a view that the caller does not see, or of another type.
    """
    with _narrowed("by_view", request, rows, object_type, parameter, column) as found:
        yield found


@contextmanager
def _narrowed(
    search: str, request: CloseRequest, rows: QuerySet[M], object_type: str, parameter: str, column: str
) -> Iterator[QuerySet[M]]:
    asked = request.query_params.get(parameter, "").strip()
    if not asked:
        yield rows
        return
    with _registered[search](
        request, rows, asked, object_type=object_type, parameter=parameter, column=column
    ) as found:
        yield found
