"""Counting in windows of time."""

from uuid import uuid4

import pytest

from crm import rates


def test_each_name_and_each_window_has_a_count_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = f"{uuid4()}:GET leads", f"{uuid4()}:GET leads"
    monkeypatch.setattr("crm.rates.time.time", lambda: 3_600_000.0)
    minute, hour = rates.window_now(60), rates.window_now(3600)
    assert [rates.counted(minute, one, other), rates.counted(minute, one)] == [[1, 1], [2]]
    assert rates.counted(hour, one) == [1]
    assert (minute.reset, hour.reset) == (60, 3600)
    monkeypatch.setattr("crm.rates.time.time", lambda: 3_600_059.5)
    assert rates.window_now(60).reset == 1
    assert rates.counted(rates.window_now(60), one) == [3]
    monkeypatch.setattr("crm.rates.time.time", lambda: 3_600_060.0)
    assert rates.counted(rates.window_now(60), one) == [1]


def test_windows_of_different_lengths_never_share_a_count() -> None:
    name = str(uuid4())
    assert [rates.counted(rates.Window(7, seconds, 1), name) for seconds in (1, 60, 3600)] == [[1], [1], [1]]
