"""Rows of somebody's file, read into what a merge takes: which column means what, and what its cells may hold."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from crm.custom_values import Stored, clean_value, show_value
from crm.errors import FieldErrors
from crm.files.rows import Cell
from crm.ids import close_id, parse_close_id, parse_hex_id
from crm.import_fields import ColumnOptions, Fields, Mapped, show_field
from crm.import_names import members_by_name, statuses_by_name
from crm.import_parts import (
    TEXTS,
    Bad,
    country_of,
    email_of,
    is_blank,
    named,
    phone_of,
    plain_text,
    read_addresses,
    read_contacts,
    read_reaches,
    show_contact,
    show_reaches,
    text_of,
)
from crm.import_values import custom_of, flag_of, whole_of, word_of
from crm.models import (
    CustomField,
    FieldObject,
    FieldType,
    Lifecycle,
    SourcePlatform,
    SourceType,
)
from crm.text import composed

_SHOWN_VALUE = 100
_WORDS: Mapping[str, Sequence[str]] = {
    "lead.source_platform": SourcePlatform.values,
    "lead.source_type": SourceType.values,
    "lead.lifecycle": Lifecycle.values,
    "lead.lead_line": ["buyer", "seller"],
}
_READERS: Mapping[str, Callable[[str], object]] = {
    "lead.id": lambda text: str(parse_close_id("lead", text) or parse_hex_id("comp", text) or UUID(int=0)),  # nobody's
    "lead.email": email_of,
    "contact.email": email_of,
    "lead.phone": phone_of,
    "contact.phone": phone_of,
    "address.country": country_of,
    "lead.qualified": flag_of,
    "lead.score": whole_of,
    "lead.employee_count": whole_of,
}
_REACHES = ("contact.emails", "contact.phones", "contact.urls")
_LISTS = (*_REACHES, "lead.addresses", "lead.contacts")
# Where a field stands in a row: in a part of it, or by itself.
_PLACES: Mapping[str, tuple[str | None, str]] = {
    "lead.status": ("lead", "status_id"),
    "lead.owner": ("lead", "owner_id"),
    "lead.id": ("contact", "lead_id"),
    **{field: (None, field.partition(".")[2]) for field in ("contact.email", "contact.phone", *_LISTS)},
}
# What is kept as a key, and shown as an id with such a prefix.
_IDS = {"lead.status": "stat", "lead.owner": "user", "lead.id": "lead"}


@dataclass(frozen=True)
class RowFault:
    """Why a row is not imported: the first of its problems. `column` is the name in the file."""

    code: str
    message: str
    column: str | None = None
    value: str | None = None


class _Column(NamedTuple):
    place: int
    name: str
    field: str
    part: str | None
    key: str
    read: Callable[[Cell], object]
    clears: bool


class ImportReader:
    """Reads the rows of one file: what they may refer to is looked up once for all of them."""

    def __init__(
        self,
        organization_id: UUID,
        fields: Fields,
        header: Sequence[str],
        mapping: Mapping[str, Mapped],
        required: Sequence[str] = (),
    ) -> None:
        """`required`: fields without which a row is not imported."""
        self._required = required
        self._records = fields.records
        self._custom = fields.custom
        self._statuses = statuses_by_name(organization_id)
        self._owners = members_by_name(organization_id)
        self._cleaned: dict[tuple[str, str], Stored | None] = {}  # references, each of which costs a look
        self._columns = [
            self._column(place, name, ColumnOptions.of(mapping[name]))
            for place, name in enumerate(header)
            if name in mapping
        ]

    def read(self, cells: Sequence[Cell]) -> dict[str, object] | RowFault:
        """The row as JSON (`crm.staged_rows`), or what is wrong with it."""
        row: dict[str, Any] = {}
        said: set[str] = set()
        cleared: list[str] = []
        for column in self._columns:
            cell = cells[column.place]
            if is_blank(cell):
                if column.clears:
                    cleared.append(column.field)
                continue
            value = _read_cell(column, cell)
            if isinstance(value, RowFault):
                return value
            if value is None or value == []:
                continue
            said.add(column.field)
            if column.part is None:
                row[column.key] = value
            else:
                row.setdefault(column.part, {})[column.key] = value
        for column in self._columns:
            if column.field in self._required and column.field not in said:
                return RowFault("missing_value", "A value is required here.", column.name)
        if row and cleared:
            row["cleared"] = cleared
        return self._told(row)

    def shown(self, cells: Sequence[Cell]) -> dict[str, object]:
        """What is read of a row without fault, by field; fields and values as callers spell them."""
        shown: dict[str, object] = {}
        for column in self._columns:
            cell = cells[column.place]
            if not is_blank(cell):
                shown[show_field(column.field)] = self._shown(column.field, _read_cell(column, cell))
            elif column.clears:
                shown[show_field(column.field)] = None
        return shown

    def _shown(self, field: str, value: Any) -> object:
        if field in self._custom:
            return show_value(self._custom[field], value)
        if field in _REACHES:
            return show_reaches(field.removeprefix("contact."), value)
        if field == "lead.contacts":
            return [show_contact(one, self._shown_of_contact) for one in value]
        return close_id(_IDS[field], UUID(value)) if field in _IDS else value

    def _shown_of_contact(self, key: str, value: Stored) -> object:
        return show_value(self._custom[f"contact.custom.{key}"], value)

    def _told(self, row: dict[str, Any]) -> dict[str, object] | RowFault:
        if not row:
            return RowFault("nothing_said", "The row has nothing in the columns that are imported.")
        if "contact" in row:
            named(row["contact"])
        if self._records == "leads":
            row.setdefault("lead", {}).setdefault("source_type", SourceType.IMPORT.value)
        return row

    def _column(self, place: int, name: str, options: ColumnOptions) -> _Column:
        part, key = _place_of(options.field)
        return _Column(place, name, options.field, part, key, self._reader_of(options), options.clears)

    def _reader_of(self, options: ColumnOptions) -> Callable[[Cell], object]:
        """What reads a cell of the column. Found once: a file has a million of them."""
        field = options.field
        if field in self._custom:
            return partial(self._custom_value, self._custom[field], options=options)
        if field in TEXTS:
            return partial(plain_text, field)
        if field in _REACHES:
            return partial(read_reaches, field.removeprefix("contact."), separator=options.separator)
        if field == "lead.addresses":
            return read_addresses
        if field == "lead.contacts":
            return self._contacts_reader()
        return _of_text(self._text_reader(field))

    def _text_reader(self, field: str) -> Callable[[str], object]:
        if field in _WORDS:
            return partial(word_of, words=_WORDS[field])
        if field == "lead.status":
            return self._status
        return self._owner if field == "lead.owner" else _READERS[field]

    def _contacts_reader(self) -> Callable[[Cell], object]:
        known = {
            f"custom.cf_{field.key}": field
            for field in self._custom.values()
            if field.object_type == FieldObject.CONTACT
        }
        return lambda cell: read_contacts(cell, known, self._custom_value)

    def _custom_value(self, field: CustomField, cell: Cell, options: ColumnOptions | None = None) -> Stored | None:
        value = custom_of(field, cell, options or ColumnOptions(""))
        if field.type not in (FieldType.USER, FieldType.CONTACT):
            return clean_value(field, value, path="value")
        known = (field.key, json.dumps(value))
        if known not in self._cleaned:
            self._cleaned[known] = clean_value(field, value, path="value")
        return self._cleaned[known]

    def _status(self, text: str) -> str:
        key = self._statuses.get(composed(text).casefold())
        if key is None:
            raise Bad("unknown_status", "There is no such lead status.")
        return key

    def _owner(self, text: str) -> str:
        key = self._owners.get(composed(text).casefold())
        if key is None:
            raise Bad("unknown_owner", "No active member has this email address, name or id.")
        return key


def _of_text(read: Callable[[str], object]) -> Callable[[Cell], object]:
    return lambda cell: read(text_of(cell).strip())


def _read_cell(column: _Column, cell: Cell) -> object | RowFault:
    try:
        return column.read(cell)
    except Bad as bad:
        return RowFault(bad.code, bad.message, column.name, text_of(cell)[:_SHOWN_VALUE])
    except FieldErrors as problem:
        message = "; ".join(str(told) for told in problem.field_errors.values())
        return RowFault("bad_value", message, column.name, text_of(cell)[:_SHOWN_VALUE])


def _place_of(field: str) -> tuple[str | None, str]:
    if field in _PLACES:
        return _PLACES[field]
    part, name = field.split(".", 1)
    return (f"{part}_custom", name.removeprefix("custom.")) if name.startswith("custom.") else (part, name)
