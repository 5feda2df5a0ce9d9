"""What demo rows stand on, and how one is written in the text form of COPY."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random
from uuid import UUID

Lines = dict[str, list[str]]  # by table

_NULL = "\\N"
_NEW_KEY = Random()  # keys differ from run to run, whatever the seed


@dataclass(frozen=True)
class Ground:
    """What the leads of one run stand on."""

    organization_id: UUID
    status_ids: Sequence[UUID]
    stages: Sequence[tuple[UUID, str]]  # opportunity statuses: key and type
    user_ids: Sequence[UUID]
    lead_fields: dict[str, str]  # name -> key in `custom`; fields that the organization lacks are left out
    contact_fields: dict[str, str]
    today: datetime
    activities_per_lead: int  # on average


def new_key(created: datetime) -> UUID:
    """A UUIDv7 of that moment: rows sort by key as they do by date, and the indexes grow at their end."""
    milliseconds = int(created.timestamp() * 1000)
    version, variant = 7 << 76, 2 << 62
    return UUID(int=milliseconds << 80 | version | _NEW_KEY.getrandbits(12) << 64 | variant | _NEW_KEY.getrandbits(62))


def line(*values: object) -> str:
    """One row. The words of our lists need no escape but the backslash, which JSON may bring in."""
    return "\t".join(_NULL if value is None else str(value).replace("\\", "\\\\") for value in values) + "\n"
