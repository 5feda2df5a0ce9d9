"""One UUIDv7 key, three spellings: Close (prefix and 22 base-62 characters), BlueAI (prefix and hex), gomega (uuid)."""

import re
from uuid import UUID

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_VALUE = {character: value for value, character in enumerate(_ALPHABET)}
_LENGTH = 22  # 62**22 > 2**128
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_HEX_ID = re.compile(r"(?P<prefix>[a-z]+)_(?P<key>[0-9a-f]{32})")
_UUID = re.compile(r"(?i:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.ASCII)


def base62(key: UUID) -> str:
    """The 22 characters that stand for `key`; their order (by code point) is the order of the keys."""
    number, pairs = key.int, []
    for _ in range(_LENGTH // 2):
        number, remainder = divmod(number, len(_PAIRS))
        pairs.append(_PAIRS[remainder])
    pairs.reverse()
    return "".join(pairs)


def from_base62(text: str) -> UUID | None:
    """The key that `text` stands for, or None where it stands for none."""
    if len(text) != _LENGTH:
        return None
    number = 0
    for character in text:
        value = _VALUE.get(character)
        if value is None:
            return None
        number = number * 62 + value
    return UUID(int=number) if number < 1 << 128 else None


def hex_id(prefix: str, key: UUID) -> str:
    """`deal_0193…`: the spelling of blueai-api.md 1, 32 lower-case hex characters."""
    return f"{prefix}_{key.hex}"


def parse_hex_id(prefix: str, text: object) -> UUID | None:
    """The key behind a BlueAI id of that kind, or None as for `parse_close_id`."""
    if not isinstance(text, str) or not (match := _HEX_ID.fullmatch(text)) or match["prefix"] != prefix:
        return None
    return UUID(match["key"])


def parse_uuid(text: object) -> UUID | None:
    """The key that a gomega id stands for: a uuid with its dashes, in either case. None as for `parse_close_id`.

    `str(key)` is the spelling.
    """
    return UUID(text) if isinstance(text, str) and _UUID.fullmatch(text) else None


def close_id(prefix: str, key: UUID) -> str:
    """`lead_01h…`: the spelling of close-api.md 1.9."""
    return f"{prefix}_{base62(key)}"


def parse_close_id(prefix: str, text: object) -> UUID | None:
    """The key behind a Close id of that kind, or None: an id of another form is an unknown id, never an error."""
    if not isinstance(text, str) or not text.startswith(prefix + "_"):
        return None
    return from_base62(text[len(prefix) + 1 :])
