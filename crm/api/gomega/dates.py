"""Moments as gomega reads them; `crm.webhooks.dates` writes them."""

from datetime import UTC, datetime

from crm.errors import FieldErrors


def read_moment(text: str, *, path: str) -> datetime:
    """A moment in ISO 8601; without a zone it is in UTC. `FieldErrors` at `path` for anything else."""
    try:
        moment = datetime.fromisoformat(text.strip().upper())
        zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return zoned.astimezone(UTC)
    except (ValueError, OverflowError):
        problem = "must be a date and time in ISO 8601, such as 2031-03-16T09:30:00Z"
        raise FieldErrors({path: problem}) from None
