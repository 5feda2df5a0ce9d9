"""Cells of somebody's file that hold one value of a kind: words, numbers, flags, values of custom fields."""

import contextlib
import re
from collections.abc import Iterable

from crm.files.rows import Cell
from crm.import_dates import AmbiguousDate, iso_date, without_midnight
from crm.import_fields import ColumnOptions
from crm.import_parts import Bad, json_of, text_of
from crm.models import CustomField, FieldType
from crm.text import composed

_LARGEST_WHOLE = 2**31 - 1
_YES = ("true", "yes", "y", "1", "はい", "○")
_NO = ("false", "no", "n", "0", "いいえ", "×")
_WHOLE = re.compile(r"-?\d{1,10}")
# A comma counts only where it groups thousands: elsewhere it may be meant as a decimal point.
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d*)?")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?")
_LONGEST_NUMBER = 50  # characters
_CHOICES_APART = ";"
_TEXTS = (FieldType.TEXT, FieldType.TEXTAREA, FieldType.HIDDEN)


def word_of(text: str, words: Iterable[str]) -> str:
    word = text.casefold()
    if word not in words:
        raise Bad("unknown_word", f"Say one of {', '.join(words)}.")
    return word


def whole_of(text: str) -> int:
    plain = _plain_number(text)
    if not _WHOLE.fullmatch(plain) or abs(int(plain)) > _LARGEST_WHOLE:
        raise Bad("bad_number", "This is no whole number within 2,147,483,647.")
    return int(plain)


def flag_of(text: str) -> bool:
    word = text.casefold()
    if word not in (*_YES, *_NO):
        raise Bad("bad_flag", "Say true or false.")
    return word in _YES


def custom_of(field: CustomField, cell: Cell, options: ColumnOptions) -> object:
    """The cell as the custom field takes it (`clean_value`): a text that holds several values is a list."""
    if field.accepts_multiple_values and isinstance(cell, str):
        cell = _parted(field, cell.strip(), options.separator)
    if isinstance(cell, list):
        return [_one(field, one, options) for one in cell]
    return _one(field, cell, options)


def _parted(field: CustomField, text: str, separator: str | None) -> Cell:
    if text.startswith("["):
        with contextlib.suppress(ValueError):
            return json_of(text)
    if separator is None and field.type == FieldType.CHOICES and _choice(field, text) not in field.choices:
        separator = _CHOICES_APART
    if separator is None or separator not in text:
        return text
    return [part.strip() for part in text.split(separator) if part.strip()]


def _one(field: CustomField, cell: Cell, options: ColumnOptions) -> object:
    if field.type == FieldType.NUMBER:
        return _number(cell) if isinstance(cell, str) else cell
    text = text_of(cell) if isinstance(cell, bool | int | float) else cell
    if not isinstance(text, str) or field.type in _TEXTS:
        return text
    if field.type == FieldType.CHOICES:
        return _choice(field, text.strip())
    if field.type not in (FieldType.DATE, FieldType.DATETIME):
        return text.strip()
    try:
        date = iso_date(text, options.date_order)
    except AmbiguousDate:
        raise Bad("ambiguous_date", "Say by date_format whether the day or the month comes first.") from None
    return without_midnight(date) if field.type == FieldType.DATE else date


def _choice(field: CustomField, text: str) -> str:
    """The choice that `text` is, letter for letter or composed; else `text`, for the field to refuse."""
    if text in field.choices:
        return text
    return next((choice for choice in field.choices if composed(choice) == composed(text)), text)


def _number(text: str) -> int | float:
    plain = _plain_number(text)
    if not _NUMBER.fullmatch(plain) or len(plain) > _LONGEST_NUMBER:
        raise Bad("bad_number", "This is no number.")
    return int(plain) if plain.lstrip("+-").isdecimal() else float(plain)


def _plain_number(text: str) -> str:
    text = text.strip()
    return text.replace(",", "") if _GROUPED.fullmatch(text) else text
