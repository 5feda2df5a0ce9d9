"""Moments of a query (close-api.md 3.7): reading them, and fixing them for one caller at one time."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from search.errors import shown
from search.nodes import DateRange, FixedLocalDate, FixedUtc, InstantRange, Moment, MomentRange, Now
from search.reading import Reader

_UNSUPPORTED_MOMENTS = ("offset", "start_end_of_predefined_relative_period")
# A day at each end of what Python can hold is left out, so that no shift of zone can leave it.
_FIRST, _LAST = date(1, 1, 3), date(9999, 12, 29)


class MomentParser:
    def __init__(self, reader: Reader) -> None:
        self._read = reader

    def moment(self, value: object, path: str) -> Moment | None:
        """The moment written there; None where none is, or it is wrong."""
        data = self._read.mapping(value, path) if value is not None else None
        kind = self._read.word(data, "type", path) if data is not None else None
        if data is None or kind is None:
            return None
        if kind == "now":
            self._read.check_keys(data, path, required=("type",))
            return Now()
        if kind == "fixed_utc":
            return self._fixed_utc(data, path)
        if kind == "fixed_local_date":
            return self._fixed_local_date(data, path)
        if kind in _UNSUPPORTED_MOMENTS:
            self._read.problem(f"{path}.type", f"A moment of the type `{kind}` is not supported yet.")
        else:
            known = "now, fixed_utc, fixed_local_date"
            self._read.problem(f"{path}.type", f"Unknown moment type '{shown(kind)}'. Known: {known}.")
        return None

    def _fixed_utc(self, data: dict[str, object], path: str) -> FixedUtc | None:
        self._read.check_keys(data, path, required=("type", "value"))
        text = self._read.text(data, "value", path)
        if text is None:
            return None
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            self._read.problem(f"{path}.value", "Value must be a date and time such as 2031-03-16T09:30:00Z.")
            return None
        if not self._is_in_range(moment.date(), f"{path}.value"):
            return None
        return FixedUtc(moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC))

    def _fixed_local_date(self, data: dict[str, object], path: str) -> FixedLocalDate | None:
        self._read.check_keys(data, path, required=("type", "value", "which"))
        text = self._read.text(data, "value", path)
        which = self._read.choice(data, "which", path, ("start", "end"))
        if text is None or which is None:
            return None
        try:
            day = datetime.strptime(text, "%Y-%m-%d").date()
        except ValueError:
            self._read.problem(f"{path}.value", "Value must be a date, written YYYY-MM-DD.")
            return None
        return FixedLocalDate(day, which == "end") if self._is_in_range(day, f"{path}.value") else None

    def _is_in_range(self, day: date, path: str) -> bool:
        if not _FIRST <= day <= _LAST:
            self._read.problem(path, "The date is out of range.")
        return _FIRST <= day <= _LAST


@dataclass(frozen=True)
class Clock:
    """What `now` and "local" mean to one caller."""

    now: datetime
    tz: tzinfo

    def instants(self, condition: MomentRange) -> InstantRange:
        """The range in UTC."""
        return InstantRange(self._instant(condition.on_or_after), self._instant(condition.before))

    def days(self, condition: MomentRange) -> DateRange:
        """The range in plain dates: each moment counts as its local day, an `end` as the next one."""
        return DateRange(self._day(condition.on_or_after), self._day(condition.before))

    def _instant(self, moment: Moment | None) -> datetime | None:
        match moment:
            case None:
                return None
            case Now():
                return self.now.astimezone(UTC)
            case FixedUtc(value):
                return value
            case FixedLocalDate():
                return datetime.combine(self._edge(moment), time(), self.tz).astimezone(UTC)

    def _day(self, moment: Moment | None) -> date | None:
        if isinstance(moment, FixedLocalDate):
            return self._edge(moment)
        instant = self._instant(moment)
        return instant and instant.astimezone(self.tz).date()

    @staticmethod
    def _edge(moment: FixedLocalDate) -> date:
        return moment.value + timedelta(days=1) if moment.is_end else moment.value
