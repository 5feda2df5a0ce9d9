"""What moments mean, once more, by walking over the calendar."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

Json = Mapping[str, object]
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class WallClock:
    now: datetime
    tz: tzinfo

    def instant(self, moment: Json) -> datetime:
        """In UTC, for datetimes of one zone compare by what its clocks show."""
        if moment["type"] == "now":
            return self.now
        if moment["type"] == "fixed_utc":
            found = datetime.fromisoformat(moment["value"])
            return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
        if moment["type"] == "offset":
            return self._shifted(moment)
        return self._midnight(self.day(moment))

    def day(self, moment: Json) -> date:
        if moment["type"] == "start_end_of_predefined_relative_period":
            return self._period(moment["range"], moment["which"] == "end")
        if moment["type"] != "fixed_local_date":
            return self.instant(moment).astimezone(self.tz).date()
        return date.fromisoformat(moment["value"]) + timedelta(days=moment["which"] == "end")

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), self.tz).astimezone(UTC)

    def _shifted(self, moment: Json) -> datetime:
        """Months, then days by the clock on the wall, then the rest by the watch."""
        parts = {name: size or 0 for name, size in moment["offset"].items()}
        sign = -1 if moment["direction"] == "past" else 1
        months = parts.get("months", 0) + 12 * parts.get("years", 0)
        days = timedelta(days=parts.get("days", 0), weeks=parts.get("weeks", 0))
        rest = timedelta(hours=parts.get("hours", 0), minutes=parts.get("minutes", 0), seconds=parts.get("seconds", 0))
        found = self.instant(moment["moment"])
        if months or days:
            wall = found.astimezone(self.tz)
            day = _months_later(wall.date(), sign * months) + sign * days
            found = datetime.combine(day, wall.time(), self.tz).astimezone(UTC)
        found += sign * rest
        if not moment.get("which_day_end") or (rest and not (months or days)):
            return found
        day = found.astimezone(self.tz).date()
        return self._midnight(day + timedelta(days=moment["which_day_end"] == "end"))

    def _period(self, name: str, is_end: bool) -> date:
        """Found by walking day by day: the first day that belongs to the period, or the first one behind it."""
        today = self.now.astimezone(self.tz).date()
        if name in ("yesterday", "today", "tomorrow"):
            return today + timedelta(days=("yesterday", "today", "tomorrow").index(name) - 1 + is_end)
        place, unit = name.split("-")

        def label(day: date) -> object:
            quarter = (day.year, (day.month - 1) // 3)
            labels = {"week": day.isocalendar()[:2], "month": (day.year, day.month), "quarter": quarter}
            return labels.get(unit, day.year)

        def start(day: date) -> date:
            while label(day - ONE_DAY) == label(day):
                day -= ONE_DAY
            return day

        def following(day: date) -> date:
            first = label(day)
            while label(day) == first:
                day += ONE_DAY
            return day

        found = start(today)
        if place == "last":
            found = start(found - ONE_DAY)
        if place == "next":
            found = following(found)
        return following(found) if is_end else found


def _months_later(day: date, months: int) -> date:
    first = day.replace(day=1)
    for _ in range(abs(months)):
        first = (first + 31 * ONE_DAY).replace(day=1) if months > 0 else (first - ONE_DAY).replace(day=1)
    last = (first + 31 * ONE_DAY).replace(day=1) - ONE_DAY
    return first.replace(day=min(day.day, last.day))
