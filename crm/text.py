"""What every stored text must be, whichever way it came in."""

import re
import unicodedata

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from crm.errors import FieldErrors

LONGEST_TEXT = 32_000  # characters of one value
LONGEST_EMAIL = 254  # characters; RFC 5321 4.5.3.1.3, less the angle brackets
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def is_storable(text: str) -> bool:
    """Whether PostgreSQL can hold it: it has no place for NUL, and UTF-8 none for half a surrogate pair."""
    return _UNSTORABLE.search(text) is None


def clean_text(value: object, *, path: str, limit: int = LONGEST_TEXT) -> str:
    """`value` as text that PostgreSQL can store; `FieldErrors` at `path` where it is not (JSON can carry such)."""
    if not isinstance(value, str):
        raise FieldErrors({path: "Value must be of basestring type."})
    if len(value) > limit:
        raise FieldErrors({path: f"Value must have at most {limit} characters."})
    if not is_storable(value):
        raise FieldErrors({path: "Value contains characters that cannot be stored."})
    return value


def composed(text: str) -> str:
    """`text` in NFC, for comparing: macOS takes letters and their marks apart, which nobody sees."""
    return unicodedata.normalize("NFC", text)


def is_email(text: str) -> bool:
    """Whether `text` may stand as the address of a contact or a company. `crm.mail.addresses` judges who is mailed."""
    try:
        validate_email(text)
    except ValidationError:
        return False
    return len(text) <= LONGEST_EMAIL


def clean_name(value: object, *, path: str, limit: int = 255) -> str:
    """As `clean_text`, for names and labels: trimmed, and something must be left."""
    text = clean_text(value, path=path, limit=limit).strip()
    if not text:
        raise FieldErrors({path: "This field is required."})
    return text
