"""What a field and an object type are, and the ways in which values are reached. A text that is empty is no value."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from django.db.models import Expression, F, Model, QuerySet
from django.db.models.functions import NullIf

from search.expressions import CountOf, text_value
from search.nodes import Kind

CustomKeys = Mapping[str, tuple[str, ...]]  # by object type: the keys of custom fields whose values are texts


@dataclass(frozen=True)
class Field:
    """A regular field. `reference` says what an id-valued one refers to."""

    kind: Kind
    value: Callable[[], Expression]
    reference: str | None = None


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


def count_field(objects: Callable[[], QuerySet[Model]]) -> Field:
    return Field(Kind.NUMBER, lambda: CountOf(objects().order_by().values("pk")))


RECORD_FIELDS = {
    "created_by": column_field("created_by_id", Kind.REFERENCE, "user"),
    "updated_by": column_field("updated_by_id", Kind.REFERENCE, "user"),
    "date_created": column_field("date_created", Kind.MOMENT),
    "date_updated": column_field("date_updated", Kind.MOMENT),
}
