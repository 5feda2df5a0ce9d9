"""Requests per second, counted in Redis (close-api.md 1.5). Redis holds no truth: without it, requests pass."""

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from django.conf import settings
from django.core.cache import cache
from redis.exceptions import RedisError
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

if TYPE_CHECKING:
    from crm.api.close.requests import CloseRequest

log = structlog.get_logger(__name__)

RATE_HEADER = "RateLimit"
WINDOW_SECONDS = 1
ORGANIZATION_FACTOR = 3  # an organization may do three times what one of its keys may
LEAVE_REDIS_ALONE_SECONDS = 5  # after a failure; else every request would wait for the socket's timeout


@dataclass(frozen=True)
class Rate:
    """Where a caller stands in an endpoint group. `str()` is the header that the official client reads with
    `limit=(\\d+), remaining=(\\d+), reset=(\\d+)`, so in this order and whole."""

    limit: int
    remaining: int
    reset: int
    exceeded: str | None = None  # "key" or "organization"
    group: str = ""

    def __str__(self) -> str:
        return f"limit={self.limit}, remaining={self.remaining}, reset={self.reset}"


def untouched_rate() -> Rate:
    """What an answer says when nothing was counted: no key, no such path, no Redis."""
    limit = settings.API_REQUESTS_PER_SECOND
    return Rate(limit, limit, WINDOW_SECONDS)


def rate_body(rate: Rate) -> dict[str, object]:
    """The body of a 429, with the deprecated keys that old clients still read."""
    factor = ORGANIZATION_FACTOR if rate.exceeded == "organization" else 1
    message = f"API call count exceeded for this {WINDOW_SECONDS} second window."
    return {
        "error": message,
        "message": message,
        "rate_limit": rate.limit * factor,
        "rate_limit_type": rate.exceeded,
        "rate_reset": str(rate.reset),
        "rate_window": WINDOW_SECONDS,
        "rate_endpoint_group": rate.group,
    }


def _count(key: str) -> int:
    """How often `key` was counted in its window, this time included."""
    try:
        return cache.incr(key)
    except ValueError:  # no such key yet
        if cache.add(key, 1, timeout=2 * WINDOW_SECONDS):
            return 1
    return cache.incr(key)  # another request made it in between


class EndpointThrottle(BaseThrottle):
    """One counter per key and one per organization, for each endpoint group (path template and method)."""

    redis_away_until = 0.0  # monotonic seconds; of this process

    def allow_request(self, request: "CloseRequest", view: APIView) -> bool:
        """Count the request; False when it is one too many. Leaves the `Rate` on the request."""
        request.rate = self._rate(request)
        return request.rate.exceeded is None

    def wait(self) -> float:
        return WINDOW_SECONDS

    def _rate(self, request: "CloseRequest") -> Rate:
        if time.monotonic() < EndpointThrottle.redis_away_until:
            return untouched_rate()
        match = request.resolver_match
        group = f"{request.effective_method} {match.route if match else request.path_info}"
        limit = settings.API_REQUESTS_PER_SECOND
        now = time.time()
        window = int(now // WINDOW_SECONDS)
        try:
            of_key = _count(f"rate:{request.caller.api_key.pk}:{group}:{window}".replace(" ", ":"))
            of_organization = _count(f"rate:{request.caller.organization.pk}:{group}:{window}".replace(" ", ":"))
        except (RedisError, ValueError) as problem:
            EndpointThrottle.redis_away_until = time.monotonic() + LEAVE_REDIS_ALONE_SECONDS
            log.warning("api.rate_not_counted", problem=str(problem))
            return untouched_rate()
        remaining = min(limit - of_key, limit * ORGANIZATION_FACTOR - of_organization)
        exceeded = None
        if remaining < 0:
            exceeded = "key" if of_key > limit else "organization"
        reset = math.ceil((window + 1) * WINDOW_SECONDS - now)
        return Rate(limit, max(0, remaining), max(1, reset), exceeded, group)
