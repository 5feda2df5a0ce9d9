"""Ringing the workers that deliver. A lost, doubled or late ring does no harm: a sweep rings again."""

import time

import structlog
from celery import current_app
from django.core.cache import cache
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

DOORBELL_SECONDS = 30  # a ring that nobody answered by then is dropped
LOST_SECONDS = 5  # a ring that is older may have been in the hand of a worker that was killed

log = structlog.get_logger(__name__)


class Doorbell:
    """Asks for one task. At most one ring of it waits, however many transactions give it something to do."""

    def __init__(self, task: str, *, mark: str) -> None:
        self._task = task
        self._mark = f"doorbell:{mark}"

    def ring(self) -> None:
        """Ask a worker to look for what is due. Never raises for a broker that is away."""
        try:
            if cache.add(self._mark, time.time(), timeout=DOORBELL_SECONDS):
                current_app.send_task(self._task, expires=DOORBELL_SECONDS, retry=False)
        except OperationalError as problem:
            log.warning("delivery.doorbell_lost", task=self._task, problem=str(problem))
            self.answered()  # nothing waits, so the next ring must not think so
        except (RedisError, OSError) as problem:
            log.warning("delivery.doorbell_lost", task=self._task, problem=str(problem))

    def ring_again(self) -> None:
        """Ring, also where a ring that counts as waiting is overdue. Where it does wait, some more of them do no harm:
        they are dropped after DOORBELL_SECONDS."""
        try:
            rung = cache.get(self._mark)
            if rung is not None and time.time() - rung >= LOST_SECONDS:
                cache.delete(self._mark)
        except (RedisError, OSError) as problem:
            log.warning("delivery.doorbell_lost", task=self._task, problem=str(problem))
            return
        self.ring()

    def answered(self) -> None:
        """A worker has come to the door: the next ring is a new message."""
        try:
            cache.delete(self._mark)
        except (RedisError, OSError):
            log.warning("delivery.doorbell_mark_kept", task=self._task)
