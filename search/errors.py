"""What can be wrong with a query: every problem found, each with its place."""

from crm.errors import FieldErrors, Invalid

MAX_PROBLEMS = 100  # of one query that are told
_MAX_SHOWN = 80  # characters of something that the caller wrote


class InvalidSearch(FieldErrors):
    """The query cannot be understood, or is not allowed.

    `field_errors` maps paths such as `s_query.queries[1].value` to messages.
    """


class SearchTooSlow(Invalid):
    """The database stopped the query at its time limit."""

    def __init__(self, seconds: int) -> None:
        super().__init__([f"The search took longer than {seconds} s and was stopped. Make it narrower."])


class Problems:
    """Collects what is wrong with one query, so that all of it can be told at once."""

    def __init__(self) -> None:
        self._found: dict[str, str] = {}

    def add(self, path: str, message: str) -> None:
        """Note a problem. The first one of a place is kept, and `MAX_PROBLEMS` of them."""
        if len(self._found) < MAX_PROBLEMS:
            self._found.setdefault(path, message)

    def __bool__(self) -> bool:
        return bool(self._found)

    def raise_any(self) -> None:
        if self._found:
            raise InvalidSearch(self._found)


def shown(value: object) -> str:
    """Something that the caller wrote, fit to stand in a message: short, and encodable whatever it holds."""
    text = value if isinstance(value, str) else repr(value)
    text = text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "…"
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
