"""How often a key may call: two buckets, counted apart (gomega-api.md 3). Without Redis, all calls pass."""

from dataclasses import dataclass

from crm.auth import Caller
from crm.models import Organization
from crm.rates import counted, window_now

CALLS_PER_MINUTE = 60
CALLS_PER_HOUR = 1000
BULK_CALLS_PER_MINUTE = 10
_MINUTE, _HOUR = 60, 3600  # seconds


@dataclass(frozen=True)
class Rate:
    """Where a key stands in the window that is nearer to its end. `reset`: seconds until that is full again."""

    limit: int
    remaining: int
    reset: int
    exceeded: bool = False


def rate_of(caller: Caller, *, bulk: bool) -> Rate:
    """Count this call of the key, and say where it stands."""
    rates = []
    for limit, seconds in _windows(caller.organization, bulk=bulk):
        window = window_now(seconds)
        name = f"gomega:{caller.api_key.pk}:{'bulk' if bulk else 'calls'}:{seconds}"
        counts = counted(window, name)
        made = counts[0] if counts else 0
        rates.append(Rate(limit, max(0, limit - made), window.reset, made > limit))
        if rates[-1].exceeded:  # what the minute refuses does not use up the hour
            return rates[-1]
    return min(rates, key=lambda rate: (rate.remaining, -rate.reset))


def untouched(*, bulk: bool = False) -> Rate:
    """What an answer says when nothing was counted: no key, no such path."""
    return (
        Rate(BULK_CALLS_PER_MINUTE, BULK_CALLS_PER_MINUTE, _MINUTE)
        if bulk
        else Rate(CALLS_PER_MINUTE, CALLS_PER_MINUTE, _MINUTE)
    )


def headers_of(rate: Rate) -> dict[str, str]:
    """The headers of every answer; a 429 also says `Retry-After`."""
    return {
        "RateLimit-Limit": str(rate.limit),
        "RateLimit-Remaining": str(rate.remaining),
        "RateLimit-Reset": str(rate.reset),
        **({"Retry-After": str(rate.reset)} if rate.exceeded else {}),
    }


def _windows(organization: Organization, *, bulk: bool) -> list[tuple[int, int]]:
    """(calls, seconds) of each window. A customer may have limits of its own."""
    if bulk:
        return [(_own(organization.lead_bulk_calls_per_minute, BULK_CALLS_PER_MINUTE), _MINUTE)]
    return [
        (_own(organization.lead_calls_per_minute, CALLS_PER_MINUTE), _MINUTE),
        (_own(organization.lead_calls_per_hour, CALLS_PER_HOUR), _HOUR),
    ]


def _own(limit: int | None, usual: int) -> int:
    return usual if limit is None else limit
