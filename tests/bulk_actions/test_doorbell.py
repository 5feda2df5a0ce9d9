"""Doorbells: one message per number at most, and no harm from a broker that is away."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from celery import current_app
from django.db import transaction
from kombu import Connection
from kombu.exceptions import OperationalError

from bulk_actions import doorbell, tasks


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """What would have been published."""
    calls: list[tuple] = []
    monkeypatch.setattr(tasks.run, "apply_async", lambda args, **options: calls.append(args))
    return calls


def test_a_doorbell_that_waits_is_not_rung_twice(rung: list[tuple]) -> None:
    job = uuid4()
    doorbell.ring(job, range(2))
    doorbell.ring(job, range(3))
    assert rung == [(str(job), 0), (str(job), 1), (str(job), 2)]


def test_a_doorbell_that_was_answered_can_be_rung_again(rung: list[tuple]) -> None:
    job = uuid4()
    doorbell.ring(job)
    doorbell.answered(job, 0)
    doorbell.ring(job)
    assert len(rung) == 2


def test_who_writes_files_has_a_bell_and_a_queue_of_its_own(rung: list[tuple], monkeypatch: pytest.MonkeyPatch) -> None:
    job, calls = uuid4(), []
    monkeypatch.setattr(tasks.write_file, "apply_async", lambda args, **options: calls.append(args))
    doorbell.ring(job)
    for _ in range(2):
        doorbell.ring(job, [doorbell.WRITER])
    assert (rung, calls) == ([(str(job), 0)], [(str(job),)])
    routes = current_app.conf.task_routes
    assert routes[tasks.write_file.name]["queue"] != routes[tasks.run.name]["queue"]


def test_a_bell_that_could_not_be_published_may_be_rung_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    job = uuid4()

    def refuse(*args: object, **options: object) -> None:
        raise OperationalError

    monkeypatch.setattr(tasks.run, "apply_async", refuse)
    doorbell.ring(job)
    calls: list[tuple] = []
    monkeypatch.setattr(tasks.run, "apply_async", lambda args, **options: calls.append(args))
    doorbell.ring(job)
    assert len(calls) == 1


def test_a_broker_that_is_away_is_no_error(settings: object) -> None:
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": "unix:///nowhere/redis.sock",
        }
    }
    doorbell.ring(uuid4())
    doorbell.answered(uuid4(), 0)


@pytest.mark.django_db(transaction=True)
def test_a_bell_that_breaks_after_a_commit_is_logged_and_hurts_nobody(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def break_(*_: object) -> int:
        raise RuntimeError("the bell has come off")

    monkeypatch.setattr(doorbell, "ring", break_)
    with transaction.atomic():
        doorbell.ring_on_commit(uuid4())
    assert "the bell has come off" in caplog.text


@pytest.fixture
def broker() -> Iterator[Connection]:
    """With nothing in the queue that workers take doorbells from."""
    with current_app.connection_or_acquire() as connection:
        connection.default_channel.queue_purge(doorbell.QUEUE)
        yield connection
        connection.default_channel.queue_purge(doorbell.QUEUE)


def test_a_bell_that_is_overdue_while_no_message_waits_is_rung_again(
    rung: list[tuple], broker: Connection, settings: object
) -> None:
    job = uuid4()
    doorbell.ring(job)
    assert doorbell.ring_again(job) == 0, "it may be on its way"
    settings.BULK_BELL_LOST_SECONDS = 0
    assert doorbell.ring_again(job) == 1
    doorbell.ring(job)
    assert len(rung) == 2


def test_a_bell_that_is_overdue_in_a_long_queue_keeps_its_place(
    rung: list[tuple], broker: Connection, settings: object
) -> None:
    job = uuid4()
    settings.BULK_BELL_LOST_SECONDS = 0
    doorbell.ring(job)
    # Without an exchange, as Celery does: a Redis that was wiped has forgotten its exchanges.
    broker.Producer().publish("a message that waits", routing_key=doorbell.QUEUE)
    assert doorbell.ring_again(job) == 0
    assert len(rung) == 1
