"""Posting events to webhooks, each at least once (gomega-api.md 9).

A worker claims due deliveries in one statement and posts them in threads, a few of each webhook and of each customer at
once, so that one that never answers keeps nobody waiting. No transaction is open meanwhile. A slice waits only a few
seconds for what it has in hand: the rest goes on in its threads while the worker does something else. What a dead
worker had in hand is claimed again when its time is over.
"""

import json
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from time import monotonic
from uuid import UUID, uuid4

import structlog
from django.db import connection
from django.utils import timezone

from crm import secrets
from crm.mail.hosts import RESOLVE_SECONDS
from crm.webhooks import outcomes
from crm.webhooks.dates import gomega_datetime
from crm.webhooks.outcomes import Outcome
from crm.webhooks.sending import Blocked, Unanswered, Unsigned, post, signature

THREADS = 32  # of one worker; each waits for one answer
AT_ONCE = 2  # deliveries of one webhook in hand
OF_ONE_CUSTOMER = 8  # deliveries in hand: servers that never answer cost nobody else their turn
LOST_AFTER_SECONDS = 15 + RESOLVE_SECONDS  # beyond the time that an attempt may take

log = structlog.get_logger(__name__)

_pool = ThreadPoolExecutor(THREADS, thread_name_prefix="webhook")
_in_hand: set["Future[None]"] = set()


@dataclass(frozen=True)
class Claim:
    """A delivery in hand, with what its webhook says now. `number`: which attempt of it this is, from 1 on."""

    delivery_id: UUID
    claim: UUID
    webhook_id: UUID
    payload: dict[str, object]
    number: int
    url: str
    secret: str
    timeout_seconds: int
    retry_attempts: int


# One step into the index `webhook_delivery_due` for each webhook that has something to be posted, however much it has.
_LANES = """
WITH RECURSIVE lane AS (
    (SELECT webhook_id, organization_id, not_before FROM crm_webhookdelivery WHERE state = 'pending'
     ORDER BY webhook_id, not_before LIMIT 1)
    UNION ALL
    SELECT further.* FROM lane CROSS JOIN LATERAL (
        SELECT webhook_id, organization_id, not_before FROM crm_webhookdelivery
        WHERE state = 'pending' AND webhook_id > lane.webhook_id ORDER BY webhook_id, not_before LIMIT 1) AS further)
"""
_IS_DUE = f"{_LANES} SELECT EXISTS (SELECT FROM lane WHERE not_before <= statement_timestamp())"
_CLAIM = f"""
{_LANES},
in_hand AS MATERIALIZED (SELECT webhook_id, organization_id FROM crm_webhookdelivery WHERE state = 'sending'),
busy AS (SELECT webhook_id, count(*) AS n FROM in_hand GROUP BY webhook_id),
crowd AS (SELECT organization_id, count(*) AS n FROM in_hand GROUP BY organization_id),
candidate AS MATERIALIZED (
    SELECT next.id, lane.not_before, coalesce(crowd.n, 0) + row_number() OVER (
               PARTITION BY lane.organization_id ORDER BY lane.not_before, next.id) AS place
    FROM lane LEFT JOIN busy USING (webhook_id) LEFT JOIN crowd USING (organization_id) CROSS JOIN LATERAL (
        SELECT id FROM crm_webhookdelivery
        WHERE state = 'pending' AND webhook_id = lane.webhook_id AND not_before <= statement_timestamp()
        ORDER BY not_before, id LIMIT greatest(0, %(at_once)s - coalesce(busy.n, 0)) FOR UPDATE SKIP LOCKED) AS next
    WHERE lane.not_before <= statement_timestamp() AND EXISTS (
        SELECT FROM crm_leadwebhook WHERE id = lane.webhook_id AND is_active AND deleted_at IS NULL)),
turn AS MATERIALIZED (
    SELECT id FROM candidate WHERE place <= %(of_one_customer)s ORDER BY not_before LIMIT %(limit)s)
UPDATE crm_webhookdelivery AS delivery
SET state = 'sending', claim = %(claim)s, claimed_at = statement_timestamp(), attempts = attempts + 1,
    not_before = statement_timestamp() + make_interval(secs => webhook.timeout_seconds + %(lost_after)s)
FROM crm_leadwebhook AS webhook
WHERE delivery.id = ANY(ARRAY(SELECT id FROM turn)) AND webhook.id = delivery.webhook_id
RETURNING delivery.id, delivery.claim, delivery.webhook_id, delivery.payload, delivery.attempts,
    webhook.url, webhook.secret, webhook.timeout_seconds, webhook.retry_attempts
"""


def is_due() -> bool:
    """Whether something waits whose time has come."""
    with connection.cursor() as cursor:
        cursor.execute(_IS_DUE)
        return cursor.fetchone()[0]


def deliver_slice(seconds: float) -> bool:
    """Post what is due for about `seconds`. True when the time was over first, so that more may be due."""
    until = monotonic() + seconds
    outcomes.drop_unwanted()  # what turns unwanted from here on is not claimed, and dropped by the next slice
    mine: set[Future[None]] = set()  # what an earlier slice has in hand is not waited for
    while monotonic() < until:
        for claim in _claim(THREADS - len(_in_hand)):
            future = _pool.submit(attempt, claim)
            _in_hand.add(future)
            future.add_done_callback(_in_hand.discard)
            mine.add(future)
        if not mine:
            return False
        mine = wait(mine, timeout=max(0.0, until - monotonic()), return_when=FIRST_COMPLETED).not_done
    return is_due()


def sweep_lost() -> int:
    """Let what dead workers had in hand be claimed again: nobody knows whether it arrived. How many those were.

    It costs no attempt: `post` ends within its time whatever the receiver does, so that only ours can be lost.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE crm_webhookdelivery
            SET state = 'pending', attempts = attempts - 1, claim = NULL, claimed_at = NULL
            WHERE state = 'sending' AND not_before < statement_timestamp()
            """
        )
        return cursor.rowcount


def attempt(claim: Claim) -> None:
    """Post it once, with a timestamp and a signature of this moment, and write down what became of it."""
    try:
        outcomes.record(claim.delivery_id, claim.claim, claim.webhook_id, _outcome(claim))
    except Exception:
        # Nobody waits for this thread: what it could not write down is claimed again.
        log.exception("webhook.not_recorded", delivery_id=str(claim.delivery_id))
    finally:
        connection.close()


def _outcome(claim: Claim) -> Outcome:
    wait_seconds = outcomes.retry_seconds(claim.number, claim.retry_attempts)
    try:
        status = _post(claim)
    except Blocked as problem:
        log.warning("webhook.blocked", webhook_id=str(claim.webhook_id))
        return Outcome(delivered=False, error=f"Blocked: {problem}")
    except (secrets.Undecryptable, Unsigned, Unanswered) as problem:
        return Outcome(delivered=False, error=str(problem), wait_seconds=wait_seconds)
    if 200 <= status < 300:
        return Outcome(delivered=True, status=status)
    return Outcome(delivered=False, status=status, error=f"Answered with {status}.", wait_seconds=wait_seconds)


def _post(claim: Claim) -> int:
    said = {
        "event": claim.payload["event"],
        "delivered_at": gomega_datetime(timezone.now()),
        **{key: value for key, value in claim.payload.items() if key != "event"},
    }
    body = json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
    timestamp = int(time.time())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Drover-Webhooks/1",
        "X-Mega-Signature": signature(secrets.decrypt(claim.secret), timestamp, body),
        "X-Mega-Timestamp": str(timestamp),
        "X-Mega-Delivery": str(claim.delivery_id),
    }
    return post(claim.url, body, headers, timeout_seconds=claim.timeout_seconds)


def _claim(limit: int) -> list[Claim]:
    if limit <= 0:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            _CLAIM,
            {"at_once": AT_ONCE, "of_one_customer": OF_ONE_CUSTOMER, "limit": limit, "claim": uuid4(),
             "lost_after": LOST_AFTER_SECONDS},
        )  # fmt: skip
        return [
            Claim(key, claim, webhook, json.loads(payload), *rest)
            for key, claim, webhook, payload, *rest in cursor.fetchall()
        ]
