"""Slugs: the unchanging words by which some dialects address statuses and fields."""

import unicodedata
from collections.abc import Container

_LONGEST_SLUG = 60  # characters, without the number that tells namesakes apart


def unique_slug(text: str, taken: Container[str]) -> str:
    """`text` in lower case with `_` for whatever is not a letter or a digit; `_2`, `_3` … where that is taken."""
    lowered = unicodedata.normalize("NFKC", text).lower()
    words = "".join(character if character.isalnum() else " " for character in lowered).split()
    base = "_".join(words)[:_LONGEST_SLUG].rstrip("_") or "unnamed"
    slug, number = base, 1
    while slug in taken:
        number += 1
        slug = f"{base}_{number}"
    return slug
