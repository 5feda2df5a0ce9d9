"""Values of bodies. All that is wrong with one is told at once; what is told begins with "must"."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import TypeVar
from uuid import UUID

from crm.errors import FieldErrors
from crm.ids import parse_hex_id
from crm.text import LONGEST_EMAIL, LONGEST_TEXT, clean_text, is_email

LONGEST_NAME = 100
LONGEST_LINE = 1_000

T = TypeVar("T")


def email_of(text: str) -> str:
    """Raises `ValueError` saying what is wrong, in the words of a row error (blueai-api.md 6.3)."""
    if len(text) > LONGEST_EMAIL:
        raise ValueError(f"must have at most {LONGEST_EMAIL} characters")
    if not is_email(text):
        raise ValueError("not an email address")
    return text


class Body:
    """Reads the keys of one JSON object and collects what is wrong with them. `close()` raises it."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self.values = values
        self.problems: dict[str, object] = {}

    def close(self) -> None:
        if self.problems:
            raise FieldErrors(self.problems)

    def has(self, key: str) -> bool:
        return key in self.values

    def text(self, key: str, *, limit: int = LONGEST_TEXT, required: bool = False) -> str | None:
        """Trimmed; empty text and null are no value, which is a problem of a `required` key."""
        value = self.values.get(key)
        if value is None or (isinstance(value, str) and not value.strip()):
            if required:
                self.problems[key] = "is required"
            return None
        return self._attempt(key, lambda: _trimmed(value, key, limit))

    def email(self, key: str) -> str | None:
        text = self.text(key, limit=LONGEST_TEXT)
        return None if text is None else self._attempt(key, lambda: email_of(text))

    def whole(self, key: str, lowest: int, highest: int) -> int | None:
        """A whole number; 40.0 is how some clients write 40, and a bool is none."""
        value = self.values.get(key)
        if value is None:
            return None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
            self.problems[key] = f"must be a whole number from {lowest} to {highest}"
            return None
        return value

    def day(self, key: str) -> date | None:
        value = self.values.get(key)
        if value is None:
            return None
        try:
            if isinstance(value, str) and len(value) == 10:
                return date.fromisoformat(value)
        except ValueError:
            pass
        self.problems[key] = "must be a date such as 2026-03-01"
        return None

    def flag(self, key: str) -> bool | None:
        value = self.values.get(key)
        if value is not None and not isinstance(value, bool):
            self.problems[key] = "must be true or false"
            return None
        return value

    def choice(self, key: str, choices: tuple[str, ...], *, required: bool = False) -> str | None:
        value = self.values.get(key)
        if value is None:
            if required:
                self.problems[key] = "is required"
            return None
        if not isinstance(value, str) or value not in choices:
            self.problems[key] = f"must be one of: {', '.join(choices)}"
            return None
        return value

    def key(self, name: str, prefix: str) -> UUID | None:
        """The key behind an id; what is no text is a problem here, an id that stands for nothing is `UNKNOWN`."""
        value = self.values.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            self.problems[name] = "must be an id"
            return None
        return parse_hex_id(prefix, value) or UNKNOWN

    def _attempt(self, key: str, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except FieldErrors as problem:
            self.problems |= problem.field_errors
        except ValueError as problem:
            self.problems[key] = str(problem)
        return None


UNKNOWN = UUID(int=0)  # what an id of another form stands for: no row has this key


def _trimmed(value: object, key: str, limit: int) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a text")
    text = clean_text(value, path=key).strip()
    if len(text) > limit:
        raise ValueError(f"must have at most {limit} characters")
    return text
