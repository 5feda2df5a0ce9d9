"""Bodies of leads and contacts, read into drafts. All that is wrong is told at once, nested like the input."""

import re
from collections.abc import Callable, Mapping
from typing import TypeVar
from uuid import UUID

from crm.api.close.custom_input import CustomFields, read_custom
from crm.contacts import ContactDraft, Detail
from crm.errors import FieldErrors
from crm.ids import parse_close_id
from crm.leads import AddressDraft, LeadDraft
from crm.models import FieldObject, LeadStatus
from crm.phones import stored_phone
from crm.text import clean_text, is_email

GONE = "Object does not exist."
NOT_TEXT = "Value must be of basestring type."
NOT_A_LIST = "Value must be a list."
NOT_AN_OBJECT = "Value must be an object."
REQUIRED = "This field is required."

LONGEST_LIST = 500  # contacts, addresses, or ways to reach one contact
LONGEST_TYPE = 50  # characters of a label such as "office"

_COUNTRY = re.compile(r"[A-Za-z]{2}")
_ADDRESS_TEXTS = ("label", "address_1", "address_2", "city", "state", "zipcode")

T = TypeVar("T")
Body = Mapping[str, object]


class Reader:
    """Reads the keys of one JSON object and collects what is wrong with them. `close()` raises it."""

    def __init__(self, body: Body) -> None:
        self.body = body
        self.problems: dict[str, object] = {}

    def close(self) -> None:
        if self.problems:
            raise FieldErrors(self.problems)

    def attempt(self, read: Callable[[], T], default: T) -> T:
        """`read()`, or `default` with its problems noted."""
        try:
            return read()
        except FieldErrors as problem:
            self.problems |= problem.field_errors
            return default

    def text(self, key: str, *, limit: int | None = None) -> str | None:
        value = self.body.get(key)
        if value is None:
            return None
        options = {} if limit is None else {"limit": limit}
        return self.attempt(lambda: clean_text(value, path=key, **options), None)

    def texts(self, *keys: str) -> dict[str, str | None]:
        """Those of `keys` that the object has."""
        return {key: self.text(key) for key in keys if key in self.body}

    def items(self, key: str, read: Callable[[Body], T]) -> list[T] | None:
        """A list of objects, each read by `read`; None where the key is missing, empty where it is null."""
        if key not in self.body:
            return None
        value = self.body[key]
        if value is None:
            return []
        if not isinstance(value, list):
            self.problems[key] = NOT_A_LIST
            return []
        if len(value) > LONGEST_LIST:
            self.problems[key] = f"List is too long: at most {LONGEST_LIST}."
            return []
        found: list[T] = []
        problems: dict[str, object] = {}
        for position, item in enumerate(value):
            if not isinstance(item, dict):
                problems[str(position)] = NOT_AN_OBJECT
                continue
            try:
                found.append(read(item))
            except FieldErrors as problem:
                problems[str(position)] = problem.field_errors
        if problems:
            self.problems[key] = problems
        return found


def read_lead(body: Body, organization_id: UUID) -> LeadDraft:
    reader = Reader(body)
    custom_fields = CustomFields(organization_id, FieldObject.LEAD)
    draft = LeadDraft(
        texts=reader.texts("name", "description", "url"),
        status_id=reader.attempt(lambda: _status(body, organization_id), None),
        addresses=reader.items("addresses", _address),
        custom=reader.attempt(lambda: read_custom(body, custom_fields), []),
    )
    reader.close()
    return draft


def read_new_lead(body: Body, organization_id: UUID) -> tuple[LeadDraft, list[ContactDraft]]:
    """The lead of a POST and its contacts; the problems of both at once."""
    reader = Reader(body)
    custom_fields = CustomFields(organization_id, FieldObject.CONTACT)
    contacts = reader.items("contacts", lambda item: _contact(item, custom_fields))
    draft = reader.attempt(lambda: read_lead(body, organization_id), LeadDraft())
    reader.close()
    return draft, contacts or []


def read_contact(body: Body, organization_id: UUID) -> tuple[ContactDraft, UUID | None]:
    """What a body says of a contact, and the lead it names."""
    reader = Reader(body)
    custom_fields = CustomFields(organization_id, FieldObject.CONTACT)
    draft = reader.attempt(lambda: _contact(body, custom_fields), ContactDraft())
    lead_id = parse_close_id("lead", body.get("lead_id"))
    if body.get("lead_id") is not None and lead_id is None:
        reader.problems["lead"] = GONE
    reader.close()
    return draft, lead_id


def _contact(body: Body, custom_fields: CustomFields) -> ContactDraft:
    reader = Reader(body)
    draft = ContactDraft(
        texts=reader.texts("name", "title"),
        emails=reader.items("emails", lambda item: _detail(item, "email", "office", _email)),
        phones=reader.items("phones", lambda item: _detail(item, "phone", "office", _phone)),
        urls=reader.items("urls", lambda item: _detail(item, "url", "url", _url)),
        custom=reader.attempt(lambda: read_custom(body, custom_fields), []),
    )
    reader.close()
    return draft


def _status(body: Body, organization_id: UUID) -> UUID | None:
    """The status by id, else by label; None where the body names none. Whether the id exists is for the write to see,
    which has to hold it."""
    if (text := body.get("status_id")) is not None:
        key = parse_close_id("stat", text)
        if key is None:
            raise FieldErrors({"status_id": GONE})
        return key
    if (label := body.get("status")) is None:
        return None
    if not isinstance(label, str):
        raise FieldErrors({"status": NOT_TEXT})
    found = LeadStatus.objects.filter(organization_id=organization_id, label=label).first()
    if found is None:
        raise FieldErrors({"status": GONE})
    return found.pk


def _address(body: Body) -> AddressDraft:
    reader = Reader(body)
    country = reader.text("country") or None
    if country is not None and not _COUNTRY.fullmatch(country):
        reader.problems["country"] = "Not a valid choice. A country is given by its two-letter code."
    texts = {key: reader.text(key) for key in _ADDRESS_TEXTS}
    reader.close()
    return AddressDraft(**texts, country=country.upper() if country else None)


def _detail(body: Body, key: str, default_type: str, read: Callable[[str, Body], str]) -> Detail:
    reader = Reader(body)
    text = (reader.text(key) or "").strip()
    if not text and key not in reader.problems:
        reader.problems[key] = REQUIRED
    detail_type = reader.text("type", limit=LONGEST_TYPE) or default_type
    reader.close()
    return Detail(read(text, body), detail_type)


def _email(text: str, body: Body) -> str:
    if not is_email(text):
        raise FieldErrors({"email": "Not a valid email address."})
    return text


def _phone(text: str, body: Body) -> str:
    country = body.get("country")
    if country is not None and not isinstance(country, str):
        raise FieldErrors({"country": NOT_TEXT})
    return stored_phone(text, country=country.upper() if country else None)


def _url(text: str, body: Body) -> str:
    return text
