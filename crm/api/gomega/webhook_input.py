"""Bodies of webhooks, read into columns (gomega-api.md 9). All that is wrong is told at once."""

from collections.abc import Mapping

from crm.errors import FieldErrors
from crm.text import clean_text
from crm.webhooks.hooks import EVENT_TYPES

LONGEST_DESCRIPTION = 1000  # characters
_NUMBERS = {"timeout_seconds": (1, 60), "retry_attempts": (0, 10)}


def read_webhook(body: Mapping[str, object], *, is_new: bool) -> dict[str, object]:
    """The columns that the body names; a new webhook must have a `url`. Other keys are passed over."""
    problems: dict[str, object] = {}
    columns: dict[str, object] = {}
    for name, read in _READERS.items():
        if name in body:
            try:
                columns[name] = read(body[name], name)
            except FieldErrors as problem:
                problems |= problem.field_errors
    if is_new and "url" not in body:
        problems["url"] = "is required"
    if problems:
        raise FieldErrors(problems)
    return columns


def read_flag(value: object, name: str) -> bool:
    if isinstance(value, bool):
        return value
    raise FieldErrors({name: "must be true or false"})


def _url(value: object, name: str) -> str:
    return clean_text(value, path=name).strip()


def _events(value: object, name: str) -> list[str]:
    if isinstance(value, list) and value and all(one in EVENT_TYPES for one in value):
        return list(dict.fromkeys(value))
    raise FieldErrors({name: f"must be a list of event types: {', '.join(EVENT_TYPES)}"})


def _number(value: object, name: str) -> int:
    lowest, highest = _NUMBERS[name]
    if isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest:
        return value
    raise FieldErrors({name: f"must be a whole number from {lowest} to {highest}"})


def _description(value: object, name: str) -> str | None:
    return None if value is None else clean_text(value, path=name, limit=LONGEST_DESCRIPTION)


_READERS = {
    "url": _url,
    "event_types": _events,
    "timeout_seconds": _number,
    "retry_attempts": _number,
    "description": _description,
    "is_active": read_flag,
}
