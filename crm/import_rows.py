"""Rows of somebody's file, read into what a merge takes: which column means what, and what its cells may hold."""

import contextlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from crm.column_names import FIELDS, Records, suggest
from crm.custom_values import Stored, clean_value
from crm.errors import FieldErrors
from crm.files.rows import Cell
from crm.ids import close_id, parse_close_id, parse_hex_id
from crm.merging import Row
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
from crm.phones import stored_phone
from crm.text import clean_text

_TEXTS = {
    "lead.name": 1000, "lead.name_kana": 1000, "lead.url": 2000, "lead.description": 32_000, "lead.industry": 1000,
    "lead.department": 1000, "lead.external_id": 255, "contact.name": 1000, "contact.first_name": 500,
    "contact.last_name": 500, "contact.title": 1000, "contact.note": 32_000, "contact.external_id": 255,
}  # fmt: skip
_WORDS = {
    "lead.source_platform": SourcePlatform.values,
    "lead.source_type": SourceType.values,
    "lead.lifecycle": Lifecycle.values,
    "lead.lead_line": ["buyer", "seller"],
}
_WHOLE = ("lead.score", "lead.employee_count")
_LARGEST_WHOLE = 2**31 - 1
_LONGEST_PHONE = 100
_YES = ("true", "yes", "y", "1", "はい", "○")
_NO = ("false", "no", "n", "0", "いいえ", "×")
_SHOWN_VALUE = 100
# What a file may hold and a merge has no place for.
UNSUPPORTED = tuple(name for name in FIELDS if name.startswith("address.") or name in ("lead.id", "contact.id"))
KNOWN_FIELDS = tuple(name for name in FIELDS if name not in UNSUPPORTED)
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


class _Bad(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


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
            own = self.name_of(column) or names.get(column.strip().casefold())
            if own and own in self.custom and own not in found.values():
                found[column] = own
        return {column: field for column, field in found.items() if self.name_of(field)}

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
        self._columns = [(place, name, mapping[name]) for place, name in enumerate(header) if name in mapping]
        self._custom = fields.custom
        self._statuses = _statuses(organization_id)
        self._owners = _owners(organization_id)
        self._cleaned: dict[tuple[str, str], Stored | None] = {}  # references, each of which costs a look

    def read(self, cells: Sequence[Cell]) -> dict[str, object] | RowFault:
        """The row as JSON (`row_of` makes a `Row` of it), or what is wrong with it."""
        values: dict[str, object] = {}
        for place, column, field in self._columns:
            cell = cells[place]
            if cell is None or (isinstance(cell, str) and not cell.strip()):
                continue
            try:
                values[field] = self._value(field, cell)
            except _Bad as bad:
                return RowFault(bad.code, bad.message, column, text_of(cell)[:_SHOWN_VALUE])
            except FieldErrors as problem:
                message = "; ".join(str(told) for told in problem.field_errors.values())
                return RowFault("bad_value", message, column, text_of(cell)[:_SHOWN_VALUE])
        for _, column, field in self._columns:
            if field in self._required and field not in values:
                return RowFault("missing_value", "A value is required here.", column)
        return self._row(values)

    def _row(self, values: Mapping[str, object]) -> dict[str, object] | RowFault:
        lead, contact = _part(values, "lead."), _part(values, "contact.")
        row = {
            "lead": {name: value for name, value in lead.items() if not name.startswith("custom.")},
            "contact": {name: value for name, value in contact.items() if not name.startswith("custom.")},
            "lead_custom": _part(lead, "custom."),
            "contact_custom": _part(contact, "custom."),
            "email": contact.get("email"),
            "phone": contact.get("phone"),
        }
        for name in ("email", "phone"):
            row["contact"].pop(name, None)
        names = [row["contact"].get(name) for name in ("first_name", "last_name")]
        if any(names) and not row["contact"].get("name"):
            row["contact"]["name"] = " ".join(str(name) for name in names if name)
        if "id" in row["lead"]:  # only where rows are contacts
            row["contact"]["lead_id"] = row["lead"].pop("id")
        if not any(row.values()):
            return RowFault("nothing_said", "The row has nothing in the columns that are imported.")
        if self._records == "leads":
            row["lead"].setdefault("source_type", SourceType.IMPORT.value)
        return {name: value for name, value in row.items() if value}

    def _value(self, field: str, cell: Cell) -> object:
        if field in self._custom:
            return self._custom_value(self._custom[field], cell)
        text = text_of(cell).strip()
        if field in _TEXTS:
            if len(text) > _TEXTS[field]:
                raise _Bad("too_long", f"The text has more than {_TEXTS[field]:,} characters.")
            return clean_text(text, path=field)
        if field in _WORDS:
            return _word(text, _WORDS[field])
        return _READERS[field](self, text)

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
            raise _Bad("unknown_status", "There is no such lead status.")
        return key

    def _owner(self, text: str) -> str:
        key = self._owners.get(text.casefold())
        if key is None:
            raise _Bad("unknown_owner", "No active member has this email address, name or id.")
        return key

    def _email(self, text: str) -> str:
        try:
            validate_email(text)
        except ValidationError:
            raise _Bad("bad_email", "This is no email address.") from None
        if len(text) > 254:
            raise _Bad("bad_email", "The address has more than 254 characters.")
        return text

    def _phone(self, text: str) -> str:
        if len(text) > _LONGEST_PHONE:
            raise _Bad("bad_phone", f"The number has more than {_LONGEST_PHONE} characters.")
        return stored_phone(text)

    def _whole(self, text: str) -> int:
        plain = text.replace(",", "")
        if not plain.lstrip("-").isdecimal() or len(plain) > 11 or abs(int(plain)) > _LARGEST_WHOLE:
            raise _Bad("bad_number", "This is no whole number within 2,147,483,647.")
        return int(plain)

    def _flag(self, text: str) -> bool:
        word = text.casefold()
        if word not in (*_YES, *_NO):
            raise _Bad("bad_flag", "Say true or false.")
        return word in _YES


_READERS: Mapping[str, Callable[[ImportReader, str], object]] = {
    "lead.id": ImportReader._lead,
    "lead.status": ImportReader._status,
    "lead.owner": ImportReader._owner,
    "lead.email": ImportReader._email,
    "contact.email": ImportReader._email,
    "lead.phone": ImportReader._phone,
    "contact.phone": ImportReader._phone,
    "lead.qualified": ImportReader._flag,
    **dict.fromkeys(_WHOLE, ImportReader._whole),
}
_COLUMN_OF = {"status": "status_id", "owner": "owner_id"}


def row_of(data: Mapping[str, dict]) -> Row:
    """What `ImportReader.read` gave, as it goes into a merge."""
    lead = dict(data.get("lead", {}))
    for name in _COLUMN_OF.values():
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
    )


def text_of(cell: Cell) -> str:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 2**53:
        return str(int(cell))
    return cell if isinstance(cell, str) else json.dumps(cell, ensure_ascii=False)


def _objects(records: Records) -> list[str]:
    return [FieldObject.CONTACT, *([FieldObject.LEAD] if records == "leads" else [])]


def _part(values: Mapping[str, object], prefix: str) -> dict[str, object]:
    found = {name[len(prefix) :]: value for name, value in values.items() if name.startswith(prefix)}
    return {_COLUMN_OF.get(name, name): value for name, value in found.items()}


def _word(text: str, words: Iterable[str]) -> str:
    word = text.casefold()
    if word not in words:
        raise _Bad("unknown_word", f"Say one of {', '.join(words)}.")
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
            raise _Bad("bad_number", "This is no number.") from None
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
