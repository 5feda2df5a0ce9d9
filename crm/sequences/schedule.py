"""When a sequence may do something: its windows in its own time zone, daylight saving included (close-api.md 4.9)."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from crm.errors import FieldErrors

MAX_RANGES = 100
_DAYS_AHEAD = 15  # a window that falls into a skipped hour opens a week later
_MINUTES = 24 * 60

Schedule = Mapping[str, object]
Window = tuple[int, int, int]  # weekday (Monday is 1), first and last minute of the day, both of them in it


@lru_cache(maxsize=1)
def _zone_names() -> frozenset[str]:
    return frozenset(available_timezones())


def clean_zone(value: object) -> str:
    """`value` as the name of a zone; `FieldErrors` where there is no such zone."""
    if not isinstance(value, str) or value not in _zone_names():
        raise FieldErrors({"timezone": "Not a valid time zone, such as Europe/Riga."})
    return value


def clean_schedule(value: object) -> Schedule | None:
    """`{"ranges": [{"weekday": 1-7, "start": "09:00", "end": "16:59"}]}`, or None: always. Raises `FieldErrors`."""
    if value is None:
        return None
    if not isinstance(value, dict) or not isinstance(value.get("ranges"), list):
        raise FieldErrors({"schedule": 'Value must be {"ranges": [...]} or null.'})
    ranges = value["ranges"]
    if not 0 < len(ranges) <= MAX_RANGES:
        raise FieldErrors({"schedule": {"ranges": f"There must be 1 to {MAX_RANGES} ranges; null means always."}})
    found: list[dict[str, object]] = []
    problems: dict[str, object] = {}
    for position, item in enumerate(ranges):
        try:
            found.append(_clean_range(item))
        except FieldErrors as problem:
            problems[str(position)] = problem.field_errors
    if problems:
        raise FieldErrors({"schedule": {"ranges": problems}})
    return {"ranges": found}


def next_open(schedule: Schedule | None, zone: str, moment: datetime) -> datetime:
    """The first moment from `moment` on whose wall clock in `zone` is inside a window; `moment` itself if it is.

    A window means what the clock shows: it opens where a skipped hour ends if it began in that hour, does not open on
    a day whose skipped hour holds all of it, and opens twice in an hour that comes twice. With windows that never open
    it is `moment`.
    """
    if schedule is None:
        return moment
    windows, place = _windows(schedule), ZoneInfo(zone)
    if _is_open(windows, place, moment):
        return moment
    today = moment.astimezone(place).date()
    for ahead in range(-1, _DAYS_AHEAD):
        day = today + timedelta(days=ahead)
        openings = [one for one in _edges(windows, place, day) if one > moment and _is_open(windows, place, one)]
        if openings:
            return min(openings)
    return moment


def _windows(schedule: Schedule) -> list[Window]:
    return [(one["weekday"], _minute(one["start"]), _minute(one["end"])) for one in schedule["ranges"]]


def _is_open(windows: list[Window], zone: ZoneInfo, moment: datetime) -> bool:
    local = moment.astimezone(zone)
    minute = local.hour * 60 + local.minute
    return any(day == local.isoweekday() and first <= minute <= last for day, first, last in windows)


def _edges(windows: list[Window], zone: ZoneInfo, day: date) -> Iterator[datetime]:
    """The moments of `day` at which a window can open: where it begins, and where the clock is moved."""
    midnight = datetime.combine(day, time(), UTC)
    earliest, latest = midnight - timedelta(hours=15), midnight + timedelta(hours=39)
    if _offset(zone, earliest) != _offset(zone, latest):
        yield _clock_change(zone, earliest, latest)
    for weekday, first, _ in windows:
        if weekday == day.isoweekday():
            for fold in (0, 1):  # an hour that comes twice has the window twice
                yield datetime.combine(day, time(first // 60, first % 60, fold=fold), zone).astimezone(UTC)


def _clock_change(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The first second of the new offset."""
    old = _offset(zone, before)
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        if _offset(zone, middle) == old:
            before = middle
        else:
            after = middle
    return after


def _offset(zone: ZoneInfo, moment: datetime) -> timedelta | None:
    return moment.astimezone(zone).utcoffset()


def _clean_range(item: object) -> dict[str, object]:
    if not isinstance(item, dict):
        raise FieldErrors({"weekday": "Value must be an object with weekday, start and end."})
    problems: dict[str, object] = {}
    weekday, start, end = item.get("weekday"), _minute(item.get("start")), _minute(item.get("end"))
    if isinstance(weekday, bool) or not isinstance(weekday, int) or not 1 <= weekday <= 7:
        problems["weekday"] = "Value must be a whole number from 1 (Monday) to 7."
    for key, minute in (("start", start), ("end", end)):
        if minute is None:
            problems[key] = "Value must be a time such as 09:00."
    if not problems and end < start:
        problems["end"] = "The end must not be before the start; a night is two ranges."
    if problems:
        raise FieldErrors(problems)
    return {"weekday": weekday, "start": item["start"], "end": item["end"]}


def _minute(text: object) -> int | None:
    """The minute of the day that `HH:MM` names, or None."""
    if not isinstance(text, str) or len(text) != 5 or text[2] != ":" or not text.isascii():
        return None
    hours, minutes = text[:2], text[3:]
    if not (hours.isdigit() and minutes.isdigit()) or int(minutes) > 59:
        return None
    found = int(hours) * 60 + int(minutes)
    return found if found < _MINUTES else None
