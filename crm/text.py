"""What every stored text must be, whichever way it came in."""

from crm.errors import FieldErrors

LONGEST_TEXT = 32_000  # characters of one value


def clean_text(value: object, *, path: str, limit: int = LONGEST_TEXT) -> str:
    """`value` as text that PostgreSQL can store; `FieldErrors` at `path` where it is not.

    PostgreSQL has no place for NUL, and UTF-8 none for half a surrogate pair; JSON can carry both.
    """
    if not isinstance(value, str):
        raise FieldErrors({path: "Value must be of basestring type."})
    if len(value) > limit:
        raise FieldErrors({path: f"Value must have at most {limit} characters."})
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise FieldErrors({path: "Value contains characters that cannot be stored."})
    return value


def clean_name(value: object, *, path: str, limit: int = 255) -> str:
    """As `clean_text`, for names and labels: trimmed, and something must be left."""
    text = clean_text(value, path=path, limit=limit).strip()
    if not text:
        raise FieldErrors({path: "This field is required."})
    return text
