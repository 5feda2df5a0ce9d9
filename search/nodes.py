"""The typed form of a query: what `grammar` makes of JSON, `resolve` completes and `compiler` turns into SQL.

A node tests one object. `negate` turns it after its own evaluation. Ids are keys here: an id of another form is none.
"""

from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from enum import StrEnum
from uuid import UUID


class Kind(StrEnum):
    """What kind of value a field holds; it decides which conditions fit."""

    TEXT = "text"
    CHOICE = "choice"
    NUMBER = "number"
    MOMENT = "moment"
    DATE = "date"
    REFERENCE = "reference"
    BOOLEAN = "boolean"
    ZONE = "time zone"


class Mode(StrEnum):
    """How a text is compared (close-api.md 3.6)."""

    FULL_WORDS = "full_words"
    PHRASE = "phrase"
    EXACT_VALUE = "exact_value"
    BEGINNING_OF_WORDS = "beginning_of_words"


# --- moments ----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Now:
    """When the query is evaluated; for a bulk action, when it was posted."""


@dataclass(frozen=True, slots=True)
class FixedUtc:
    value: datetime


@dataclass(frozen=True, slots=True)
class FixedLocalDate:
    """An edge of a day in the caller's zone; `is_end` is the next midnight."""

    value: date
    is_end: bool


@dataclass(frozen=True, slots=True)
class Offset:
    """`moment` shifted: by months on the calendar, then days, then seconds; all with the sign of the direction.

    `day_edge` is "start" or "end" where the result is moved to that edge of its day.
    """

    moment: "Moment"
    months: int
    days: int
    seconds: int
    day_edge: str | None = None


@dataclass(frozen=True, slots=True)
class PeriodEdge:
    """The start of a named period such as `this-week` in the caller's zone; `is_end` is the start of what follows."""

    period: str
    is_end: bool


Moment = Now | FixedUtc | FixedLocalDate | Offset | PeriodEdge


# --- conditions -------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Exists:
    """The field has a value."""


@dataclass(frozen=True, slots=True)
class MatchesText:
    mode: Mode
    value: str


@dataclass(frozen=True, slots=True)
class AnyOf:
    """The value is one of these, exactly."""

    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AnyId:
    """The value refers to one of these. Until resolved, `current_user` adds the caller and `groups` their members."""

    ids: tuple[UUID, ...]
    current_user: bool = False
    groups: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class NumberRange:
    """Without bounds: has a value."""

    gt: Decimal | None = None
    gte: Decimal | None = None
    lt: Decimal | None = None
    lte: Decimal | None = None

    def holds(self, number: int) -> bool:
        return (
            (self.gt is None or number > self.gt)
            and (self.gte is None or number >= self.gte)
            and (self.lt is None or number < self.lt)
            and (self.lte is None or number <= self.lte)
        )


@dataclass(frozen=True, slots=True)
class MomentRange:
    """From `on_or_after` on, and before `before`; without both: has a value. Resolved, it is one of the next two."""

    on_or_after: Moment | None
    before: Moment | None


@dataclass(frozen=True, slots=True)
class InstantRange:
    on_or_after: datetime | None
    before: datetime | None


@dataclass(frozen=True, slots=True)
class DateRange:
    on_or_after: date | None
    before: date | None


@dataclass(frozen=True, slots=True)
class LocalTime:
    """It is that time of day now in the zone that the field names. Resolved, it is an `AnyOf` of zones."""

    on_or_after: time | None
    before: time | None


@dataclass(frozen=True, slots=True)
class IsBoolean:
    value: bool


Condition = (
    Exists | MatchesText | AnyOf | AnyId | NumberRange | MomentRange | InstantRange | DateRange | LocalTime | IsBoolean
)


# --- fields -----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class RegularField:
    object_type: str
    name: str


@dataclass(frozen=True, slots=True)
class CustomFieldRef:
    """A custom field as it was when the query came: where its values lie, and what they are (`FieldType`)."""

    object_type: str
    key: str
    type: str
    is_multiple: bool


FieldRef = RegularField | CustomFieldRef


# --- nodes ------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class And:
    queries: tuple["Node", ...]
    negate: bool = False


@dataclass(frozen=True, slots=True)
class Or:
    """Without any query it is true: empty groups are left behind by user interfaces and mean nothing."""

    queries: tuple["Node", ...]
    negate: bool = False


@dataclass(frozen=True, slots=True)
class IsType:
    """Settled when parsed: whether objects of this place are of the type that the node names."""

    holds: bool
    negate: bool = False


@dataclass(frozen=True, slots=True)
class Ids:
    ids: tuple[UUID, ...]
    negate: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """Free text over everything that the object says; `custom_keys` by object type are known once resolved."""

    mode: Mode
    value: str
    custom_keys: tuple[tuple[str, tuple[str, ...]], ...] = ()
    negate: bool = False


@dataclass(frozen=True, slots=True)
class FieldCondition:
    field: FieldRef
    condition: Condition
    negate: bool = False


@dataclass(frozen=True, slots=True)
class HasRelated:
    """At least one related object matches `query`."""

    this_object_type: str
    related_object_type: str
    query: "Node"
    negate: bool = False


@dataclass(frozen=True, slots=True)
class InStatus:
    """The lead or opportunity entered one of these statuses in that time, or was made in it. Resolved: an instant."""

    object_type: str
    status_ids: tuple[UUID, ...]
    on_or_after: Moment | datetime | None
    before: Moment | datetime | None
    negate: bool = False


@dataclass(frozen=True, slots=True)
class Slice:
    """One part of `parts`, numbered from 0: always the same ids. Only one-line queries can say it."""

    part: int
    parts: int
    negate: bool = False


@dataclass(frozen=True, slots=True)
class External:
    """A test that another app has registered under `type` (`search.external`), with what that app reads from it."""

    type: str
    arguments: tuple[str, ...]
    negate: bool = False


@dataclass(frozen=True, slots=True)
class MatchAll:
    negate: bool = False


Node = And | Or | IsType | Ids | Text | FieldCondition | HasRelated | InStatus | External | MatchAll | Slice


@dataclass(frozen=True, slots=True)
class SortItem:
    field: FieldRef
    is_descending: bool
