"""Windows in a sequence's own zone, by the wall clock, across changes of the clock."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from crm.errors import FieldErrors
from crm.sequences.schedule import clean_schedule, clean_zone, next_open

RIGA = "Europe/Riga"  # in 2031 summer time begins on 30 March, 03:00 -> 04:00, and ends on 26 October, 04:00 -> 03:00


def windows(*ranges: tuple[int, str, str]) -> dict[str, object]:
    return {"ranges": [{"weekday": day, "start": start, "end": end} for day, start, end in ranges]}


WORKDAYS = windows(*((day, "09:00", "16:59") for day in range(1, 6)))


def at(text: str, zone: str = RIGA, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


@pytest.mark.parametrize(
    ("moment", "opens"),
    [
        ("2031-06-02T09:00", "2031-06-02T09:00"),  # a Monday
        ("2031-06-02T16:59:59", "2031-06-02T16:59:59"),  # the last minute is in it
        ("2031-06-02T17:00", "2031-06-03T09:00"),
        ("2031-06-02T03:00", "2031-06-02T09:00"),
        ("2031-06-06T17:00", "2031-06-09T09:00"),  # over a weekend
        ("2031-03-28T18:00", "2031-03-31T09:00"),  # over the change to summer time
        ("2031-10-24T18:00", "2031-10-27T09:00"),  # and back
    ],
)
def test_outside_its_windows_a_sequence_waits_for_the_next_one(moment: str, opens: str) -> None:
    assert next_open(WORKDAYS, RIGA, at(moment)) == at(opens)


def test_without_a_schedule_it_is_always_open() -> None:
    assert next_open(None, RIGA, at("2031-06-01T03:00")) == at("2031-06-01T03:00")


def test_a_window_that_begins_in_the_skipped_hour_opens_where_that_ends() -> None:
    assert next_open(windows((7, "03:30", "05:00")), RIGA, at("2031-03-30T02:00")) == at("2031-03-30T04:00")


def test_a_window_inside_the_skipped_hour_opens_a_week_later() -> None:
    assert next_open(windows((7, "03:10", "03:50")), RIGA, at("2031-03-30T02:00")) == at("2031-04-06T03:10")


def test_a_window_in_the_hour_that_comes_twice_opens_twice() -> None:
    twice = windows((7, "03:10", "03:20"))
    first, second = at("2031-10-26T03:10"), at("2031-10-26T03:10", fold=1)
    assert (second - first).total_seconds() == 3600
    assert next_open(twice, RIGA, at("2031-10-26T01:00")) == first
    assert next_open(twice, RIGA, at("2031-10-26T03:30")) == second
    assert next_open(twice, RIGA, at("2031-10-26T03:30", fold=1)) == at("2031-11-02T03:10")


def test_the_clock_set_back_into_a_window_opens_it_again() -> None:
    over = windows((7, "02:50", "03:10"))
    assert next_open(over, RIGA, at("2031-10-26T03:30")) == at("2031-10-26T03:00", fold=1)


@pytest.mark.parametrize("zone", ["Asia/Kathmandu", "Pacific/Kiritimati", "America/New_York", "Australia/Lord_Howe"])
def test_the_answer_is_the_first_open_minute(zone: str) -> None:
    """Held against a walk through the minutes of three days around a change of the clock."""
    wanted = windows((6, "23:00", "23:59"), (7, "00:00", "00:10"), (7, "01:40", "02:20"), (1, "12:00", "12:00"))
    starts = at("2031-03-08T00:00", zone), at("2031-04-05T00:00", zone), at("2031-11-01T00:00", zone)
    for start in starts:
        expected = None
        for minutes in range(3 * 24 * 60, -1, -1):
            moment = start + timedelta(minutes=minutes)
            local = moment.astimezone(ZoneInfo(zone))
            clock = f"{local:%H:%M}"
            if any(r["weekday"] == local.isoweekday() and r["start"] <= clock <= r["end"] for r in wanted["ranges"]):
                expected = moment
            if expected is not None and minutes % 7 == 0:
                assert next_open(wanted, zone, moment) == expected, moment


@pytest.mark.parametrize(
    "schedule",
    [
        "always", [], {}, {"ranges": []}, {"ranges": "x"}, {"ranges": ["x"]}, {"ranges": [{}]},
        windows((0, "09:00", "17:00")), windows((8, "09:00", "17:00")), windows((True, "09:00", "17:00")),
        windows((1, "9:00", "17:00")), windows((1, "09:00", "24:00")), windows((1, "09:60", "17:00")),
        windows((1, "17:00", "09:00")), windows((1, "٠٩:٠٠", "17:00")), windows(*[(1, "09:00", "17:00")] * 101),
    ],
)  # fmt: skip
def test_a_schedule_of_another_form_is_refused(schedule: object) -> None:
    with pytest.raises(FieldErrors) as refused:
        clean_schedule(schedule)
    assert list(refused.value.field_errors) == ["schedule"]


@pytest.mark.parametrize("zone", ["", "Europe/Atlantis", "../etc/passwd", 3, None, "Europe", "\0"])
def test_a_zone_that_is_not_there_is_refused(zone: object) -> None:
    with pytest.raises(FieldErrors):
        clean_zone(zone)
