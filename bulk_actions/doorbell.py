"""Ringing workers. A doorbell says "look at this job"; lost, doubled, late or rung for a finished job, it does no harm.

A job has as many numbered doorbells as workers that may work on it at once. At most one message per number waits in the
queue: a mark in Redis with the life of the message says so. Redis wiped loses marks and messages together, and the
sweeper rings again. A message in the hand of a worker that is dead or stands still leaves its mark: `ring_again`.

The bell `WRITER` calls who writes files (`bulk_actions.exports`): a queue of its own, since that takes minutes.
"""

import time
from collections.abc import Iterable
from uuid import UUID

import structlog
from celery import current_app
from django.conf import settings
from django.core.cache import cache
from django.db import transaction
from kombu.exceptions import ChannelError, OperationalError
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)
QUEUE = "bulk"
WRITER = -1
_BROKER_AWAY = (OperationalError, RedisError, OSError)


def ring(action_id: UUID, numbers: Iterable[int] | None = None, *, after_seconds: float = 0) -> int:
    """Ask workers to look at the job, now or in a moment; returns how many bells were rung that did not wait already.

    Never raises for a broker that is away.
    """
    n_rung = 0
    for number in numbers if numbers is not None else range(1):
        life = settings.BULK_DOORBELL_SECONDS + after_seconds
        try:
            if cache.add(_mark(action_id, number), time.time() + after_seconds, timeout=life):
                _publish(action_id, number, after_seconds, life)
                n_rung += 1
        except _BROKER_AWAY as problem:
            log.warning("doorbell.lost", job_id=str(action_id), problem=str(problem))
            break
    return n_rung


def ring_again(action_id: UUID) -> int:
    """Ring, also where a bell counts as waiting that is overdue while no message waits: a worker took it, and is dead,
    frozen or cut off. Returns how many bells were rung; a worker that was only busy finds the slot taken."""
    if n_rung := ring(action_id):
        return n_rung
    try:
        due = cache.get(_mark(action_id, 0))
        if due is None or time.time() - due < settings.BULK_BELL_LOST_SECONDS or _messages_wait():
            return 0
        cache.delete(_mark(action_id, 0))
    except _BROKER_AWAY as problem:
        log.warning("doorbell.lost", job_id=str(action_id), problem=str(problem))
        return 0
    return ring(action_id)


def _messages_wait() -> bool:
    with current_app.connection_or_acquire() as connection:
        try:
            return connection.default_channel.queue_declare(QUEUE, passive=True).message_count > 0
        except ChannelError:  # Redis knows no empty list
            return False


def _publish(action_id: UUID, number: int, after_seconds: float, life: float) -> None:
    from bulk_actions import tasks

    task, said = (tasks.write_file, ()) if number == WRITER else (tasks.run, (number,))
    try:
        task.apply_async((str(action_id), *said), countdown=after_seconds or None, expires=life, retry=False)
    except _BROKER_AWAY:
        cache.delete(_mark(action_id, number))  # or nobody could ring for as long as the mark lives
        raise


def ring_on_commit(action_id: UUID, numbers: Iterable[int] | None = None) -> None:
    """Ring once the transaction at hand has committed; a rolled back one rings nobody."""
    # No partial: Django logs a robust callback that fails by its name, and breaks over one that has none.
    transaction.on_commit(lambda: ring(action_id, numbers), robust=True)


def answered(action_id: UUID, number: int) -> None:
    """A worker has come to the door: the next ring of that number is a new message."""
    try:
        cache.delete(_mark(action_id, number))
    except _BROKER_AWAY:
        log.warning("doorbell.mark_kept", job_id=str(action_id))


def _mark(action_id: UUID, number: int) -> str:
    return f"doorbell:{action_id}:{number}"
