"""Requests per minute (blueai-api.md 1, "Rate limits")."""

import hashlib
from dataclasses import dataclass

from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from crm.rates import counted, window_now

LIMIT_HEADER = "X-RateLimit-Limit"
REMAINING_HEADER = "X-RateLimit-Remaining"
WINDOW_SECONDS = 60
SIGN_IN_WINDOW_SECONDS = 300
_BULK = "/api/v1/crm/bulk/"


@dataclass(frozen=True)
class Limit:
    """Where a caller stands; `reset`: seconds until the count begins anew."""

    limit: int
    remaining: int
    reset: int = WINDOW_SECONDS
    is_exceeded: bool = False


def untouched(path: str) -> Limit:
    """What an answer says when nothing was counted: no key, no such path, no Redis."""
    limit = _limit_of(path)
    return Limit(limit, limit)


def _limit_of(path: str) -> int:
    is_bulk = path.startswith(_BULK)
    return settings.BLUEAI_BULK_REQUESTS_PER_MINUTE if is_bulk else settings.BLUEAI_REQUESTS_PER_MINUTE


class MinuteThrottle(BaseThrottle):
    """One counter per key, or per user who signed in; another one for the bulk operations."""

    def allow_request(self, request: Request, view: APIView) -> bool:
        """Count the request; False when it is one too many. Leaves the `Limit` on the request."""
        caller, path = request.caller, request.path_info
        most = _limit_of(path)
        window = window_now(WINDOW_SECONDS)
        owner = caller.api_key.pk if caller.api_key else caller.user.pk
        group = "bulk" if path.startswith(_BULK) else "all"
        counts = counted(window, f"blueai:{owner}:{group}")
        request.limit = (
            untouched(path) if counts is None else Limit(most, max(0, most - counts[0]), window.reset, counts[0] > most)
        )
        return not request.limit.is_exceeded

    def wait(self) -> float:
        return WINDOW_SECONDS


class SignInThrottle(BaseThrottle):
    """Tries to sign in: so many for one address, whoever makes them, and more from one place, whomever they try."""

    def allow_request(self, request: Request, view: APIView) -> bool:
        email = request.data.get("email") if isinstance(request.data, dict) else None
        window = window_now(SIGN_IN_WINDOW_SECONDS)
        of_email = hashlib.sha256(str(email).strip().lower().encode()).hexdigest()
        place = request.META.get("REMOTE_ADDR", "")
        counts = counted(window, f"sign-in:email:{of_email}", f"sign-in:place:{place}")
        most = settings.BLUEAI_SIGN_INS_PER_EMAIL
        if counts is None:
            request.limit = Limit(most, most)
            return True
        is_exceeded = counts[0] > most or counts[1] > settings.BLUEAI_SIGN_INS_PER_ADDRESS
        request.limit = Limit(most, max(0, most - counts[0]), window.reset, is_exceeded)
        return not is_exceeded

    def wait(self) -> float:
        return SIGN_IN_WINDOW_SECONDS
