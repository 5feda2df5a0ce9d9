"""What the numbers in the cells of an XLSX file mean: dates and times are numbers too, told by their format alone."""

import math
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from enum import Enum

from openpyxl.styles.numbers import BUILTIN_FORMATS, STRIP_RE, is_date_format, is_timedelta_format
from openpyxl.utils.datetime import from_excel

from crm.files.problems import FileProblem

_MOST_CELL_FORMATS = 65_536  # that a workbook may have; Excel stops at 65,490
_MOST_CODES = 4_096  # formats of its own; Excel stops at 250
_LONGEST_CODE = 255  # characters, as in Excel; reading one takes time that grows with their square
_EXACT = 2**53  # beyond it not every whole number is one in a cell


class Meaning(Enum):
    NUMBER = "number"
    DATE = "date"
    TIME = "time"
    MOMENT = "moment"
    DURATION = "duration"


def _meaning_of(code: str) -> Meaning:
    if len(code) > _LONGEST_CODE:
        return Meaning.NUMBER
    if is_timedelta_format(code):
        return Meaning.DURATION
    plain = STRIP_RE.sub("", code.partition(";")[0])
    if not is_date_format(plain):
        return Meaning.NUMBER
    letters = set(plain.lower())
    has_time = bool(letters & {"h", "s"})
    has_date = bool(letters & {"d", "y"}) or not has_time  # "m" alone: of a date it is a month
    return Meaning.MOMENT if has_time and has_date else Meaning.TIME if has_time else Meaning.DATE


# Those that Excel of East Asia has built in and never writes down (ECMA-376, 18.8.30), and those of every Excel.
_BUILT_IN = {
    **dict.fromkeys((27, 28, 29, 30, 31, 34, 35, 36, 50, 51, 52, 53, 54, 55, 56, 57, 58), Meaning.DATE),
    **dict.fromkeys((32, 33), Meaning.TIME),
    **{number: _meaning_of(code) for number, code in BUILTIN_FORMATS.items()},
}


def cell_formats(elements: Iterable[tuple[str, str, dict[str, str]]]) -> list[Meaning]:
    """What the numbers of each cell format (`cellXfs`) mean, out of the elements of the styles part.

    Raises `FileProblem` where the workbook has more formats of its own than anybody can make.
    """
    meanings = dict(_BUILT_IN)
    n_codes = 0
    found: list[Meaning] = []
    for parent, name, attributes in elements:
        if (parent, name) == ("numFmts", "numFmt"):
            n_codes += 1
            if n_codes > _MOST_CODES:
                raise FileProblem("broken_file", f"The XLSX file has more than {_MOST_CODES:,} number formats.")
            meanings[_whole(attributes.get("numFmtId"))] = _meaning_of(attributes.get("formatCode", ""))
        elif (parent, name) == ("cellXfs", "xf") and len(found) < _MOST_CELL_FORMATS:
            found.append(meanings.get(_whole(attributes.get("numFmtId")), Meaning.NUMBER))
    return found


def _whole(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else 0


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
