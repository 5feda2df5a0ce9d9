"""The engine of sequences: each tick takes the subscriptions that are due and moves every one a step on.

A subscription is claimed by its row lock, and what a step leaves behind (a mail in the outbox, a task) is written in
the transaction that moves it on. So a step is done once, however many ticks run at once; should that ever fail, the
outbox takes no second mail for the same subscription and step.
"""

from datetime import datetime

import structlog
from django.db import OperationalError, connection, transaction
from django.utils import timezone
from psycopg.types.json import Jsonb

from crm.models import SequenceSubscription, SubscriptionStatus
from crm.sequences.batch import Batch, Move
from crm.sequences.states import Reason

log = structlog.get_logger(__name__)

BATCH = 500  # subscriptions in one transaction, and rendered mails in memory at once

_MOVE = """
UPDATE crm_sequencesubscription AS subscription
SET status = moved.status, status_reason = moved.reason, next_step_id = moved.next_step, next_at = moved.next_at,
    waiting_task_id = moved.task, steps_done = moved.steps_done, thread_subject = moved.subject,
    thread_message_ids = ARRAY(SELECT jsonb_array_elements_text(moved.message_ids)), date_updated = %(now)s
FROM unnest(%(id)s::uuid[], %(status)s::text[], %(reason)s::text[], %(next_step)s::uuid[], %(next_at)s::timestamptz[],
            %(task)s::uuid[], %(steps_done)s::int[], %(subject)s::text[], %(message_ids)s::jsonb[])
    AS moved (id, status, reason, next_step, next_at, task, steps_done, subject, message_ids)
WHERE subscription.id = moved.id
"""


def tick(limit: int = 10_000, now: datetime | None = None) -> int:
    """Move on up to `limit` subscriptions that are due at `now`; how many were. Any number of ticks may run at once."""
    now = now or timezone.now()
    taken = 0
    while taken < limit and (found := _advance(min(BATCH, limit - taken), now)):
        taken += found
    if taken:
        log.info("sequences.advanced", subscriptions=taken)
    return taken


def _advance(limit: int, now: datetime) -> int:
    try:
        with transaction.atomic():
            due = _claim(limit, now)
            if due:
                _write(Batch(due, now).moves(), now)
            return len(due)
    except OperationalError:  # a deadlock, a lost server: the next tick tries again
        raise
    except Exception:
        log.exception("sequences.batch_failed")
        return _one_by_one(limit, now)


def _one_by_one(limit: int, now: datetime) -> int:
    """As `_advance`; what fails ends by itself as `internal-error`, and holds up nobody behind it."""
    for taken in range(limit):
        with transaction.atomic():
            due = _claim(1, now)
            if not due:
                return taken
            try:
                with transaction.atomic():
                    _write(Batch(due, now).moves(), now)
            except OperationalError:
                raise
            except Exception:
                log.exception("sequences.failed", subscription_id=str(due[0].pk))
                SequenceSubscription.objects.filter(pk=due[0].pk).update(
                    status=SubscriptionStatus.ERROR, status_reason=str(Reason.INTERNAL_ERROR), date_updated=now
                )
    return limit


def _claim(limit: int, now: datetime) -> list[SequenceSubscription]:
    return list(
        SequenceSubscription.objects.select_for_update(skip_locked=True, no_key=True)
        .filter(status=SubscriptionStatus.ACTIVE, next_at__lte=now)
        .order_by("next_at", "id")[:limit]
    )


def _write(moves: list[Move], now: datetime) -> None:
    columns = {
        "id": [move.subscription.pk for move in moves],
        "status": [str(move.status) for move in moves],
        "reason": [move.reason and str(move.reason) for move in moves],
        "next_step": [move.next_step_id for move in moves],
        "next_at": [move.next_at for move in moves],
        "task": [move.task_id for move in moves],
        "steps_done": [move.steps_done for move in moves],
        "subject": [move.thread_subject for move in moves],
        "message_ids": [Jsonb(move.message_ids) for move in moves],
    }
    with connection.cursor() as cursor:
        cursor.execute(_MOVE, {**columns, "now": now})
