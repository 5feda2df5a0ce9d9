"""Values as texts for the cells of a file."""

import json
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import StrEnum
from functools import partial


class DateFormat(StrEnum):
    """How dates are written (close-api.md 4.13). Moments are in UTC, whatever their zone."""

    ORIGINAL = "original"  # as the API shows them: 2026-03-01T02:00:00.000000+00:00
    ISO8601 = "iso8601"  # 2026-03-01T02:00:00Z, with a fraction of a second only where there is one
    EXCEL = "excel"  # 2026-03-01 02:00:00, which spreadsheets take for a date; to the second


def date_text(value: date | datetime | time, dates: DateFormat) -> str:
    if not isinstance(value, datetime):
        return value.isoformat()
    moment = value if value.tzinfo is UTC else value.astimezone(UTC)
    if dates is DateFormat.ORIGINAL:
        return moment.isoformat(timespec="microseconds")
    naive = moment.replace(tzinfo=None)
    return f"{naive.isoformat()}Z" if dates is DateFormat.ISO8601 else naive.isoformat(sep=" ", timespec="seconds")


def cell_text(value: object, dates: DateFormat = DateFormat.ORIGINAL) -> str:
    """`value` in one cell: nothing for None, JSON for lists and objects, `true` and `false` as in JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, date | time):
        return date_text(value, dates)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, list | tuple | dict):
        return json_text(value, dates)
    return str(value)


def json_text(value: object, dates: DateFormat = DateFormat.ORIGINAL) -> str:
    return _ENCODERS[dates].encode(value)


def _shown(part: object, dates: DateFormat) -> object:
    if isinstance(part, Decimal):
        return int(part) if part == part.to_integral_value() else float(part)
    return cell_text(part, dates)


# Made once: `json.dumps` with such options makes one for each value.
_ENCODERS = {
    dates: json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=partial(_shown, dates=dates))
    for dates in DateFormat
}
