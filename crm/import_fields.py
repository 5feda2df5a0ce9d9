"""What the columns of somebody's file may be mapped to, and how each of them is read."""

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

from crm.column_names import FIELDS, Records, suggest
from crm.errors import FieldErrors
from crm.import_dates import DateOrder
from crm.models import CustomField, FieldObject, FieldType
from crm.text import composed, is_storable

# Ids are ours to give; contacts by themselves refer to their lead by its.
KNOWN_FIELDS = tuple(name for name in FIELDS if name not in ("lead.id", "contact.id"))
_CUSTOM = {FieldObject.LEAD: "lead.custom", FieldObject.CONTACT: "contact.custom"}
_SUBJECT_FIELDS: dict[Records, tuple[str, ...]] = {
    "leads": KNOWN_FIELDS,
    "contacts": ("lead.id", *(name for name in KNOWN_FIELDS if name.startswith("contact."))),
}
# What an empty cell may empty: by names and ways to reach somebody records are found, other values have no empty state.
_CLEARED = (
    "lead.name_kana", "lead.url", "lead.description", "lead.phone", "lead.email", "lead.industry", "lead.department",
    "lead.employee_count", "lead.lead_line", "lead.score", "lead.qualified", "contact.title", "contact.note",
)  # fmt: skip
_LISTS = ("contact.emails", "contact.phones", "contact.urls")
_SHOWN_VALUE = 100
_LONGEST_SEPARATOR = 5

# A field, or an object with what `ColumnOptions` knows beside it: as callers give it, and as it is kept.
Mapped = str | Mapping[str, Any]


@dataclass(frozen=True)
class ColumnOptions:
    """How a column is read. `clears`: an empty cell empties the field, where a record is there already.

    `date_order`: of dates that are not written year first. `separator`: what divides several values in one text.
    """

    field: str
    clears: bool = False
    date_order: DateOrder | None = None
    separator: str | None = None

    @classmethod
    def of(cls, kept: Mapped) -> Self:
        if isinstance(kept, str):
            return cls(kept)
        order = kept.get("date_format")
        clears = kept.get("empty") == "clear"
        return cls(kept["field"], clears, DateOrder(order) if order else None, kept.get("separator"))


def field_of(kept: Mapped) -> str:
    return kept if isinstance(kept, str) else kept["field"]


class Fields:
    """What the columns of a file may be mapped to in this organization."""

    def __init__(self, organization_id: UUID, records: Records) -> None:
        self.records = records
        custom = CustomField.objects.filter(organization=organization_id, object_type__in=_objects(records))
        self.custom = {
            f"{_CUSTOM[FieldObject(field.object_type)]}.{field.key}": field for field in custom.order_by("pk")
        }

    @property
    def known(self) -> list[str]:
        return [*_SUBJECT_FIELDS[self.records], *self.custom]

    def read(self, header: Sequence[str], mapping: Mapping[str, object]) -> dict[str, Mapped]:
        """The given mapping of column names to fields, checked; null leaves a column out. Raises `FieldErrors`."""
        problems: dict[str, object] = {}
        found: dict[str, Mapped] = {}
        for name, wanted in mapping.items():
            column = composed(name)
            path = f"mapping.{column[:_SHOWN_VALUE]}"
            if column not in header:
                problems[path] = "The file has no such column."
                continue
            try:
                mapped = self._mapped(wanted, path)
            except FieldErrors as problem:
                problems |= problem.field_errors
                continue
            if mapped is None:
                continue
            if field_of(mapped) in map(field_of, found.values()):
                problems[path] = "Another column is this field already."
            else:
                found[column] = mapped
        if problems:
            raise FieldErrors(dict(list(problems.items())[:20]))
        return found

    def _mapped(self, wanted: object, path: str) -> Mapped | None:
        """One column of a mapping, checked. Raises `FieldErrors`."""
        options: Mapping[str, object] = {}
        if isinstance(wanted, dict):
            options = {key: value for key, value in wanted.items() if key != "field" and value is not None}
            wanted = wanted.get("field")
        if wanted is None and not options:
            return None
        field = self.name_of(wanted)
        if field is None:
            raise FieldErrors({path: f"There is no such field.{self._hint(wanted)}"})
        for key, value in options.items():
            if problem := self._problem_of(field, key, value):
                raise FieldErrors({f"{path}.{key[:_SHOWN_VALUE]}": problem})
        return {"field": field, **options} if options else field

    def _hint(self, wanted: object) -> str:
        known = [show_field(field) for field in self.known]
        alike = difflib.get_close_matches(wanted, known, 1) if isinstance(wanted, str) and len(wanted) < 100 else []
        return f" Did you mean {alike[0]}?" if alike else " A preview tells fields_known."

    def _problem_of(self, field: str, key: str, value: object) -> str | None:
        """What is wrong with an option of a column, if anything is."""
        custom = self.custom.get(field)
        if key == "empty":
            if value not in ("skip", "clear"):
                return "Not a valid choice: skip or clear."
            if value == "clear" and not (custom or field in _CLEARED or field.startswith("address.")):
                return "This field cannot be emptied by an import."
        elif key == "date_format":
            if value not in list(DateOrder):
                return f"Not a valid choice: {', '.join(DateOrder)}."
            if custom is None or custom.type not in (FieldType.DATE, FieldType.DATETIME):
                return "This field holds no date."
        elif key == "separator":
            if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_SEPARATOR or not is_storable(value):
                return f"Value must be 1 to {_LONGEST_SEPARATOR} characters, such as a semicolon."
            if field not in _LISTS and not (custom and custom.accepts_multiple_values):
                return "This field holds one value."
        else:
            return "Unknown key: a column has field, empty, date_format and separator."
        return None

    def suggest(self, header: Sequence[str]) -> dict[str, Mapped]:
        """The mapping that the names of the columns suggest."""
        found = {header[place]: field for place, field in suggest(header, self.records).items()}
        for custom_field_of in self._ways_to_say():
            for column in header:
                own = custom_field_of(column)
                if own in self.custom and own not in found.values() and found.get(column) not in self.custom:
                    found[column] = own
        # Whoever lists all contacts says nothing new of one of them (`primary_email`, in exports).
        lists_contacts = "lead.contacts" in found.values()
        return {
            column: field
            for column, field in found.items()
            if self.name_of(field) and not (lists_contacts and field.startswith("contact."))
        }

    def _ways_to_say(self) -> Iterator[Callable[[str], str | None]]:
        """What finds a custom field by the name of a column, the most exact way first: names may differ in case alone.

        Of leads and contacts with the same name those of leads come first, as exports of leads have them.
        """
        yield self.name_of
        of_leads_first = sorted(self.custom, key=lambda name: not name.startswith(_CUSTOM[FieldObject.LEAD]))
        for prefix in ("custom.", ""):  # as exports call them, and as people do
            yield {prefix + composed(self.custom[name].name): name for name in reversed(of_leads_first)}.get
        alike = {composed(self.custom[name].name).casefold(): name for name in reversed(of_leads_first)}
        yield lambda column: alike.get(column.casefold().removeprefix("custom.")) or alike.get(column.casefold())

    def name_of(self, wanted: object) -> str | None:
        """`lead.name`, `lead.custom.<key>`, `custom.cf_<key>`: the one spelling that is stored."""
        if not isinstance(wanted, str):
            return None
        if wanted in self.known:
            return wanted
        for prefix in ("lead.custom.cf_", "contact.custom.cf_", "custom.cf_"):
            if wanted.startswith(prefix):
                return next((name for name in self.custom if name.endswith(f".{wanted[len(prefix) :]}")), None)
        return None


def show_field(field: str) -> str:
    """The field as callers spell it: custom fields by their ids."""
    start, _, key = field.rpartition(".")
    return f"{start}.cf_{key}" if start in _CUSTOM.values() else field


def show_mapped(kept: Mapped) -> Mapped:
    """A column of a mapping as callers spell it."""
    return show_field(kept) if isinstance(kept, str) else {**kept, "field": show_field(kept["field"])}


def match_field(fields: Fields, wanted: str) -> CustomField | None:
    """The custom field of that name (`custom.cf_…`) by which records are to be known again."""
    name = fields.name_of(wanted)
    return fields.custom.get(name) if name else None


def _objects(records: Records) -> list[str]:
    return [FieldObject.CONTACT, *([FieldObject.LEAD] if records == "leads" else [])]
