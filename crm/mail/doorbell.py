"""Ringing the delivery worker. A lost, doubled or late ring does no harm: the sweep rings again."""

import time

import structlog
from celery import current_app
from django.core.cache import cache
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

DOORBELL_SECONDS = 30  # a ring that nobody answered by then is dropped
LOST_SECONDS = 5  # a ring that is older may have been in the hand of a worker that was killed
_MARK = "doorbell:mail"  # at most one ring waits, however many transactions reserve mail

log = structlog.get_logger(__name__)


def ring() -> None:
    """Ask a delivery worker to look for due mail. Never raises for a broker that is away."""
    try:
        if cache.add(_MARK, time.time(), timeout=DOORBELL_SECONDS):
            current_app.send_task("crm.tasks.deliver_mail", expires=DOORBELL_SECONDS, retry=False)
    except OperationalError as problem:
        log.warning("mail.doorbell_lost", problem=str(problem))
        answered()  # nothing waits, so the next ring must not think so
    except (RedisError, OSError) as problem:
        log.warning("mail.doorbell_lost", problem=str(problem))


def ring_again() -> None:
    """Ring, also where a ring that counts as waiting is overdue. Where it does wait, some more of them do no harm: they
    are dropped after DOORBELL_SECONDS."""
    try:
        rung = cache.get(_MARK)
        if rung is not None and time.time() - rung >= LOST_SECONDS:
            cache.delete(_MARK)
    except (RedisError, OSError) as problem:
        log.warning("mail.doorbell_lost", problem=str(problem))
        return
    ring()


def answered() -> None:
    """A worker has come to the door: the next ring is a new message."""
    try:
        cache.delete(_MARK)
    except (RedisError, OSError):
        log.warning("mail.doorbell_mark_kept")
