"""What the numbers in the cells of an XLSX file mean: dates and times are numbers too, told by their format alone."""

import math
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from enum import Enum

from openpyxl.styles.numbers import BUILTIN_FORMATS, STRIP_RE, is_date_format, is_timedelta_format
from openpyxl.utils.datetime import from_excel

# Formats that Excel of East Asia has built in and never writes down (ECMA-376, 18.8.30).
_EAST_ASIAN_DATES = frozenset((27, 28, 29, 30, 31, 34, 35, 36, 50, 51, 52, 53, 54, 55, 56, 57, 58))
_EAST_ASIAN_TIMES = frozenset((32, 33))
_MOST_FORMATS = 65_536  # cell formats that a workbook may have; Excel stops at 65,490
_EXACT = 2**53  # beyond it not every whole number is one in a cell


class Meaning(Enum):
    NUMBER = "number"
    DATE = "date"
    TIME = "time"
    MOMENT = "moment"
    DURATION = "duration"


def cell_formats(elements: Iterable[tuple[str, str, dict[str, str]]]) -> list[Meaning]:
    """What the numbers of each cell format (`cellXfs`) mean, out of the elements of the styles part."""
    own: dict[int, str] = {}
    found: list[Meaning] = []
    for parent, name, attributes in elements:
        if (parent, name) == ("numFmts", "numFmt") and len(own) < _MOST_FORMATS:
            own[_whole(attributes.get("numFmtId"))] = attributes.get("formatCode", "")
        elif (parent, name) == ("cellXfs", "xf") and len(found) < _MOST_FORMATS:
            found.append(_meaning(_whole(attributes.get("numFmtId")), own))
    return found


def _whole(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else 0


def _meaning(number: int, own: dict[int, str]) -> Meaning:
    code = own.get(number, BUILTIN_FORMATS.get(number))
    if code is None:
        return (
            Meaning.DATE if number in _EAST_ASIAN_DATES
            else Meaning.TIME if number in _EAST_ASIAN_TIMES
            else Meaning.NUMBER
        )  # fmt: skip
    if is_timedelta_format(code):
        return Meaning.DURATION
    if not is_date_format(code):
        return Meaning.NUMBER
    letters = set(STRIP_RE.sub("", code.partition(";")[0]).lower())
    has_time = bool(letters & {"h", "s"})
    has_date = bool(letters & {"d", "y"}) or not has_time  # "m" alone: of a date it is a month
    return Meaning.MOMENT if has_time and has_date else Meaning.TIME if has_time else Meaning.DATE


def number_cell(text: str, meaning: Meaning, epoch: datetime) -> int | float | str:
    """The number, or the date or time that it stands for as ISO 8601. Text that is no number comes back as it is."""
    try:
        number = float(text)
    except ValueError:
        return text
    if not math.isfinite(number):
        return text
    if meaning is not Meaning.NUMBER:
        shown = _moment(number, meaning, epoch)
        if shown is not None:
            return shown
    if text.isascii() and text.lstrip("-").isdigit() and len(text) < 20:
        return int(text)
    return int(number) if number.is_integer() and abs(number) < _EXACT else number


def _moment(number: float, meaning: Meaning, epoch: datetime) -> str | None:
    """None for a number that is none on the calendar."""
    try:
        found = from_excel(number, epoch, timedelta=meaning is Meaning.DURATION)
    except (OverflowError, ValueError):
        return None
    if isinstance(found, timedelta):
        return str(found)
    if isinstance(found, datetime):
        if meaning is Meaning.DATE:
            return found.date().isoformat()
        return (found.time() if meaning is Meaning.TIME else found).isoformat()
    return found.isoformat() if isinstance(found, date | time) else None
