"""Moments in words, for callers in different zones."""

from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest

from search.clock import Clock
from search.errors import Problems
from search.moments import MomentParser
from search.nodes import LocalTime, MomentRange
from search.reading import Reader
from tests.search.helpers import Json, day, instant, period, shifted

NEW_YORK, BERLIN, BEIRUT = ZoneInfo("America/New_York"), ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Beirut")
SUNDAY = datetime(2031, 3, 16, 9, 30, tzinfo=UTC)


def moment_of(written: Json, now: datetime = SUNDAY, tz: tzinfo = UTC) -> datetime:
    problems = Problems()
    moment = MomentParser(Reader(problems)).moment(written, "m")
    problems.raise_any()
    found = Clock(now, tz).instant(moment)
    assert found is not None
    return found.astimezone(tz)


def local(text: str, tz: tzinfo = UTC) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=tz)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (shifted(hours=2), "2031-03-16T07:30"),
        (shifted(hours=2, edge="start"), "2031-03-16T07:30"),
        (shifted(days=1), "2031-03-15T09:30"),
        (shifted(days=1, edge="start"), "2031-03-15"),
        (shifted(days=1, edge="end"), "2031-03-16"),
        (shifted(days=1, hours=12, edge="start"), "2031-03-14"),
        (shifted(edge="end"), "2031-03-17"),
        (shifted(), "2031-03-16T09:30"),
        (shifted(weeks=2, direction="future"), "2031-03-30T09:30"),
        (shifted(days=400), "2030-02-09T09:30"),
        (shifted(years=1, months=1, days=1), "2030-02-15T09:30"),
        (shifted(months=1, moment=day("2031-03-31")), "2031-02-28"),
        (shifted(years=1, moment=day("2032-02-29")), "2031-02-28"),
        (shifted(months=1, days=1, moment=day("2031-03-31")), "2031-02-27"),
        (shifted(months=1, moment=day("2031-03-31", "end")), "2031-03-01"),
        (shifted(days=1, moment=shifted(days=1)), "2031-03-14T09:30"),
        (shifted(days=1, direction="future", moment=instant("2031-01-01T01:00:00Z")), "2031-01-02T01:00"),
        (period("today"), "2031-03-16"),
        (period("today", "end"), "2031-03-17"),
        (period("yesterday"), "2031-03-15"),
        (period("tomorrow", "end"), "2031-03-18"),
        (period("this-week"), "2031-03-10"),
        (period("this-week", "end"), "2031-03-17"),
        (period("last-week"), "2031-03-03"),
        (period("next-week", "end"), "2031-03-24"),
        (period("this-month", "end"), "2031-04-01"),
        (period("last-month"), "2031-02-01"),
        (period("next-month"), "2031-04-01"),
        (period("this-quarter"), "2031-01-01"),
        (period("this-quarter", "end"), "2031-04-01"),
        (period("last-quarter"), "2030-10-01"),
        (period("next-quarter", "end"), "2031-07-01"),
        (period("this-year", "end"), "2032-01-01"),
        (period("last-year"), "2030-01-01"),
        (period("next-year"), "2032-01-01"),
    ],
)
def test_moments(written: Json, expected: str) -> None:
    assert moment_of(written) == local(expected)


def test_days_and_periods_are_those_of_the_caller() -> None:
    late = datetime(2031, 3, 31, 23, 0, tzinfo=UTC)  # already April in Berlin
    assert moment_of(period("today"), late, BERLIN) == local("2031-04-01", BERLIN)
    assert moment_of(period("this-month"), late, BERLIN) == local("2031-04-01", BERLIN)
    assert moment_of(period("this-month"), late, NEW_YORK) == local("2031-03-01", NEW_YORK)
    assert moment_of(period("today"), late, timezone(timedelta(hours=9))).isoformat() == "2031-04-01T00:00:00+09:00"


def test_a_day_need_not_have_24_hours() -> None:
    """The clocks of New York went forward on 2031-03-09 at 2:00 and of Berlin on 2031-03-30."""
    now = datetime(2031, 3, 9, 16, 0, tzinfo=UTC)  # 12:00 there
    assert moment_of(shifted(days=1), now, NEW_YORK) == local("2031-03-08T12:00", NEW_YORK)  # 23 hours ago
    assert moment_of(shifted(hours=24), now, NEW_YORK) == local("2031-03-08T11:00", NEW_YORK)
    start, end = (moment_of(period("today", which), now, NEW_YORK) for which in ("start", "end"))
    assert end.astimezone(UTC) - start.astimezone(UTC) == timedelta(hours=23)
    skipped = moment_of(shifted(days=1, direction="future"), datetime(2031, 3, 29, 1, 30, tzinfo=UTC), BERLIN)
    assert skipped.isoformat() == "2031-03-30T03:30:00+02:00"  # there was no 2:30


def test_a_day_may_begin_at_one() -> None:
    """In Beirut the clocks go forward at midnight."""
    now = datetime(2031, 3, 30, 12, 0, tzinfo=UTC)
    assert moment_of(period("today"), now, BEIRUT).isoformat() == "2031-03-30T01:00:00+03:00"
    assert moment_of(shifted(edge="start"), now, BEIRUT).isoformat() == "2031-03-30T01:00:00+03:00"


@pytest.mark.parametrize("part", ["years", "months", "weeks", "days", "hours", "minutes", "seconds"])
def test_what_lies_beyond_the_calendar_is_its_end(part: str) -> None:
    for tz in (UTC, timezone(timedelta(hours=14)), NEW_YORK):
        for edge in (None, "start", "end"):
            assert moment_of(shifted(**{part: 10**9}, edge=edge), tz=tz).year < 2020
            assert moment_of(shifted(direction="future", **{part: 10**9}, edge=edge), tz=tz).year > 2050


def test_on_plain_dates_a_moment_is_its_local_day() -> None:
    clock = Clock(SUNDAY, NEW_YORK)

    def days(first: Json, last: Json) -> tuple[date | None, date | None]:
        parser = MomentParser(Reader(Problems()))
        found = clock.days(MomentRange(parser.moment(first, "m"), parser.moment(last, "m")))
        return found.on_or_after, found.before

    assert days({"type": "now"}, {"type": "now"}) == (date(2031, 3, 16), date(2031, 3, 16))
    assert days(period("today"), period("today", "end")) == (date(2031, 3, 16), date(2031, 3, 17))
    assert days(instant("2031-03-16T01:00:00Z"), shifted(days=1)) == (date(2031, 3, 15), date(2031, 3, 15))
    assert days(shifted(days=1, edge="start"), shifted(days=1, edge="end")) == (date(2031, 3, 15), date(2031, 3, 16))


def test_local_time_names_the_zones_in_which_it_is_that_time() -> None:
    def zones(first: str | None, last: str | None) -> set[str]:
        times = (datetime.fromisoformat(f"2031-01-01T{text}").time() if text else None for text in (first, last))
        return set(Clock(SUNDAY, UTC).zones(LocalTime(*times)).values)  # 5:30 in New York, 10:30 in Berlin

    def holds(first: str | None, last: str | None) -> list[bool]:
        return [zone in zones(first, last) for zone in ("America/New_York", "Europe/Berlin")]

    assert holds("09:00:00", "17:30:00") == [False, True]
    assert holds("22:00:00", "06:00:00") == [True, False]  # over midnight
    assert holds("10:30:00", "10:30:01") == [False, True]
    assert holds("05:00:00", "05:30:00") == [False, False]
    assert holds(None, "10:00:00") == [True, False]
    assert holds("10:00:00", None) == [False, True]
    assert holds(None, None) == [True, True]
