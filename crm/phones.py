"""Telephone numbers: one stored form, and how people and clients see it."""

from functools import lru_cache

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberFormat

_WORLD = "001"  # what the library calls a number that belongs to no country


def stored_phone(text: str, *, country: str | None = None) -> str:
    """The international form (E.164) where `text` can be read as a number (of `country`, when it names none itself);
    else `text` as typed, trimmed."""
    number = _parsed(text, country)
    if number is None or not phonenumbers.is_possible_number(number):
        return text.strip()
    written = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    return f"{written};ext={number.extension}" if number.extension else written


@lru_cache(maxsize=10_000)
def shown_phone(stored: str) -> tuple[str, str | None]:
    """(the number as people write it, its two-letter country or None)."""
    number = _parsed(stored, None)
    if number is None:
        return stored, None
    shown = phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)
    country = phonenumbers.region_code_for_number(number) or phonenumbers.region_code_for_country_code(
        number.country_code
    )
    return shown, None if country in (None, _WORLD, "ZZ") else country


def _parsed(text: str, country: str | None) -> PhoneNumber | None:
    try:
        return phonenumbers.parse(text, country)
    except NumberParseException:
        return None
