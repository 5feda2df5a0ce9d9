"""Fields and conditions of a query: which field is meant, and whether the condition fits what it holds."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from crm.ids import parse_close_id
from crm.models import CustomField
from search.errors import shown
from search.moments import MomentParser
from search.nodes import (
    AnyId,
    AnyOf,
    Condition,
    CustomFieldRef,
    Exists,
    FieldRef,
    IsBoolean,
    Kind,
    LocalTime,
    MatchesText,
    Mode,
    MomentRange,
    NumberRange,
    RegularField,
)
from search.reading import Reader
from search.schema import ID_PREFIX, KIND_OF_CUSTOM, OBJECT_TYPES, REFERENCE_TYPES, UNSUPPORTED_TYPES
from search.text import words

CURRENT_USER = "CURRENT_USER"
NAMES_NOTHING = "The list names nothing that could be found, which is not allowed here."
_SORTABLE = (Kind.TEXT, Kind.CHOICE, Kind.NUMBER, Kind.MOMENT, Kind.DATE, Kind.ZONE)
_FITTING: Mapping[str, tuple[Kind, ...]] = {
    "boolean": (Kind.BOOLEAN,),
    "current_user": (Kind.REFERENCE,),
    "exists": tuple(Kind),
    "text": (Kind.TEXT, Kind.CHOICE, Kind.ZONE),
    "term": (Kind.TEXT, Kind.CHOICE, Kind.REFERENCE, Kind.ZONE),
    "reference": (Kind.REFERENCE,),
    "number_range": (Kind.NUMBER,),
    "moment_range": (Kind.MOMENT, Kind.DATE),
    "local_time": (Kind.ZONE,),
}


@dataclass(frozen=True)
class _Known:
    """A field that exists: how a query refers to it, what it holds, what its ids refer to."""

    ref: FieldRef
    kind: Kind
    reference: str | None
    is_multiple: bool = False


class ConditionParser:
    def __init__(self, reader: Reader, custom_fields: Mapping[UUID, CustomField], for_bulk: bool) -> None:
        self._read = reader
        self._custom_fields = custom_fields
        self._for_bulk = for_bulk
        self.moments = MomentParser(reader)
        self._by_type: dict[str, Callable[[dict[str, object], str, _Known], Condition | None]] = {
            "boolean": self._boolean,
            "current_user": self._current_user,
            "exists": self._exists,
            "text": self._text,
            "term": self._term,
            "reference": self._reference,
            "number_range": self._number_range,
            "moment_range": self._moment_range,
            "local_time": self._local_time,
        }

    def field_and_condition(
        self, data: dict[str, object], path: str, object_type: str
    ) -> tuple[FieldRef, Condition] | None:
        """What a `field_condition` node on an object of that type says; None where it is wrong."""
        field = self._field(data["field"], f"{path}.field", object_type) if "field" in data else None
        condition = self._condition(data["condition"], f"{path}.condition", field) if "condition" in data else None
        return (field.ref, condition) if field and condition else None

    def sort_field(self, value: object, path: str, object_type: str) -> FieldRef | None:
        """A field of the result itself that has an order."""
        field = self._field(value, path, object_type)
        if field is None:
            return None
        if field.kind not in _SORTABLE or field.is_multiple:
            what = "several values" if field.is_multiple else f"a {field.kind}"
            self._read.problem(path, f"One cannot sort by this field: it holds {what}.")
        return field.ref

    def mode(self, data: dict[str, object], path: str) -> Mode | None:
        word = self._read.choice(data, "mode", path, tuple(Mode))
        return Mode(word) if word else None

    def text_value(self, data: dict[str, object], path: str, mode: Mode | None) -> str | None:
        value = self._read.text(data, "value", path)
        if value is not None and self._for_bulk and mode not in (None, Mode.EXACT_VALUE) and not words(value):
            self._read.problem(f"{path}.value", "The value holds no word, which is not allowed here.")
        return value

    # --- fields -------------------------------------------------------------------------------------------------------
    def _field(self, value: object, path: str, object_type: str) -> _Known | None:
        data = self._read.mapping(value, path)
        kind = self._read.word(data, "type", path) if data is not None else None
        if data is None or kind is None:
            return None
        if kind == "regular_field":
            return self._regular_field(data, path, object_type)
        if kind == "custom_field":
            return self._custom_field(data, path, object_type)
        self._read.problem(f"{path}.type", f"Unknown field type '{shown(kind)}'. Known: regular_field, custom_field.")
        return None

    def _regular_field(self, data: dict[str, object], path: str, object_type: str) -> _Known | None:
        self._read.check_keys(data, path, required=("type", "object_type", "field_name"))
        owner, name = self._read.text(data, "object_type", path), self._read.text(data, "field_name", path)
        if owner is not None and owner != object_type:
            self._read.problem(f"{path}.object_type", _wrong_owner(owner, object_type))
            return None
        if owner is None or name is None:
            return None
        fields = OBJECT_TYPES[object_type].fields
        if name in fields:
            return _Known(RegularField(object_type, name), fields[name].kind, fields[name].reference)
        self._read.problem(f"{path}.field_name", f"Unknown field '{shown(name)}' of a {object_type}.")
        return None

    def _custom_field(self, data: dict[str, object], path: str, object_type: str) -> _Known | None:
        self._read.check_keys(data, path, required=("type", "custom_field_id"))
        text = self._read.text(data, "custom_field_id", path)
        if text is None:
            return None
        key = parse_close_id("cf", text) or parse_close_id("lcf", text)
        field = self._custom_fields.get(key) if key else None
        if field is None:
            self._read.problem(f"{path}.custom_field_id", f"Unknown custom field '{shown(text)}'.")
            return None
        if field.object_type != object_type:
            self._read.problem(f"{path}.custom_field_id", _wrong_owner(field.object_type, object_type))
            return None
        kind = KIND_OF_CUSTOM[field.type]
        ref = CustomFieldRef(object_type, field.key, field.type, field.accepts_multiple_values)
        return _Known(ref, kind, field.type if kind is Kind.REFERENCE else None, field.accepts_multiple_values)

    # --- conditions ---------------------------------------------------------------------------------------------------
    def _condition(self, value: object, path: str, field: _Known | None) -> Condition | None:
        data = self._read.mapping(value, path)
        kind = self._read.word(data, "type", path) if data is not None else None
        if data is None or kind is None:
            return None
        if kind not in self._by_type:
            known = ", ".join(self._by_type)
            self._read.problem(f"{path}.type", f"Unknown condition type '{shown(kind)}'. Known: {known}.")
            return None
        if field is not None and field.kind not in _FITTING[kind]:
            fitting = ", ".join(name for name, kinds in _FITTING.items() if field.kind in kinds)
            self._read.problem(
                f"{path}.type", f"A `{kind}` condition does not fit a {field.kind} field. Fitting: {fitting}."
            )
            field = None
        # Without a field the condition is still read, so that its own problems are told too.
        condition = self._by_type[kind](data, path, field or _NOWHERE)
        return condition if field else None

    def _boolean(self, data: dict[str, object], path: str, field: _Known) -> Condition | None:
        self._read.check_keys(data, path, required=("type", "value"))
        return IsBoolean(self._read.boolean(data, "value", path, default=False))

    def _exists(self, data: dict[str, object], path: str, field: _Known) -> Condition | None:
        self._read.check_keys(data, path, required=("type",))
        return Exists()

    def _current_user(self, data: dict[str, object], path: str, field: _Known) -> Condition | None:
        self._read.check_keys(data, path, required=("type",))
        if field.reference not in (None, "user"):
            self._read.problem(f"{path}.type", f"This field refers to a {field.reference}, not to a user.")
        return AnyId((), current_user=True)

    def _text(self, data: dict[str, object], path: str, field: _Known) -> Condition | None:
        self._read.check_keys(data, path, required=("type", "mode", "value"))
        mode = self.mode(data, path)
        value = self.text_value(data, path, mode)
        return MatchesText(mode, value) if mode and value is not None else None

    def _term(self, data: dict[str, object], path: str, field: _Known) -> Condition | None:
        self._read.check_keys(data, path, required=("type", "values"))
        values = self._read.texts(data, "values", path)
        if values is None:
            return None
        if not field.reference:
            self._refuse_nothing(values, f"{path}.values")
            return AnyOf(tuple(values))
        keys = _keys(values, field.reference)
        self._refuse_nothing(keys, f"{path}.values")
        return AnyId(keys)

    def _reference(self, data: dict[str, object], path: str, field: _Known) -> Condition | None:
        self._read.check_keys(data, path, required=("type", "reference_type", "object_ids"))
        reference_type = self._read.choice(data, "reference_type", path, tuple(REFERENCE_TYPES))
        values = self._read.texts(data, "object_ids", path)
        if reference_type is None or values is None:
            return None
        reference = REFERENCE_TYPES[reference_type]
        if field.reference not in (None, reference):
            self._read.problem(f"{path}.reference_type", f"This field refers to a {field.reference}.")
        groups = _keys(values, "group") if reference_type == "user_or_group" else ()
        keys, current_user = _keys(values, reference), reference == "user" and CURRENT_USER in values
        if not current_user:
            self._refuse_nothing((*keys, *groups), f"{path}.object_ids")
        return AnyId(keys, current_user, groups)

    def _refuse_nothing(self, named: Sequence[object], path: str) -> None:
        if self._for_bulk and not named:
            self._read.problem(path, NAMES_NOTHING)

    def _number_range(self, data: dict[str, object], path: str, field: _Known) -> Condition | None:
        bounds = ("gt", "gte", "lt", "lte")
        self._read.check_keys(data, path, required=("type",), optional=bounds)
        return NumberRange(**{bound: self._number(data.get(bound), f"{path}.{bound}") for bound in bounds})

    def _number(self, value: object, path: str) -> Decimal | None:
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            self._read.problem(path, "Value must be a number.")
        elif isinstance(value, float) and not math.isfinite(value):
            self._read.problem(path, "Value must be a finite number.")
        else:
            return Decimal(value) if isinstance(value, int) else Decimal(repr(value))
        return None

    def _moment_range(self, data: dict[str, object], path: str, field: _Known) -> Condition | None:
        self._read.check_keys(data, path, required=("type",), optional=("on_or_after", "before"))
        return MomentRange(
            *(self.moments.moment(data.get(bound), f"{path}.{bound}") for bound in ("on_or_after", "before"))
        )

    def _local_time(self, data: dict[str, object], path: str, field: _Known) -> Condition | None:
        self._read.check_keys(data, path, required=("type",), optional=("on_or_after", "before"))
        return LocalTime(
            *(self.moments.time_of_day(data.get(bound), f"{path}.{bound}") for bound in ("on_or_after", "before"))
        )


_NOWHERE = _Known(RegularField("", ""), Kind.TEXT, None)


def _keys(values: list[str], reference: str) -> tuple[UUID, ...]:
    prefix = ID_PREFIX.get(reference)
    return tuple(key for value in values if prefix and (key := parse_close_id(prefix, value)))


def _wrong_owner(owner: str, object_type: str) -> str:
    if owner in OBJECT_TYPES:
        return f"This is a field of a {owner}, but the condition stands on a {object_type}: use `has_related`."
    what = "is not supported yet" if owner in UNSUPPORTED_TYPES else "is unknown"
    return f"The object type '{shown(owner)}' {what}."
