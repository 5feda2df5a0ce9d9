"""The rules of docs/search.md for moments that the published API leaves open, one test for each."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from rest_framework.test import APIClient

from crm.auth import Caller
from crm.models import Lead
from tests.factories import (
    CustomFieldFactory,
)
from tests.search.helpers import (
    Json,
    custom,
    day,
    ids,
    instant,
    period,
    regular,
    shifted,
    where,
)
from tests.search.settled import between, make, refused

NAME, CREATED = regular("lead", "name"), regular("lead", "date_created")
NOTHING: Json = {"type": "moment_range"}
SEARCH = "/api/v1/data/search/"


# --- 7 to 9: moments --------------------------------------------------------------------------------------------------
def test_on_plain_dates_a_moment_is_its_local_day(caller: Caller) -> None:
    field = CustomFieldFactory.create(organization=caller.organization, type="date")
    lead = make(caller, custom={field.key: "2031-03-16"})
    tokyo = timezone(timedelta(hours=9))
    late = instant("2031-03-15T23:30:00Z")  # the 16th in Tokyo
    for first, last, holds in [
        ({"type": "now"}, None, True),
        (None, {"type": "now"}, False),
        (day("2031-03-16"), day("2031-03-16", "end"), True),
        (day("2031-03-15", "end"), None, True),
        (None, period("today"), False),
        (None, period("today", "end"), True),
        (late, None, True),
        (None, late, False),
    ]:
        assert ids(caller, where(custom(field), between(first, last)), tz=tokyo) == [lead.pk] * holds, (first, last)
    assert ids(caller, where(custom(field), between(None, late)), tz=UTC) == []
    assert ids(caller, where(custom(field), between(late, instant("2031-03-16T23:30:00Z"))), tz=UTC) == []


def test_an_end_is_the_next_midnight_and_exclusive(caller: Caller) -> None:
    inside, behind = make(caller), make(caller)
    midnight = datetime(2031, 3, 17, tzinfo=UTC)
    Lead.objects.filter(pk=inside.pk).update(date_created=midnight - timedelta(microseconds=1))
    Lead.objects.filter(pk=behind.pk).update(date_created=midnight)
    for end in (period("today", "end"), day("2031-03-16", "end"), period("this-week", "end")):
        assert ids(caller, where(CREATED, between(None, end))) == [inside.pk]


@pytest.mark.parametrize(
    ("header", "own", "offset"),
    [("-4", None, -4), ("5.5", None, 5.5), ("nonsense", "Asia/Tokyo", 9), (None, "Asia/Tokyo", 9),
     ("-4", "Asia/Tokyo", -4), ("99", None, 0), (None, None, 0)],
)  # fmt: skip
def test_the_zone_is_that_of_the_header_else_of_the_user_else_utc(
    api: APIClient, caller: Caller, header: str | None, own: str | None, offset: float
) -> None:
    if own:
        caller.user.timezone = own
        caller.user.save()
    lead = make(caller)
    midnight = datetime(2031, 3, 16, tzinfo=UTC) - timedelta(hours=offset)
    headers = {"X-Tz-Offset": header} if header else {}
    for moment, expected in ((midnight, 1), (midnight - timedelta(seconds=1), 0)):
        Lead.objects.filter(pk=lead.pk).update(date_created=moment)
        answer = api.post(SEARCH, {"query": where(CREATED, between(day("2031-03-16"), None))}, headers=headers)
        assert len(answer.json()["data"]) == expected


def test_weeks_start_on_monday_and_unknown_periods_are_refused(caller: Caller) -> None:
    monday, sunday = make(caller), make(caller)  # now is a Sunday
    Lead.objects.filter(pk=monday.pk).update(date_created=datetime(2031, 3, 10, tzinfo=UTC))
    Lead.objects.filter(pk=sunday.pk).update(date_created=datetime(2031, 3, 9, 23, tzinfo=UTC))
    week = between(period("this-week"), period("this-week", "end"))
    assert ids(caller, where(CREATED, week)) == [monday.pk]
    for name in ("this-decade", "last_week", "TODAY", ""):
        wrong = where(CREATED, between(period(name), None))
        assert refused(caller, wrong) == {"s_query.condition.on_or_after.range"}


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (shifted(months=1, days=1, moment=day("2031-03-31")), "2031-02-27T00:00"),
        (shifted(years=1, months=1, moment=day("2032-03-31")), "2031-02-28T00:00"),
        (shifted(days=1, hours=30, edge="start"), "2031-03-14T00:00"),
        (shifted(edge="end"), "2031-03-17T00:00"),
        (shifted(minutes=90, edge="start"), "2031-03-16T08:00"),
        (shifted(days=4000, moment=instant("2031-03-16T00:00:00Z")), "2020-04-02T00:00"),
    ],
)
def test_offsets_go_by_months_then_days_then_the_watch_and_snap_by_days(
    caller: Caller, moment: Json, expected: str
) -> None:
    at = datetime.fromisoformat(expected).replace(tzinfo=UTC)
    on, before = make(caller), make(caller)
    Lead.objects.filter(pk=on.pk).update(date_created=at)
    Lead.objects.filter(pk=before.pk).update(date_created=at - timedelta(microseconds=1))
    assert ids(caller, where(CREATED, between(moment, None))) == [on.pk]
