"""Rows of leads, read into what a merge takes (gomega-api.md 6, 7)."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar
from uuid import UUID

from crm.api.gomega.lists import LINES
from crm.custom_values import Stored, clean_value, show_value
from crm.errors import FieldErrors
from crm.ids import parse_uuid
from crm.merging import Row, Rules
from crm.models import (
    CustomField,
    FieldObject,
    FieldType,
    LeadStatus,
    Membership,
    SourcePlatform,
    SourceType,
)
from crm.phones import stored_phone
from crm.text import LONGEST_EMAIL, clean_text, is_email
from crm.webhooks.event_lead import LEAD_LINE

_LONGEST = {"contact_name": 1000, "contact_phone": 100, "contact_email": LONGEST_EMAIL}  # characters
GONE = "refers to what is not there any more"
# The list shows the address and number of a lead itself where it has no contact: what is shown is not made again.
RULES = Rules(by_own_reach=True)
_REFERENCES = (FieldType.USER, FieldType.CONTACT, FieldType.CUSTOM_OBJECT)

Body = Mapping[str, object]
T = TypeVar("T")


class RowReader:
    """Reads the rows of one call: what they may refer to is looked up once for all of them."""

    def __init__(self, organization_id: UUID, bodies: Iterable[Body]) -> None:
        stages = LeadStatus.objects.filter(organization=organization_id)
        fields = CustomField.objects.filter(organization=organization_id, object_type=FieldObject.LEAD)
        owners = {key for body in bodies if (key := parse_uuid(body.get("owner_id")))}
        members = Membership.objects.filter(organization=organization_id, user__in=owners, is_active=True)
        self._stages = dict(stages.values_list("slug", "pk"))
        self._fields = {field.slug: field for field in fields}
        self._members = set(members.values_list("user", flat=True)) if owners else set()
        self._cleaned: dict[tuple[str, str], Stored | None] = {}  # a user's value costs a look, once

    def unknown_slugs(self, body: Body) -> list[str]:
        """The slugs of custom fields that nobody knows, in the order given. They are passed over."""
        given = body.get("custom_fields")
        slugs = given if isinstance(given, dict) else ()
        return [slug for slug in slugs if slug != LEAD_LINE and slug not in self._fields]

    def read(self, body: Body, *, defaults: Mapping[str, object]) -> Row:
        """`defaults` are columns of a lead that is made by the row. Raises `FieldErrors` with all that is wrong."""
        reader = _Reading()
        texts = {name: reader.attempt(lambda name=name: _text(body.get(name), name), None) for name in _LONGEST}
        custom = reader.attempt(lambda: self._custom(body.get("custom_fields")), {})
        lead = {
            "source_platform": reader.attempt(lambda: _word(body, "source_platform", SourcePlatform.values), None),
            "source_type": reader.attempt(lambda: _word(body, "source_type", SourceType.values), None),
            "status_id": reader.attempt(lambda: self._stage(body.get("stage_slug")), None),
            "owner_id": reader.attempt(lambda: self._owner(body.get("owner_id")), None),
            LEAD_LINE: reader.attempt(lambda: _word(body, LEAD_LINE, LINES), None) or custom.pop(LEAD_LINE, None),
        }
        email = texts["contact_email"]
        if email is not None:
            reader.attempt(lambda: _check_email(email), None)
        if not any(texts.values()) and not any(name in reader.problems for name in _LONGEST):
            reader.problems["contact_name"] = f"one of {', '.join(_LONGEST)} is required"
        reader.close()
        phone = texts["contact_phone"]
        given = {name: value for name, value in lead.items() if value is not None}
        return Row(
            lead={**defaults, **given},
            contact={"name": texts["contact_name"]} if texts["contact_name"] else {},
            email=email,
            phone=stored_phone(phone) if phone else None,
            lead_custom={key: value for key, value in custom.items() if value is not None},
        )

    def named(self, problem: str) -> str:
        """What the merge has found gone meanwhile (`RowResult.problem`), as a row spells it."""
        slugs = {f"custom.{field.key}": f"custom_fields.{slug}" for slug, field in self._fields.items()}
        return {"status_id": "stage_slug", **slugs}.get(problem, problem)

    def _stage(self, value: object) -> UUID | None:
        if value is None or value == "":
            return None
        slug = clean_text(value, path="stage_slug")
        if slug not in self._stages:
            raise FieldErrors({"stage_slug": f"no such stage: {slug[:100]}"})
        return self._stages[slug]

    def _owner(self, value: object) -> UUID | None:
        if value is None or value == "":
            return None
        key = parse_uuid(value)
        if key not in self._members:
            raise FieldErrors({"owner_id": "no such team member"})
        return key

    def _custom(self, value: object) -> dict[str, Stored | None]:
        """Values by the keys of their fields (and `lead_line`)."""
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise FieldErrors({"custom_fields": "must be an object"})
        values: dict[str, Stored | None] = {}
        problems: dict[str, object] = {}
        for slug, given in value.items():
            field = self._fields.get(slug)
            try:
                if slug == LEAD_LINE:
                    values[LEAD_LINE] = _word(value, LEAD_LINE, LINES)
                elif field is not None:
                    values[field.key] = self._clean(field, given)
            except FieldErrors as problem:
                problems |= problem.field_errors
        if problems:
            raise FieldErrors({"custom_fields": problems})
        return values

    def _clean(self, field: CustomField, value: object) -> Stored | None:
        if value == "":
            return None  # it says nothing, whatever the type
        known = (field.key, json.dumps(value))
        if known not in self._cleaned:
            self._cleaned[known] = clean_value(field, _spelled(field, value), path=field.slug)
        return self._cleaned[known]


class _Reading:
    """What is wrong with one row."""

    def __init__(self) -> None:
        self.problems: dict[str, object] = {}

    def attempt(self, read: Callable[[], T], default: T) -> T:
        try:
            return read()
        except FieldErrors as problem:
            self.problems |= problem.field_errors
            return default

    def close(self) -> None:
        if self.problems:
            raise FieldErrors(self.problems)


def _text(value: object, name: str) -> str | None:
    return None if value is None else clean_text(value, path=name, limit=_LONGEST[name]).strip() or None


def _word(body: Body, name: str, words: Iterable[str]) -> str | None:
    value = body.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, str) and value in words:
        return value
    raise FieldErrors({name: f"must be one of {', '.join(words)}"})


def _check_email(email: str) -> None:
    if not is_email(email):
        raise FieldErrors({"contact_email": "Not a valid email address."})


def _spelled(field: CustomField, value: object) -> object:
    """The value as it is checked: a reference comes as a uuid here."""
    if field.type not in _REFERENCES:
        return value
    if isinstance(value, list):
        return [_spelled(field, one) for one in value]
    key = parse_uuid(value)
    return value if key is None else show_value(field, str(key))
