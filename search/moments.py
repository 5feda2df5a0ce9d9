"""Reading the moments of a query (close-api.md 3.7)."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time

from search.clock import FIRST_DAY, LAST_DAY
from search.errors import shown
from search.nodes import FixedLocalDate, FixedUtc, Moment, Now, Offset, PeriodEdge
from search.periods import PERIODS
from search.reading import REQUIRED, Reader

_PARTS = ("years", "months", "weeks", "days", "hours", "minutes", "seconds")
_MAX_PART = 10**9
_MAX_DEPTH = 50  # of offsets from offsets


class MomentParser:
    def __init__(self, reader: Reader) -> None:
        self._read = reader
        self._by_type: dict[str, Callable[[dict[str, object], str, int], Moment | None]] = {
            "now": self._now,
            "fixed_utc": self._fixed_utc,
            "fixed_local_date": self._fixed_local_date,
            "offset": self._offset,
            "start_end_of_predefined_relative_period": self._period,
        }

    def moment(self, value: object, path: str, depth: int = 1) -> Moment | None:
        """The moment written there; None where none is, or it is wrong."""
        data = self._read.mapping(value, path) if value is not None else None
        kind = self._read.word(data, "type", path) if data is not None else None
        if data is None or kind is None:
            return None
        build = self._by_type.get(kind)
        if build is None:
            known = ", ".join(self._by_type)
            self._read.problem(f"{path}.type", f"Unknown moment type '{shown(kind)}'. Known: {known}.")
            return None
        return build(data, path, depth)

    def time_of_day(self, value: object, path: str) -> time | None:
        """`HH:MM:SS`; None where nothing is written, or it is wrong."""
        text = self._read.text_of(value, path) if value is not None else None
        if text is None:
            return None
        try:
            return datetime.strptime(text, "%H:%M:%S").time()
        except ValueError:
            self._read.problem(path, "Value must be a time of day, written HH:MM:SS.")
            return None

    def _now(self, data: dict[str, object], path: str, depth: int) -> Now:
        self._read.check_keys(data, path, required=("type",))
        return Now()

    def _fixed_utc(self, data: dict[str, object], path: str, depth: int) -> FixedUtc | None:
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

    def _fixed_local_date(self, data: dict[str, object], path: str, depth: int) -> FixedLocalDate | None:
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

    def _offset(self, data: dict[str, object], path: str, depth: int) -> Offset | None:
        keys = ("type", "direction", "moment", "offset")
        self._read.check_keys(data, path, required=keys, optional=("which_day_end",))
        if depth > _MAX_DEPTH:
            self._read.problem(path, f"The moment is nested deeper than {_MAX_DEPTH} levels.")
            return None
        direction = self._read.choice(data, "direction", path, ("past", "future"))
        day_edge = None
        if data.get("which_day_end") is not None:
            day_edge = self._read.choice(data, "which_day_end", path, ("start", "end"))
        if "moment" in data and data["moment"] is None:
            self._read.problem(f"{path}.moment", REQUIRED)
        moment = self.moment(data.get("moment"), f"{path}.moment", depth + 1)
        parts = self._read.mapping(data["offset"], f"{path}.offset") if "offset" in data else None
        if parts is None:
            return None
        self._read.check_keys(parts, f"{path}.offset", required=(), optional=_PARTS)
        years, months, weeks, days, hours, minutes, seconds = (
            self._part(parts.get(name), f"{path}.offset.{name}") for name in _PARTS
        )
        if direction is None or moment is None:
            return None
        sign = -1 if direction == "past" else 1
        all_months, all_days = 12 * years + months, 7 * weeks + days
        all_seconds = 3600 * hours + 60 * minutes + seconds
        # "The last 90 minutes" are sent with the same flag, and do not mean a whole day.
        if not (all_months or all_days) and all_seconds:
            day_edge = None
        return Offset(moment, sign * all_months, sign * all_days, sign * all_seconds, day_edge)

    def _part(self, value: object, path: str) -> int:
        if value is None:
            return 0
        if isinstance(value, bool) or not isinstance(value, int):
            self._read.problem(path, "Value must be a whole number.")
        elif not 0 <= value <= _MAX_PART:
            self._read.problem(path, "Value must be 0 or more." if value < 0 else "Value is too large.")
        else:
            return value
        return 0

    def _period(self, data: dict[str, object], path: str, depth: int) -> PeriodEdge | None:
        self._read.check_keys(data, path, required=("type", "range", "which"))
        period = self._read.choice(data, "range", path, PERIODS)
        which = self._read.choice(data, "which", path, ("start", "end"))
        return PeriodEdge(period, which == "end") if period and which else None

    def _is_in_range(self, day: date, path: str) -> bool:
        if not FIRST_DAY <= day <= LAST_DAY:
            self._read.problem(path, "The date is out of range.")
        return FIRST_DAY <= day <= LAST_DAY
