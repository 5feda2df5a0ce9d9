"""Requests per second (close-api.md 1.5)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.conf import settings
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from crm.rates import counted, window_now

if TYPE_CHECKING:
    from crm.api.close.requests import CloseRequest

RATE_HEADER = "RateLimit"
WINDOW_SECONDS = 1
ORGANIZATION_FACTOR = 3  # an organization may do three times what one of its keys may


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


class EndpointThrottle(BaseThrottle):
    """One counter per key and one per organization, for each endpoint group (path template and method)."""

    def allow_request(self, request: "CloseRequest", view: APIView) -> bool:
        """Count the request; False when it is one too many. Leaves the `Rate` on the request."""
        request.rate = self._rate(request)
        return request.rate.exceeded is None

    def wait(self) -> float:
        return WINDOW_SECONDS

    def _rate(self, request: "CloseRequest") -> Rate:
        match = request.resolver_match
        group = f"{request.effective_method} {match.route if match else request.path_info}"
        limit = settings.API_REQUESTS_PER_SECOND
        window = window_now(WINDOW_SECONDS)
        caller = request.caller
        owner = caller.api_key.pk if caller.api_key else caller.user.pk
        counts = counted(window, f"{owner}:{group}", f"{caller.organization.pk}:{group}")
        if counts is None:
            return untouched_rate()
        of_key, of_organization = counts
        remaining = min(limit - of_key, limit * ORGANIZATION_FACTOR - of_organization)
        exceeded = None
        if remaining < 0:
            exceeded = "key" if of_key > limit else "organization"
        return Rate(limit, max(0, remaining), window.reset, exceeded, group)
