"""How many mails an account may send now, and from when: counted from the outbox, which knows what has left.

The windows roll: the last 24 hours, the last hour. A mail in hand counts, and one that may have left (`unknown`).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection, models

from crm.models import EmailAccount


class Reason(models.TextChoices):
    """Why an account sends nothing now."""

    ERROR = "account_error"  # its server takes no session
    PAUSED = "account_paused"  # its server asked for patience
    DAILY = "daily_limit"
    HOURLY = "hourly_limit"
    GAP = "minimum_gap"


@dataclass(frozen=True)
class Allowance:
    """`mails`: how many may be taken in hand now; None where nothing limits them. With 0 mails, why and until when."""

    mails: int | None
    reason: Reason | None = None
    until: datetime | None = None


_FREE = Allowance(None)
_SENT = """
SELECT statement_timestamp(),
       (SELECT count(*) FROM crm_outboxmail WHERE state = 'sending' AND account_id = %(account)s),
       (SELECT max(date_sent) FROM crm_outboxmail WHERE account_id = %(account)s AND date_sent IS NOT NULL)
"""
# Reads at most as many entries of the index `outbox_account` as the limit says. The last of them is the one that has to
# fall out of the window before another mail may leave.
_WINDOW = """
SELECT count(*), (array_agg(date_sent ORDER BY date_sent DESC))[%(limit)s]
FROM (SELECT date_sent FROM crm_outboxmail
      WHERE account_id = %(account)s AND date_sent > statement_timestamp() - %(window)s
      ORDER BY date_sent DESC LIMIT %(limit)s) AS sent
"""


def lock(account: EmailAccount) -> None:
    """Let nobody else take mails of this account in hand until the transaction ends: two workers who count at once
    would each take what is left."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('mail-account:' || %s, 0))", [str(account.pk)])


def is_limited(account: EmailAccount) -> bool:
    """Whether the account's mails have to be counted at all."""
    return any(limit is not None for limit in (account.daily_limit, account.hourly_limit, account.minimum_gap_seconds))


def waiting_of(account: EmailAccount) -> tuple[Reason, datetime] | None:
    """Why the account sends nothing now, and until when; None where it may send."""
    found = allowance(account)
    return (found.reason, found.until) if found.reason and found.until else None


def allowance(account: EmailAccount) -> Allowance:
    """What the account may send now. To act on it, hold `lock`."""
    with connection.cursor() as cursor:
        if account.paused_until is None and not is_limited(account):
            return _FREE
        cursor.execute(_SENT, {"account": account.pk})
        now, in_hand, last = cursor.fetchone()
        if account.paused_until and account.paused_until > now:
            return Allowance(0, Reason.ERROR if account.send_status == "error" else Reason.PAUSED, account.paused_until)
        found = [
            *_window(account.pk, account.daily_limit, in_hand, now, timedelta(days=1), Reason.DAILY),
            *_window(account.pk, account.hourly_limit, in_hand, now, timedelta(hours=1), Reason.HOURLY),
            *_gap(account.minimum_gap_seconds, in_hand, now, last),
        ]
    # What holds longest is what to tell; of several that hold nothing up, the tightest counts.
    closed = [one for one in found if one.mails == 0]
    return max(closed, key=lambda one: one.until) if closed else min(found, key=lambda one: one.mails, default=_FREE)


def _window(
    account_id: UUID, limit: int | None, in_hand: int, now: datetime, window: timedelta, reason: Reason
) -> list[Allowance]:
    if limit is None:
        return []
    with connection.cursor() as cursor:
        cursor.execute(_WINDOW, {"account": account_id, "limit": limit, "window": window})
        sent, oldest = cursor.fetchone()
    left = limit - sent - in_hand
    if left > 0:
        return [Allowance(left)]
    # With mails in hand the time is a guess: they may yet go back.
    return [Allowance(0, reason, oldest + window if oldest else now + timedelta(seconds=1))]


def _gap(seconds: float | None, in_hand: int, now: datetime, last: datetime | None) -> list[Allowance]:
    if not seconds:
        return []
    gap = timedelta(seconds=seconds)
    if in_hand:
        return [Allowance(0, Reason.GAP, now + gap)]
    if last and last + gap > now:
        return [Allowance(0, Reason.GAP, last + gap)]
    return [Allowance(1)]
