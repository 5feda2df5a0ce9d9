"""Dates and moments as clients write them, in bodies and in filters (close-api.md 1.9)."""

from datetime import UTC, date, datetime, time, timedelta, tzinfo

from crm.errors import FieldErrors

NOT_A_MOMENT = "Value must be a date or a date and time in ISO 8601."
_DAY_LENGTH = len("2031-03-16")
# A day at each end of what Python can hold is left out, so that no shift of zone can leave it.
_FIRST, _LAST = date(1, 1, 3), date(9999, 12, 29)


def read_date_or_moment(name: str, value: object) -> date | datetime:
    """A plain date, or a moment in UTC (without an offset it is UTC). `FieldErrors` at `name` for anything else."""
    if not isinstance(value, str):
        raise FieldErrors({name: NOT_A_MOMENT})
    try:
        if len(value) == _DAY_LENGTH:
            found: date | datetime = date.fromisoformat(value)
        else:
            # In an address, a "+" that was not escaped comes as a blank; a blank may also stand in place of the "T".
            moment = datetime.fromisoformat(value[: _DAY_LENGTH + 1] + value[_DAY_LENGTH + 1 :].replace(" ", "+"))
            found = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as problem:
        raise FieldErrors({name: NOT_A_MOMENT}) from problem
    if not _FIRST <= (found.date() if isinstance(found, datetime) else found) <= _LAST:
        raise FieldErrors({name: NOT_A_MOMENT})
    return found


def read_moment(name: str, value: object, zone: tzinfo) -> datetime:
    """A moment in UTC; a plain date stands for its start in `zone`."""
    found = read_date_or_moment(name, value)
    return found if isinstance(found, datetime) else start_of(found, zone)


def start_of(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day, time.min, zone).astimezone(UTC)


def end_of(day: date, zone: tzinfo) -> datetime:
    """The next midnight."""
    return start_of(day + timedelta(days=1), zone)
