"""Arithmetic of the calendar: months that end early, and named periods."""

from calendar import monthrange
from datetime import date, timedelta

_DAYS = {"yesterday": -1, "today": 0, "tomorrow": 1}
_PLACES = {"last": -1, "this": 0, "next": 1}
_MONTHS_OF = {"month": 1, "quarter": 3, "year": 12}
PERIODS = (*_DAYS, *(f"{place}-{unit}" for unit in ("week", *_MONTHS_OF) for place in _PLACES))


def add_months(day: date, months: int) -> date:
    """The same day of another month, or that month's last day. Raises `OverflowError` beyond what a date can be."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if not date.min.year <= year <= date.max.year:
        raise OverflowError("date out of range")
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def period_start(period: str, today: date, *, periods_later: int = 0) -> date:
    """The first day of one of `PERIODS`, or of the one that many later. Weeks start on Monday."""
    if period in _DAYS:
        return today + timedelta(days=_DAYS[period] + periods_later)
    place, unit = period.split("-")
    steps = _PLACES[place] + periods_later
    if unit == "week":
        return today + timedelta(days=7 * steps - today.weekday())
    length = _MONTHS_OF[unit]
    return add_months(today.replace(day=1, month=(today.month - 1) // length * length + 1), steps * length)
