"""Pages of a search by keyset: a cursor says behind which row the next page begins, not how many rows to pass over.

So a row whose sort values do not change is neither repeated nor missed, whatever is written meanwhile.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import cast
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.db.models import DateField, DateTimeField, DecimalField, Expression, Model, Q, QuerySet, Value

from crm.errors import FieldErrors
from search.compiler import is_always_set, matching, sort_values
from search.expressions import IsPresent, Test, text_value
from search.resolve import Resolved

_SALT = "search.cursor"
SortValue = str | Decimal | datetime | date | None


@dataclass(frozen=True)
class Cursor:
    """Where a walk stands: the last row given, how many were given, and when the walk began (its `now`)."""

    values: tuple[SortValue, ...]
    last_id: UUID
    given: int
    began: datetime

    def sign(self, binding: str) -> str:
        """Text that only we can write, and that is good for the query with that `binding` alone."""
        values = [_written(value) for value in self.values]
        content = [binding, values, str(self.last_id), self.given, self.began.isoformat()]
        return signing.dumps(content, salt=_SALT, compress=True)

    @classmethod
    def read(cls, text: object, binding: str) -> "Cursor":
        """Raises `FieldErrors` for one that is forged, too old, or of another query."""
        if not isinstance(text, str):
            raise FieldErrors({"cursor": "Value must be a string."})
        try:
            bound_to, values, last_id, given, began = signing.loads(
                text, salt=_SALT, max_age=settings.SEARCH_CURSOR_SECONDS
            )
        except signing.SignatureExpired as problem:
            raise FieldErrors({"cursor": "Expired cursor"}) from problem
        except signing.BadSignature as problem:
            raise FieldErrors({"cursor": "Invalid cursor"}) from problem
        if bound_to != binding:
            raise FieldErrors({"cursor": "This cursor belongs to another search."})
        return cls(tuple(map(_read, values)), UUID(last_id), given, datetime.fromisoformat(began))


def binding_of(*parts: object) -> str:
    """A digest of everything that must stay the same from page to page."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


@dataclass(frozen=True)
class Page:
    rows: Sequence[Model]
    values: tuple[SortValue, ...]  # sort values of the last row
    has_more: bool


def page_of(resolved: Resolved, organization_id: UUID, *, size: int, after: Cursor | None) -> Page:
    """At most `size` rows behind `after`."""
    if size <= 0:
        return Page([], (), has_more=False)
    names = [f"sort_{place}" for place in range(len(resolved.sort))]
    values = sort_values(resolved)
    queryset: QuerySet = matching(resolved, organization_id).annotate(**dict(zip(names, values, strict=True)))
    if after is not None:
        queryset = queryset.filter(_behind(resolved, values, after))
    rows = list(queryset[: size + 1])
    last = rows[:size][-1:]
    return Page(rows[:size], tuple(getattr(row, name) for row in last for name in names), len(rows) > size)


def _behind(resolved: Resolved, values: Sequence[Expression], after: Cursor) -> Expression | Q:
    """The rows that come after that one: by the first sort value that differs, absent ones last, at the end by id."""
    behind: Expression | Q = Q(pk__gt=after.last_id)
    places = list(zip(resolved.sort, values, after.values, strict=True))
    for item, value, last in reversed(places):
        absent = ~Q(IsPresent(value))
        if last is None:
            behind = Q(absent, behind)
            continue
        known, sign = _value(last), "<" if item.is_descending else ">"
        behind = Q(Q(Test(value, sign, known)), Q(Test(value, "=", known), behind), _connector=Q.OR)
        if is_always_set(item.field):
            behind = Q(Test(value, f"{sign}=", known), behind)  # says nothing new: it is where an index begins
        else:
            behind = Q(absent, behind, _connector=Q.OR)
    return behind


def _value(last: str | Decimal | datetime | date) -> Value:
    if isinstance(last, str):
        return text_value(last)
    if isinstance(last, date) and not isinstance(last, datetime):
        return Value(last, DateField())
    return Value(last, DateTimeField() if isinstance(last, datetime) else DecimalField())


def _written(value: SortValue) -> list[str | None]:
    if value is None:
        return ["none", None]
    if isinstance(value, datetime):
        return ["moment", value.isoformat()]
    if isinstance(value, date):
        return ["date", value.isoformat()]
    return ["text", value] if isinstance(value, str) else ["number", str(value)]


def _read(written: Sequence[str | None]) -> SortValue:
    kind, text = written
    if text is None:
        return None
    readers = {"moment": datetime.fromisoformat, "date": date.fromisoformat, "text": str, "number": Decimal}
    return readers[cast(str, kind)](text)
