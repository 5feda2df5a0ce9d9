"""Partial answers: `_fields` (close-api.md 1.8)."""

from collections.abc import Mapping

from crm.errors import FieldErrors

Fields = frozenset[str] | None  # None: everything


def parse_fields(value: object) -> Fields:
    """`id,name,custom` (or a list of those) as a set; None, an empty text and `_all` mean everything."""
    if value is None:
        return None
    if isinstance(value, str):
        words = value.split(",")
    elif isinstance(value, list) and all(isinstance(word, str) for word in value):
        words = value
    else:
        raise FieldErrors({"_fields": "Value must be a comma-separated string."})
    fields = frozenset(word.strip() for word in words) - {""}
    return None if not fields or "_all" in fields else fields


def wants(fields: Fields, *names: str) -> bool:
    """Whether the caller will see any of these keys: what nobody asked for need not be computed."""
    return fields is None or not fields.isdisjoint(names)


def wants_custom(fields: Fields) -> bool:
    return fields is None or any(name == "custom" or name.startswith("custom.") for name in fields)


def pick_fields(data: Mapping[str, object], fields: Fields) -> dict[str, object]:
    """Only the asked keys. `custom` stands for the object of that name and for every `custom.cf_…` key."""
    if fields is None:
        return dict(data)
    return {
        key: value for key, value in data.items() if key in fields or ("custom" in fields and key.startswith("custom."))
    }
