"""`?query=` of lists. The language of such queries lives in a package above this one, which registers it here."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

from django.db.models import Model, QuerySet

from crm.api.close.conventions import CloseRequest

M = TypeVar("M", bound=Model)
Search = Callable[..., AbstractContextManager[QuerySet]]
_registered: list[Search] = []


def register_search(search: Search) -> None:
    _registered[:] = [search]


@contextmanager
def searching(
    request: CloseRequest, rows: QuerySet[M], *, object_type: str, parameter: str = "query", column: str = "pk"
) -> Iterator[QuerySet[M]]:
    """Those of `rows` that the text in `parameter` finds: all without one. Read them within: there the time is limited.

    The text speaks of objects of `object_type`, whose key is in `column`. Its own sort goes before that of `rows`, but
    where it speaks of other objects. Raises `Invalid` for a text that cannot be understood.
    """
    text = request.query_params.get(parameter, "").strip()
    if not text:
        yield rows
        return
    search = _registered[0]
    with search(request, rows, text, object_type=object_type, parameter=parameter, column=column) as found:
        yield found
