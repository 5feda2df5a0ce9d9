"""Counting requests in windows of time, in Redis. Redis holds no truth: without it, nothing is counted and all pass."""

import math
import time
from dataclasses import dataclass

import structlog
from django.core.cache import cache
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)

LEAVE_REDIS_ALONE_SECONDS = 5  # after a failure; else every request would wait for the socket's timeout


class Redis:
    """What this process knows of it."""

    away_until = 0.0  # monotonic seconds


@dataclass(frozen=True)
class Window:
    """One window of `seconds`, that which is now: windows follow each other, they do not slide."""

    number: int
    seconds: int
    reset: int  # whole seconds until it ends, at least 1


def window_now(seconds: int) -> Window:
    now = time.time()
    number = int(now // seconds)
    return Window(number, seconds, max(1, math.ceil((number + 1) * seconds - now)))


def counted(window: Window, *names: str) -> list[int] | None:
    """How often each of `names` was counted in the window, this time included; None while Redis does not answer."""
    if time.monotonic() < Redis.away_until:
        return None
    try:
        return [
            _count(f"rate:{name}:{window.seconds}:{window.number}".replace(" ", ":"), window.seconds) for name in names
        ]
    except (RedisError, ValueError) as problem:
        Redis.away_until = time.monotonic() + LEAVE_REDIS_ALONE_SECONDS
        log.warning("api.rate_not_counted", problem=str(problem))
        return None


def _count(key: str, seconds: int) -> int:
    try:
        return cache.incr(key)
    except ValueError:  # no such key yet
        if cache.add(key, 1, timeout=2 * seconds):
            return 1
    return cache.incr(key)  # another request made it in between
