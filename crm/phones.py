"""Telephone numbers: one stored form, and how people and clients see it."""

import re
from functools import cache, lru_cache

import phonenumbers
from phonenumbers import NumberParseException, PhoneMetadata, PhoneNumber, PhoneNumberFormat

_WORLD = "001"  # what the library calls a number that belongs to no country
_INTERNATIONAL = re.compile(r"\+[1-9](?:[ ().-]{0,3}[0-9]){6,14}")
_PUNCTUATION = str.maketrans("", "", " ().-")
_SIGNS_OF_A_COUNTRY = ("+", "＋", "phone-context")  # without one of these a number names no country itself


def stored_phone(text: str, *, country: str | None = None) -> str:
    """The international form (E.164) where `text` can be read as a number (of `country`, when it names none itself);
    else `text` as typed, trimmed."""
    if country is None and not any(sign in text for sign in _SIGNS_OF_A_COUNTRY):
        return text.strip()
    if country is None and _INTERNATIONAL.fullmatch(text) and (plain := _plainly(text.translate(_PUNCTUATION))):
        return plain
    number = _parsed(text, country)
    if number is None or not phonenumbers.is_possible_number(number):
        return text.strip()
    written = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    return f"{written};ext={number.extension}" if number.extension else written


def _plainly(text: str) -> str | None:
    """`text`, a plus and digits, where it is E.164 already and nothing else can be made of it; None where that takes a
    closer look. (The library takes six times as long.)"""
    for end in (2, 3, 4):
        if plan := _plan_of(text[1:end]):
            rest, (national_prefix, lengths) = text[end:], plan
            is_plain = len(rest) in lengths and rest[0] != "0" and not (national_prefix and national_prefix.match(rest))
            return text if is_plain else None
    return None


@cache
def _plan_of(calling_code: str) -> tuple[re.Pattern[str] | None, frozenset[int]] | None:
    """What may have to be taken off a national number, and how long such numbers are; None for no calling code."""
    code = int(calling_code)
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(code)
    if regions is None:
        return None
    metadata = PhoneMetadata.metadata_for_region_or_calling_code(code, regions[0])
    prefix, numbers = metadata.national_prefix_for_parsing, metadata.general_desc
    lengths = frozenset((*numbers.possible_length, *numbers.possible_length_local_only))
    return re.compile(prefix) if prefix else None, lengths


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
