"""Values of custom fields: what a caller may write, what is stored, and how Close spells it (close-api.md 4.6)."""

import math
import re
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from uuid import UUID

from django.db.models import Q, TextField, Value
from django.db.models.functions import Concat, Trim

from crm.errors import FieldErrors
from crm.ids import close_id, parse_close_id
from crm.models import Contact, CustomField, FieldType, Membership
from crm.text import clean_text

_PREFIX = {FieldType.USER: "user", FieldType.CONTACT: "cont", FieldType.CUSTOM_OBJECT: "custobj"}
_MOST_VALUES = 1000  # in one field of one record
_LARGEST_NUMBER = 10**15  # either side of zero; below 2**53, so every whole number is exact everywhere
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DATETIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9:.,]+(?:Z|[+-][0-9:]+)?)?", re.IGNORECASE)

Scalar = str | int | float
Stored = Scalar | list[Scalar]


def clean_value(field: CustomField, value: object, *, path: str) -> Stored | None:
    """`value` as it is stored in `custom` under `field.key`, or None where it says that the field has no value.

    None, an empty list and an empty text mean no value. A field with multiple values takes one value or a list and
    always stores a list, in the order given, without duplicates. Raises `FieldErrors({path: message})`.
    """
    if value is None or value == []:
        return None
    if not field.accepts_multiple_values:
        if isinstance(value, list):
            raise FieldErrors({path: "This field takes a single value, not a list."})
        return _clean_all(field, [value], path)[0] if value != "" or not _is_text(field) else None
    values = value if isinstance(value, list) else [value]
    if len(values) > _MOST_VALUES:
        raise FieldErrors({path: f"List is too long: at most {_MOST_VALUES} values."})
    return list(dict.fromkeys(_clean_all(field, values, path)))


def as_list(stored: Stored | None) -> list[Scalar]:
    """The values of a stored value: none, one, or all of the list."""
    if stored is None:
        return []
    return list(stored) if isinstance(stored, list) else [stored]


def add_values(stored: Stored | None, more: Stored | None, *, path: str) -> Stored | None:
    """Stored values of a multiple-value field with `more` at their end; those already there stay where they are.

    Raises `FieldErrors({path: message})` where that would be more values than a field can have.
    """
    values = list(dict.fromkeys(as_list(stored) + as_list(more)))
    if len(values) > _MOST_VALUES:
        raise FieldErrors({path: f"The field would have too many values: at most {_MOST_VALUES}."})
    return values or None


def remove_values(stored: Stored | None, gone: Stored | None) -> Stored | None:
    """Stored values of a multiple-value field without those in `gone`; None where none is left."""
    unwanted = set(as_list(gone))
    return [value for value in as_list(stored) if value not in unwanted] or None


def show_value(field: CustomField, stored: Stored | None) -> Stored | None:
    """A stored value as Close spells it: references as `user_…`, `cont_…`, all else as stored."""
    prefix = _PREFIX.get(field.type)
    if prefix is None or stored is None:
        return stored
    if isinstance(stored, list):
        return [close_id(prefix, UUID(str(one))) for one in stored]
    return close_id(prefix, UUID(str(stored)))


def _is_text(field: CustomField) -> bool:
    return field.type in (FieldType.TEXT, FieldType.TEXTAREA, FieldType.HIDDEN)


def _clean_all(field: CustomField, values: list[object], path: str) -> list[Scalar]:
    if field.type == FieldType.USER:
        return _users(field, values, path)
    if field.type == FieldType.CONTACT:
        return _contacts(field, values, path)
    clean = _CLEANERS[field.type]
    return [clean(field, value, path) for value in values]


def _text(field: CustomField, value: object, path: str) -> str:
    return clean_text(value, path=path)


def _number(field: CustomField, value: object, path: str) -> int | float:
    # A bool is an int to Python, never to a caller.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FieldErrors({path: "Value must be a number."})
    if abs(value) > _LARGEST_NUMBER or not math.isfinite(value):
        raise FieldErrors({path: f"Value must be a number between -{_LARGEST_NUMBER} and {_LARGEST_NUMBER}."})
    return value


def clean_date(value: object, *, path: str) -> str:
    """A day as `YYYY-MM-DD`, or `FieldErrors` at `path`."""
    if isinstance(value, str) and _DATE.fullmatch(value):
        try:
            return date.fromisoformat(value).isoformat()
        except ValueError:
            pass
    raise FieldErrors({path: "Value must be a date, written YYYY-MM-DD."})


def _date(field: CustomField, value: object, path: str) -> str:
    return clean_date(value, path=path)


def _datetime(field: CustomField, value: object, path: str) -> str:
    """Always with microseconds and "+00:00": the order of the texts is the order of the moments."""
    if isinstance(value, str) and _DATETIME.fullmatch(value):
        try:
            moment = datetime.fromisoformat(value.upper())
            zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            return zoned.astimezone(UTC).isoformat(timespec="microseconds")
        except (ValueError, OverflowError):
            pass
    raise FieldErrors({path: "Value must be a date and time in ISO 8601, such as 2031-03-16T09:30:00+00:00."})


def _choice(field: CustomField, value: object, path: str) -> str:
    if isinstance(value, str) and value in field.choices:
        return value
    raise FieldErrors({path: "Not a valid choice. Add the value to the choices of the field first."})


def _custom_object(field: CustomField, value: object, path: str) -> str:
    """Custom objects are kept elsewhere: any well-formed id will do."""
    key = parse_close_id(_PREFIX[FieldType.CUSTOM_OBJECT], value)
    if key is None:
        raise FieldErrors({path: "Object does not exist."})
    return str(key)


_CLEANERS: dict[str, Callable[[CustomField, object, str], Scalar]] = {
    FieldType.TEXT: _text,
    FieldType.TEXTAREA: _text,
    FieldType.HIDDEN: _text,
    FieldType.NUMBER: _number,
    FieldType.DATE: _date,
    FieldType.DATETIME: _datetime,
    FieldType.CHOICES: _choice,
    FieldType.CUSTOM_OBJECT: _custom_object,
}


def _users(field: CustomField, values: list[object], path: str) -> list[Scalar]:
    """Members by id (former ones too, since records still name them) or by the exact full name of an active one."""
    texts = [clean_text(value, path=path) for value in values]
    keys = {text: key for text in texts if (key := parse_close_id("user", text))}
    members = Membership.objects.filter(organization_id=field.organization_id)
    known = set(members.filter(user_id__in=keys.values()).values_list("user_id", flat=True)) if keys else set()
    named: dict[str, list[UUID]] = {}
    if names := set(texts) - set(keys):
        full_name = Trim(Concat("user__first_name", Value(" "), "user__last_name", output_field=TextField()))
        active = members.filter(is_active=True, user__is_active=True).annotate(full_name=full_name)
        for name, user_id in active.filter(full_name__in=names).values_list("full_name", "user_id"):
            named.setdefault(name, []).append(user_id)
    found: list[Scalar] = []
    for text in texts:
        matches = [keys[text]] if keys.get(text) in known else named.get(text, [])
        if len(matches) > 1:
            raise FieldErrors({path: "More than one user has this name: give the id."})
        if not matches or not text:
            raise FieldErrors({path: "Object does not exist."})
        found.append(str(matches[0]))
    return found


def _contacts(field: CustomField, values: list[object], path: str) -> list[Scalar]:
    keys = [parse_close_id("cont", value) for value in values]
    if None in keys or not _all_exist(field, {key for key in keys if key}):
        raise FieldErrors({path: "Object does not exist."})
    return [str(key) for key in keys]


def _all_exist(field: CustomField, keys: Iterable[UUID]) -> bool:
    wanted = set(keys)
    live = Q(lead__isnull=True) | Q(lead__deleted_at__isnull=True)
    return Contact.objects.filter(live, organization_id=field.organization_id, pk__in=wanted).count() == len(wanted)
