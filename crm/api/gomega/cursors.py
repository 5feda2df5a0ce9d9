"""Cursors of lists: signed text that says behind which lead to go on (gomega-api.md 5)."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.core import signing

from crm.errors import FieldErrors

_SALT = "gomega.leads"
_LONGEST = 500  # characters


@dataclass(frozen=True)
class Place:
    """Behind the lead with that key, whose sorted column holds that moment, to the microsecond."""

    moment: datetime
    key: UUID


def sign(place: Place, *, organization_id: UUID, sort_by: str, direction: str) -> str:
    said = [str(organization_id), sort_by, direction, place.moment.isoformat(), str(place.key)]
    return signing.dumps(said, salt=_SALT)


def read(text: str, *, organization_id: UUID, sort_by: str, direction: str) -> Place:
    """`FieldErrors("cursor")` for one that we did not write, or that belongs to another sort."""
    try:
        owner, *order, moment, key = signing.loads(text[: _LONGEST + 1], salt=_SALT)
    except (signing.BadSignature, ValueError, TypeError):
        raise FieldErrors({"cursor": "is not one of ours"}) from None
    if owner != str(organization_id):
        raise FieldErrors({"cursor": "is not one of ours"})
    if order != [sort_by, direction]:
        raise FieldErrors({"cursor": "belongs to another sort_by or sort_dir"})
    return Place(datetime.fromisoformat(moment), UUID(key))
