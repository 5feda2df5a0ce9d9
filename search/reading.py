"""Reads keys of JSON objects, noting every problem with its path."""

from collections.abc import Collection, Sequence
from difflib import get_close_matches

from search.errors import Problems, shown

REQUIRED = "This field is required."
MAX_TEXT_BYTES = 64 * 1024  # of one value
MAX_IDS = 50_000  # ids and terms in one query
MAX_UNKNOWN_KEYS = 20  # of one query that are told: finding what was meant takes its time


class Reader:
    """One query's reader: all that it finds wrong goes to `problems`."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._ids = 0
        self._unknown_keys = 0

    def problem(self, path: str, message: str) -> None:
        self._problems.add(path, message)

    def mapping(self, value: object, path: str) -> dict[str, object] | None:
        if isinstance(value, dict):
            return value
        self.problem(path, "Value must be an object.")
        return None

    def check_keys(
        self, data: dict[str, object], path: str, *, required: Sequence[str], optional: Sequence[str] = ()
    ) -> None:
        """Every required key is there, and no key that means nothing (the first `MAX_UNKNOWN_KEYS` are told)."""
        known = (*required, *optional)
        for key in data:
            if key not in known and self._unknown_keys < MAX_UNKNOWN_KEYS:
                self._unknown_keys += 1
                close = get_close_matches(key[:100], known, n=1)
                hint = f" Did you mean '{close[0]}'?" if close else ""
                self.problem(f"{path}.{shown(key)}", f"Unknown key.{hint}")
        for key in required:
            if key not in data:
                self.problem(f"{path}.{key}", REQUIRED)

    def word(self, data: dict[str, object], key: str, path: str) -> str | None:
        """A text that must be there; None where it is not."""
        if key not in data:
            self.problem(f"{path}.{key}", REQUIRED)
            return None
        return self.text(data, key, path)

    def text(self, data: dict[str, object], key: str, path: str) -> str | None:
        """A text; None where the key is missing (`check_keys` tells) or holds something else."""
        return self.text_of(data[key], f"{path}.{key}") if key in data else None

    def text_of(self, value: object, path: str) -> str | None:
        if not isinstance(value, str):
            self.problem(path, "Value must be a string.")
            return None
        try:
            encoded = value.encode()
        except UnicodeEncodeError:
            encoded = b"\0"
        if b"\0" in encoded:
            self.problem(path, "Value contains characters that no text can have.")
            return None
        if len(encoded) > MAX_TEXT_BYTES:
            self.problem(path, f"Value is too long: at most {MAX_TEXT_BYTES // 1024} kB.")
            return None
        return value

    def texts(self, data: dict[str, object], key: str, path: str) -> list[str] | None:
        """A list of ids or terms, counted against the limit of the query; None where one of them is wrong."""
        values = self.items(data, key, path)
        if values is None or not self.count_ids(len(values), f"{path}.{key}"):
            return None
        found = [self.text_of(value, f"{path}.{key}[{place}]") for place, value in enumerate(values)]
        return None if None in found else [text for text in found if text]

    def count_ids(self, count: int, path: str) -> bool:
        if self._ids <= MAX_IDS < self._ids + count:
            self.problem(path, f"The query has more than {MAX_IDS} ids.")
        self._ids += count
        return self._ids <= MAX_IDS

    def choice(self, data: dict[str, object], key: str, path: str, known: Collection[str]) -> str | None:
        value = self.text(data, key, path)
        if value is None or value in known:
            return value
        self.problem(f"{path}.{key}", f"Unknown value '{shown(value)}'. Known: {', '.join(known)}.")
        return None

    def boolean(self, data: dict[str, object], key: str, path: str, *, default: bool) -> bool:
        value = data.get(key, default)
        if isinstance(value, bool):
            return value
        self.problem(f"{path}.{key}", "Value must be true or false.")
        return default

    def items(self, data: dict[str, object], key: str, path: str) -> list[object] | None:
        if key not in data:
            return None
        value = data[key]
        if isinstance(value, list):
            return value
        self.problem(f"{path}.{key}", "Value must be a list.")
        return None
