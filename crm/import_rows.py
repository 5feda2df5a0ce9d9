"""Rows of somebody's file, read into what a merge takes: which column means what, and what its cells may hold."""

import contextlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from crm.column_names import FIELDS, Records, suggest
from crm.custom_values import Stored, clean_value
from crm.errors import FieldErrors
from crm.files.rows import Cell
from crm.ids import close_id, parse_close_id, parse_hex_id
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
    text_of,
)
from crm.merging import Reach, Row
from crm.models import (
    CustomField,
    FieldObject,
    FieldType,
    LeadStatus,
    Lifecycle,
    Membership,
    SourcePlatform,
    SourceType,
)

_WORDS = {
    "lead.source_platform": SourcePlatform.values,
    "lead.source_type": SourceType.values,
    "lead.lifecycle": Lifecycle.values,
    "lead.lead_line": ["buyer", "seller"],
}
_WHOLE = ("lead.score", "lead.employee_count")
_LARGEST_WHOLE = 2**31 - 1
_YES = ("true", "yes", "y", "1", "はい", "○")
_NO = ("false", "no", "n", "0", "いいえ", "×")
_SHOWN_VALUE = 100
# Ids are ours to give; contacts by themselves refer to their lead by its.
KNOWN_FIELDS = tuple(name for name in FIELDS if name not in ("lead.id", "contact.id"))
_CUSTOM = {FieldObject.LEAD: "lead.custom", FieldObject.CONTACT: "contact.custom"}
_SUBJECT_FIELDS: dict[Records, tuple[str, ...]] = {
    "leads": KNOWN_FIELDS,
    "contacts": ("lead.id", *(name for name in KNOWN_FIELDS if name.startswith("contact."))),
}


@dataclass(frozen=True)
class RowFault:
    """Why a row is not imported: the first of its problems. `column` is the name in the file."""

    code: str
    message: str
    column: str | None = None
    value: str | None = None


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

    def read(self, header: Sequence[str], mapping: Mapping[str, object]) -> dict[str, str]:
        """The given mapping of column names to fields, checked; null leaves a column out. Raises `FieldErrors`."""
        problems: dict[str, object] = {}
        found: dict[str, str] = {}
        for column, wanted in mapping.items():
            path = f"mapping.{column[:_SHOWN_VALUE]}"
            field = self.name_of(wanted)
            if column not in header:
                problems[path] = "The file has no such column."
            elif wanted is None:
                continue
            elif field is None:
                problems[path] = "There is no such field."
            elif field in found.values():
                problems[path] = "Another column is this field already."
            else:
                found[column] = field
        if problems:
            raise FieldErrors(dict(list(problems.items())[:20]))
        return found

    def suggest(self, header: Sequence[str]) -> dict[str, str]:
        """The mapping that the names of the columns suggest."""
        found = {header[place]: field for place, field in suggest(header, self.records).items()}
        names = {field.name.casefold(): name for name, field in reversed(self.custom.items())}
        for column in header:
            plain = column.strip().casefold()
            own = self.name_of(column) or names.get(plain) or names.get(plain.removeprefix("custom."))
            if own and own in self.custom and own not in found.values():
                found[column] = own
        # Whoever lists all contacts says nothing new of one of them (`primary_email`, in exports).
        lists_contacts = "lead.contacts" in found.values()
        return {
            column: field
            for column, field in found.items()
            if self.name_of(field) and not (lists_contacts and field.startswith("contact."))
        }

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


class ImportReader:
    """Reads the rows of one file: what they may refer to is looked up once for all of them."""

    def __init__(
        self,
        organization_id: UUID,
        fields: Fields,
        header: Sequence[str],
        mapping: Mapping[str, str],
        required: Sequence[str] = (),
    ) -> None:
        """`required`: fields without which a row is not imported."""
        self._required = required
        self._records = fields.records
        self._columns = [
            (place, name, mapping[name], *_place_of(mapping[name]))
            for place, name in enumerate(header)
            if name in mapping
        ]
        self._custom = fields.custom
        self._custom_of_contacts = {
            f"custom.cf_{field.key}": field
            for field in fields.custom.values()
            if field.object_type == FieldObject.CONTACT
        }
        self._statuses = _statuses(organization_id)
        self._owners = _owners(organization_id)
        self._cleaned: dict[tuple[str, str], Stored | None] = {}  # references, each of which costs a look

    def read(self, cells: Sequence[Cell]) -> dict[str, object] | RowFault:
        """The row as JSON (`row_of` makes a `Row` of it), or what is wrong with it."""
        row: dict[str, Any] = {}
        said: set[str] = set()
        for place, column, field, part, name in self._columns:
            cell = cells[place]
            if is_blank(cell):
                continue
            try:
                value = self._value(field, cell)
            except Bad as bad:
                return RowFault(bad.code, bad.message, column, text_of(cell)[:_SHOWN_VALUE])
            except FieldErrors as problem:
                message = "; ".join(str(told) for told in problem.field_errors.values())
                return RowFault("bad_value", message, column, text_of(cell)[:_SHOWN_VALUE])
            if value is None or value == []:
                continue
            said.add(field)
            if part is None:
                row[name] = value
            else:
                row.setdefault(part, {})[name] = value
        for _, column, field, *_ in self._columns:
            if field in self._required and field not in said:
                return RowFault("missing_value", "A value is required here.", column)
        return self._told(row)

    def _told(self, row: dict[str, Any]) -> dict[str, object] | RowFault:
        if not row:
            return RowFault("nothing_said", "The row has nothing in the columns that are imported.")
        if "contact" in row:
            named(row["contact"])
        if self._records == "leads":
            row.setdefault("lead", {}).setdefault("source_type", SourceType.IMPORT.value)
        return row

    def _value(self, field: str, cell: Cell) -> object:
        if field in self._custom:
            return self._custom_value(self._custom[field], cell)
        if field in TEXTS:
            return plain_text(field, cell)
        if field in _WORDS:
            return _word(text_of(cell).strip(), _WORDS[field])
        if field in _LISTS:
            return _LISTS[field](self, cell)
        return _READERS[field](self, text_of(cell).strip())

    def _contacts(self, cell: Cell) -> list[dict[str, object]]:
        return read_contacts(cell, self._custom_of_contacts, self._custom_value)

    def _custom_value(self, field: CustomField, cell: Cell) -> Stored | None:
        value = _typed(field, cell)
        if field.type not in (FieldType.USER, FieldType.CONTACT):
            return clean_value(field, value, path="value")
        known = (field.key, json.dumps(value))
        if known not in self._cleaned:
            self._cleaned[known] = clean_value(field, value, path="value")
        return self._cleaned[known]

    def _lead(self, text: str) -> str:
        return str(parse_close_id("lead", text) or parse_hex_id("comp", text) or UUID(int=0))  # which is nobody's

    def _status(self, text: str) -> str:
        key = self._statuses.get(text.casefold())
        if key is None:
            raise Bad("unknown_status", "There is no such lead status.")
        return key

    def _owner(self, text: str) -> str:
        key = self._owners.get(text.casefold())
        if key is None:
            raise Bad("unknown_owner", "No active member has this email address, name or id.")
        return key

    def _whole(self, text: str) -> int:
        plain = text.replace(",", "")
        if not plain.lstrip("-").isdecimal() or len(plain) > 11 or abs(int(plain)) > _LARGEST_WHOLE:
            raise Bad("bad_number", "This is no whole number within 2,147,483,647.")
        return int(plain)

    def _flag(self, text: str) -> bool:
        word = text.casefold()
        if word not in (*_YES, *_NO):
            raise Bad("bad_flag", "Say true or false.")
        return word in _YES


_READERS: Mapping[str, Callable[[ImportReader, str], object]] = {
    "lead.id": ImportReader._lead,
    "lead.status": ImportReader._status,
    "lead.owner": ImportReader._owner,
    "lead.email": lambda reader, text: email_of(text),
    "contact.email": lambda reader, text: email_of(text),
    "lead.phone": lambda reader, text: phone_of(text),
    "contact.phone": lambda reader, text: phone_of(text),
    "address.country": lambda reader, text: country_of(text),
    "lead.qualified": ImportReader._flag,
    **dict.fromkeys(_WHOLE, ImportReader._whole),
}
_LISTS: Mapping[str, Callable[[ImportReader, Cell], list]] = {
    "contact.emails": lambda reader, cell: read_reaches("emails", cell),
    "contact.phones": lambda reader, cell: read_reaches("phones", cell),
    "contact.urls": lambda reader, cell: read_reaches("urls", cell),
    "lead.addresses": lambda reader, cell: read_addresses(cell),
    "lead.contacts": ImportReader._contacts,
}
# Where a field stands in a row: in a part of it, or by itself.
_PLACES: Mapping[str, tuple[str | None, str]] = {
    "lead.status": ("lead", "status_id"),
    "lead.owner": ("lead", "owner_id"),
    "lead.id": ("contact", "lead_id"),
    **{field: (None, field.partition(".")[2]) for field in ("contact.email", "contact.phone", *_LISTS)},
}


def _place_of(field: str) -> tuple[str | None, str]:
    if field in _PLACES:
        return _PLACES[field]
    part, name = field.split(".", 1)
    return (f"{part}_custom", name.removeprefix("custom.")) if name.startswith("custom.") else (part, name)


def row_of(data: Mapping[str, Any]) -> Row:
    """What `ImportReader.read` gave, as it goes into a merge."""
    lead = dict(data.get("lead", {}))
    for name in ("status_id", "owner_id"):
        if name in lead:
            lead[name] = UUID(lead[name])
    contact = dict(data.get("contact", {}))
    if contact.get("lead_id"):
        contact["lead_id"] = UUID(contact["lead_id"])
    return Row(
        lead=lead,
        contact=contact,
        email=data.get("email"),
        phone=data.get("phone"),
        lead_custom=data.get("lead_custom", {}),
        contact_custom=data.get("contact_custom", {}),
        emails=[Reach(**one) for one in data.get("emails", ())],
        phones=[Reach(**one) for one in data.get("phones", ())],
        urls=[Reach(**one) for one in data.get("urls", ())],
        address=data.get("address", {}),
        addresses=data.get("addresses", ()),
        contacts=[row_of(one) for one in data.get("contacts", ())],
    )


def _objects(records: Records) -> list[str]:
    return [FieldObject.CONTACT, *([FieldObject.LEAD] if records == "leads" else [])]


def _word(text: str, words: Iterable[str]) -> str:
    word = text.casefold()
    if word not in words:
        raise Bad("unknown_word", f"Say one of {', '.join(words)}.")
    return word


def _typed(field: CustomField, cell: Cell) -> object:
    """The cell as the custom field takes it: files know texts, and a list only as JSON."""
    if field.accepts_multiple_values and isinstance(cell, str) and cell.strip().startswith("["):
        with contextlib.suppress(ValueError, RecursionError):
            cell = json.loads(cell)
    if isinstance(cell, list):
        return [_typed_one(field, one) for one in cell]
    return _typed_one(field, cell)


def _typed_one(field: CustomField, cell: object) -> object:
    if field.type == FieldType.NUMBER:
        if not isinstance(cell, str):
            return cell
        plain = cell.strip().replace(",", "")
        try:
            return int(plain) if plain.lstrip("-").isdecimal() and len(plain) < 20 else float(plain)
        except ValueError:
            raise Bad("bad_number", "This is no number.") from None
    text = cell if isinstance(cell, str) else text_of(cell) if isinstance(cell, bool | int | float) else cell
    if field.type == FieldType.DATE and isinstance(text, str):
        text = text.strip().replace("/", "-")
        return text[:10] if text[10:] in ("T00:00:00", " 00:00:00") else text
    if isinstance(text, str) and field.type not in (FieldType.TEXT, FieldType.TEXTAREA, FieldType.HIDDEN):
        return text.strip()
    return text


def _statuses(organization_id: UUID) -> dict[str, str]:
    """The keys of the lead statuses by id, slug and label; of equal labels the first."""
    found: dict[str, str] = {}
    for status in LeadStatus.objects.filter(organization=organization_id).order_by("position", "pk"):
        for name in (close_id("stat", status.pk), status.slug, status.label):
            found.setdefault(name.casefold(), str(status.pk))
    return found


def _owners(organization_id: UUID) -> dict[str, str]:
    """The keys of the active members by id, address and name; a name of two people is nobody's."""
    found: dict[str, str] = {}
    doubled: set[str] = set()
    members = Membership.objects.filter(organization=organization_id, is_active=True, user__is_active=True)
    for member in members.select_related("user").order_by("pk"):
        user = member.user
        name = user.full_name.casefold()
        if name in found:
            doubled.add(name)
        for known in (close_id("user", user.pk).casefold(), user.email.casefold(), name):
            found.setdefault(known, str(user.pk))
    return {name: key for name, key in found.items() if name and name not in doubled}


def match_field(fields: Fields, wanted: str) -> CustomField | None:
    """The custom field of that name (`custom.cf_…`) by which records are to be known again."""
    name = fields.name_of(wanted)
    return fields.custom.get(name) if name else None
