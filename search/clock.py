"""What moments and times of day mean to one caller at one time."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from search.nodes import (
    AnyOf,
    DateRange,
    FixedLocalDate,
    FixedUtc,
    InstantRange,
    LocalTime,
    Moment,
    MomentRange,
    Now,
    Offset,
    PeriodEdge,
)
from search.periods import add_months, period_start

# A day at each end of what Python can hold is left out, so that no shift of zone can leave it.
FIRST_DAY, LAST_DAY = date(1, 1, 3), date(9999, 12, 29)
_EARLIEST = datetime.combine(FIRST_DAY, time(), UTC)
_LATEST = datetime.combine(LAST_DAY, time(), UTC)


@dataclass(frozen=True)
class Clock:
    """What `now` and "local" mean to one caller."""

    now: datetime
    tz: tzinfo

    def instants(self, condition: MomentRange) -> InstantRange:
        """The range in UTC."""
        return InstantRange(self.instant(condition.on_or_after), self.instant(condition.before))

    def days(self, condition: MomentRange) -> DateRange:
        """The range in plain dates: each moment counts as its local day, an `end` as the next one."""
        return DateRange(self._day(condition.on_or_after), self._day(condition.before))

    def zones(self, condition: LocalTime) -> AnyOf:
        """The zones in which it is that time of day now; a window whose end lies before its start wraps midnight."""
        first, last = condition.on_or_after or time.min, condition.before
        return AnyOf(tuple(zone.key for zone in _all_zones() if _is_within(self.now.astimezone(zone), first, last)))

    def instant(self, moment: Moment | datetime | None) -> datetime | None:
        """The moment in UTC."""
        match moment:
            case None | datetime():
                return moment
            case Now():
                return self.now.astimezone(UTC)
            case FixedUtc(value):
                return value
            case FixedLocalDate():
                return self._midnight(_edge(moment))
            case PeriodEdge(period, is_end):
                return self._midnight(period_start(period, self._today(), periods_later=int(is_end)))
            case Offset():
                return self._shifted(moment)

    def _day(self, moment: Moment | None) -> date | None:
        if isinstance(moment, FixedLocalDate):
            return _edge(moment)
        instant = self.instant(moment)
        return instant and instant.astimezone(self.tz).date()

    def _today(self) -> date:
        return self.now.astimezone(self.tz).date()

    def _midnight(self, day: date) -> datetime:
        """The first instant of a local day. Where the clock is put forward at midnight, that is not 00:00."""
        return datetime.combine(day, time(), self.tz).astimezone(UTC)

    def _shifted(self, offset: Offset) -> datetime:
        """What lies beyond the ends of the calendar is its end: no value lies there either."""
        is_forward = max(offset.months, offset.days, offset.seconds) > 0
        try:
            moment = self.instant(offset.moment)
            assert moment is not None
            if offset.months or offset.days:  # by the clock on the wall, whose days need not have 24 hours
                local = moment.astimezone(self.tz)
                day = add_months(local.date(), offset.months) + timedelta(days=offset.days)
                moment = _clipped(datetime.combine(day, local.time(), UTC))
                moment = moment.replace(tzinfo=self.tz, fold=0).astimezone(UTC)
            moment = _clipped(moment + timedelta(seconds=offset.seconds))
        except OverflowError:
            moment = _LATEST if is_forward else _EARLIEST
        if offset.day_edge is None:
            return moment
        return self._midnight(moment.astimezone(self.tz).date() + timedelta(days=offset.day_edge == "end"))


def _clipped(moment: datetime) -> datetime:
    return min(max(moment, _EARLIEST), _LATEST)


def _edge(moment: FixedLocalDate) -> date:
    return moment.value + timedelta(days=1) if moment.is_end else moment.value


def _is_within(local: datetime, first: time, last: time | None) -> bool:
    at = local.time()
    if last is None:
        return first <= at
    return first <= at < last if first <= last else at >= first or at < last


@cache
def _all_zones() -> Iterable[ZoneInfo]:
    found = []
    for name in sorted(available_timezones()):
        try:
            found.append(ZoneInfo(name))
        except (ZoneInfoNotFoundError, ValueError):  # a file among the zones that is none
            continue
    return tuple(found)
