"""Dates as files write them: `2031-03-16`, `2031/3/16 9:30`, `2031年3月16日`, `16.03.2031`, `3/16/2031 9:30 PM`."""

import re
from enum import StrEnum


class DateOrder(StrEnum):
    """What comes first where it is not the year."""

    DAY_FIRST = "dmy"
    MONTH_FIRST = "mdy"


_YEAR_FIRST = re.compile(r"(?P<year>\d{4})(?:[-/.]|年)\s?(?P<month>\d{1,2})(?:[-/.]|月)\s?(?P<day>\d{1,2})日?")
_YEAR_LAST = re.compile(r"(?P<first>\d{1,2})[-/.]\s?(?P<second>\d{1,2})[-/.]\s?(?P<year>\d{4})")
_TIME = re.compile(
    r"(?:[Tt]|\s+)(?P<hour>\d{1,2}):(?P<minute>\d{2})(?P<second>:\d{2}(?:[.,]\d+)?)?"
    r"(?:\s?(?P<half>[AaPp])\.?[Mm]\.?)?\s?(?P<zone>[Zz]|[+-]\d{2}:?\d{2})?"
)
_MIDNIGHT = re.compile(r"T00:00(?::00(?:\.0+)?)?")


class AmbiguousDate(ValueError):
    """Nobody can know whether the day or the month comes first."""


def iso_date(text: str, order: DateOrder | None) -> str:
    """The date, or date and time, in ISO 8601; the text itself where it is neither. Raises `AmbiguousDate`.

    Whether such a day exists is for others to say.
    """
    text = text.strip()
    if found := _YEAR_FIRST.match(text):
        month, day = found["month"], found["day"]
    elif found := _YEAR_LAST.match(text):
        if order is None:
            raise AmbiguousDate(text)
        month, day = found["first"], found["second"]
        if order is DateOrder.DAY_FIRST:
            month, day = day, month
    else:
        return text
    time = _iso_time(text[found.end() :])
    return text if time is None else f"{found['year']}-{int(month):02}-{int(day):02}{time}"


def without_midnight(date: str) -> str:
    """Spreadsheets give days a time of day."""
    return date[:10] if _MIDNIGHT.fullmatch(date, 10) else date


def _iso_time(text: str) -> str | None:
    """`T09:30:00+09:00`; an empty text of nothing, None of what is no time."""
    if not text.strip():
        return ""
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    hour = int(found["hour"])
    if half := found["half"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half in "Pp" else 0)
    return f"T{hour:02}:{found['minute']}{found['second'] or ''}{found['zone'] or ''}"
