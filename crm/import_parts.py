"""Cells of somebody's file: texts, and those that hold more than one value, as exports and the API spell them.

A list is JSON (in JSONL the value itself). Addresses of people, numbers and URLs may also stand in one text, one behind
the other.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from crm.countries import COUNTRIES
from crm.custom_values import Stored
from crm.files.rows import TOO_DEEP, Cell, is_too_deep
from crm.merging.rows import ADDRESS_COLUMNS
from crm.models import CustomField
from crm.phones import stored_phone
from crm.text import LONGEST_EMAIL, LONGEST_TEXT, clean_text, is_email

# The longest text of each column, in characters: what Close's API takes, else what people mean.
TEXTS: Mapping[str, int] = {
    "lead.name": LONGEST_TEXT, "lead.url": LONGEST_TEXT, "lead.description": LONGEST_TEXT, "lead.name_kana": 1000,
    "lead.industry": 1000, "lead.department": 1000, "lead.external_id": 255, "contact.name": LONGEST_TEXT,
    "contact.first_name": 500, "contact.last_name": 500, "contact.title": LONGEST_TEXT, "contact.note": LONGEST_TEXT,
    "contact.external_id": 255,
    **{f"address.{name}": LONGEST_TEXT for name in ADDRESS_COLUMNS if name != "country"},
}  # fmt: skip
_OF_PARAGRAPHS = ("lead.description", "contact.note")  # blanks around them are theirs
_NO_EMAIL = "This is no email address."
_SEVERAL = "These are several addresses: map the column to contact.emails."
_LONGEST_PHONE = 100
_LONGEST_TYPE = 50
_MOST = 500  # items of a list, as in a request of Close's API
_CONTACT_TEXTS = ("name", "first_name", "last_name", "title", "note", "external_id")
_CODE = re.compile(r"[A-Za-z]{2}")

T = TypeVar("T")
ReadCustom = Callable[[CustomField, Cell], Stored | None]


class Bad(Exception):
    """What is wrong with a cell."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def text_of(cell: Cell) -> str:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 2**53:
        return str(int(cell))
    return cell if isinstance(cell, str) else json.dumps(cell, ensure_ascii=False)


def json_of(text: str) -> Cell:
    """What a cell says in JSON. Raises `ValueError` where it is none, `Bad` where it is nested too deeply."""
    try:
        value = json.loads(text)
    except RecursionError:
        raise Bad("too_deep", TOO_DEEP) from None
    if is_too_deep(value):
        raise Bad("too_deep", TOO_DEEP)
    return value


def is_blank(cell: Cell) -> bool:
    return cell is None or cell == [] or (isinstance(cell, str) and not cell.strip())


def plain_text(field: str, cell: Cell) -> str:
    """The text of one of `TEXTS`. Raises `Bad`, `FieldErrors`."""
    text = text_of(cell)
    if field not in _OF_PARAGRAPHS:
        text = text.strip()
    if len(text) > TEXTS[field]:
        raise Bad("too_long", f"The text has more than {TEXTS[field]:,} characters.")
    return clean_text(text, path=field)


def email_of(text: str) -> str:
    if len(text) > LONGEST_EMAIL:
        raise Bad("bad_email", f"The address has more than {LONGEST_EMAIL} characters.")
    if not is_email(text):
        raise Bad("bad_email", _SEVERAL if text.count("@") > 1 else _NO_EMAIL)
    return text


def phone_of(text: str) -> str:
    if len(text) > _LONGEST_PHONE:
        raise Bad("bad_phone", f"The number has more than {_LONGEST_PHONE} characters.")
    return stored_phone(text)


def url_of(text: str) -> str:
    return clean_text(text, path="url")


def country_of(text: str) -> str:
    """The two-letter code, of a name too."""
    code = COUNTRIES.get(text.casefold()) or (text.upper() if _CODE.fullmatch(text) else None)
    if code is None:
        raise Bad("unknown_country", "A country is given by its two-letter code, such as JP.")
    return code


# What divides several in one text, in Python and in PostgreSQL. Of a number `;ext=` is a part, as it is stored.
SEPARATORS: Mapping[str, str] = {"emails": r"[,;\s]", "phones": r"[,\n]|;(?!ext=)", "urls": r"\s"}
# The key of the value in an object, its type unless one is given, and how it is read.
_REACHES: Mapping[str, tuple[str, str, Callable[[str], str]]] = {
    "emails": ("email", "office", email_of),
    "phones": ("phone", "office", phone_of),
    "urls": ("url", "url", url_of),
}


def read_reaches(name: str, cell: Cell, separator: str | None = None) -> list[dict[str, str]]:
    """The `emails`, `phones` or `urls` of a contact, each `{"text", "type"}` (`crm.merging.Reach`)."""
    key, default_type, read = _REACHES[name]
    found = []
    for item in _listed(cell, re.escape(separator) if separator else SEPARATORS[name]):
        said, type_ = (item.get(key), item.get("type")) if isinstance(item, dict) else (item, None)
        if not isinstance(said, str) or not said.strip():
            raise Bad("bad_list", f"Each item must be a text, or an object with {key} and type.")
        type_ = clean_text(default_type if is_blank(type_) else type_, path="type", limit=_LONGEST_TYPE)
        found.append({"text": read(clean_text(said.strip(), path=key)), "type": type_})
    return found


def show_reaches(name: str, found: Iterable[Mapping[str, str]]) -> list[dict[str, str]]:
    """What `read_reaches` gave, as the API spells it."""
    return [{_REACHES[name][0]: one["text"], "type": one["type"]} for one in found]


def read_addresses(cell: Cell) -> list[dict[str, str]]:
    """The addresses of a lead, with those of `ADDRESS_COLUMNS` that they say."""
    return [address for item in _objects(cell) if (address := _address(item))]


def _address(item: Mapping[str, Cell]) -> dict[str, str]:
    address = {}
    for name in ADDRESS_COLUMNS:
        if not is_blank(cell := item.get(name)):
            text = text_of(cell).strip()
            address[name] = country_of(text) if name == "country" else plain_text(f"address.{name}", text)
    return address


def read_contacts(
    cell: Cell, custom_fields: Mapping[str, CustomField], read_custom: ReadCustom
) -> list[dict[str, object]]:
    """The contacts of a lead, each as a row of which only the contact's parts are said (`staged_rows.row_of`).

    `custom_fields` are those of contacts by what objects call them; `read_custom` reads a value of one.
    """
    return [_numbered(place, _contact, item, custom_fields, read_custom) for place, item in enumerate(_objects(cell))]


def show_contact(found: Mapping[str, Any], show_custom: Callable[[str, Stored], object]) -> dict[str, object]:
    """One that `read_contacts` gave, as the API spells it."""
    reaches = {name: show_reaches(name, found[name]) for name in _REACHES if name in found}
    custom = {f"custom.cf_{key}": show_custom(key, value) for key, value in found["contact_custom"].items()}
    return {**found["contact"], **reaches, **custom}


def _numbered(place: int, read: Callable[..., T], *given: object) -> T:
    try:
        return read(*given)
    except Bad as bad:
        raise Bad(bad.code, f"Contact {place + 1}: {bad.message}") from None


def _contact(
    item: Mapping[str, Cell], custom_fields: Mapping[str, CustomField], read_custom: ReadCustom
) -> dict[str, object]:
    texts, custom = {}, {}
    for name in _CONTACT_TEXTS:
        if not is_blank(cell := item.get(name)):
            texts[name] = plain_text(f"contact.{name}", cell)
    for name, cell in item.items():
        field = custom_fields.get(name)
        if field is not None and not is_blank(cell) and (value := read_custom(field, cell)) is not None:
            custom[field.key] = value
    row: dict[str, object] = {"contact": named(texts), "contact_custom": custom}
    for name in _REACHES:
        if not is_blank(cell := item.get(name)):
            row[name] = read_reaches(name, cell)
    return row


def named(contact: dict[str, object]) -> dict[str, object]:
    """A contact of whom only the parts of the name are said is called by them."""
    if "name" not in contact and ("first_name" in contact or "last_name" in contact):
        parts = (contact.get("first_name"), contact.get("last_name"))
        contact["name"] = " ".join(str(part) for part in parts if part)
    return contact


def _objects(cell: Cell) -> Iterator[Mapping[str, Cell]]:
    for item in _listed(cell, None):
        if not isinstance(item, dict):
            raise Bad("bad_list", "The value must be a list of objects, written as JSON.")
        yield item


def _listed(cell: Cell, separators: str | None) -> list[Cell]:
    """The items of a list, of a text that is one in JSON, or of a text that such separators divide."""
    if isinstance(cell, str):
        text = cell.strip()
        if text.startswith("["):
            try:
                cell = json_of(text)
            except ValueError:
                raise Bad("bad_list", "The value is no list in JSON.") from None
        elif separators is not None:
            return [part for part in re.split(separators, text) if part.strip()]
    if not isinstance(cell, list):
        raise Bad("bad_list", "The value must be a list.")
    if len(cell) > _MOST:
        raise Bad("bad_list", f"The list has more than {_MOST} items.")
    return cell
