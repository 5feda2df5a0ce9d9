"""What a field and an object type are, and the ways in which values are reached. A text that is empty is no value."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from django.db.models import Aggregate, Count, Expression, F, Model, OuterRef, Q, QuerySet
from django.db.models.functions import NullIf

from search.expressions import CountOf, text_value
from search.nodes import Kind

CustomKeys = Mapping[str, tuple[str, ...]]  # by object type: the keys of custom fields whose values are texts


@dataclass(frozen=True)
class Hanging:
    """The objects of a table that hang on another object by `path`, as far as they meet `condition`."""

    model: type[Model]
    condition: Q = field(default_factory=Q)
    path: str = "lead_id"

    def of_outer(self) -> QuerySet[Model]:
        """Those of the object that the query around this one is about."""
        return self._objects().filter(**{self.path: OuterRef("pk")}, organization_id=OuterRef("organization_id"))

    def grouped(self, organization_id: UUID) -> QuerySet[Model]:
        """Those of all objects of an organization, by the key of what they hang on: ready for an aggregate."""
        return self._objects().filter(organization_id=organization_id).values(self.path)

    def _objects(self) -> QuerySet[Model]:
        return self.model._default_manager.filter(self.condition).order_by()


@dataclass(frozen=True)
class Aggregated:
    """A number that is made of all objects that hang on one; `of_nothing` (or None: no value) where there are none."""

    of: Hanging
    number: Callable[[], Aggregate | Expression]
    of_nothing: int | None


@dataclass(frozen=True)
class OneOf:
    """The value that one of the objects that hang on one has; `is_extreme`: the earliest (`is_first`) or latest."""

    of: Hanging
    value: Callable[[], Expression]
    is_first: bool = False
    is_extreme: bool = False


@dataclass(frozen=True)
class Field:
    """A regular field. `reference` says what an id-valued one refers to.

    Where the value comes from other objects, `aggregated` and `one_of` let a condition be asked of all of them at once.
    """

    kind: Kind
    value: Callable[[], Expression]
    reference: str | None = None
    is_always_set: bool = False
    aggregated: Aggregated | None = None
    one_of: OneOf | None = None


@dataclass(frozen=True)
class ObjectType:
    """`documents` gives everything that the object says, one text per value."""

    name: str
    objects: Callable[[], QuerySet[Model]]
    documents: Callable[[CustomKeys], Expression]
    fields: Mapping[str, Field]
    prefix: str | None = None
    has_custom_fields: bool = False


def present(column: str) -> Expression:
    return NullIf(F(column), text_value(""))


def text_field(column: str, kind: Kind = Kind.TEXT) -> Field:
    return Field(kind, lambda: present(column))


def column_field(column: str, kind: Kind, reference: str | None = None) -> Field:
    return Field(kind, lambda: F(column), reference)


def count_field(of: Hanging) -> Field:
    aggregated = Aggregated(of, lambda: Count("*"), of_nothing=0)
    return Field(Kind.NUMBER, lambda: CountOf(of.of_outer().values("pk")), aggregated=aggregated)


RECORD_FIELDS = {
    "created_by": column_field("created_by_id", Kind.REFERENCE, "user"),
    "updated_by": column_field("updated_by_id", Kind.REFERENCE, "user"),
    "date_created": Field(Kind.MOMENT, lambda: F("date_created"), is_always_set=True),
    "date_updated": Field(Kind.MOMENT, lambda: F("date_updated"), is_always_set=True),
}
