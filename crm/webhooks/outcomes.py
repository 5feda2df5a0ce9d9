"""What became of an attempt: on the delivery, and on its webhook, which is switched off when it fails for too long."""

from dataclasses import dataclass
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connection, transaction

from crm.mail.outbox import reserve_notice
from crm.models import LeadWebhook, User

MOST_FAILURES = 50  # attempts one after the other; then the webhook turns inactive
LONGEST_WAIT_SECONDS = 30
KEPT_DAYS = 30

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Outcome:
    """`wait_seconds`: how long until the next attempt; None where there is none."""

    delivered: bool
    status: int | None = None
    error: str | None = None
    wait_seconds: float | None = None


def retry_seconds(number: int, retry_attempts: int) -> float | None:
    """How long to wait after the attempt of that number (1 s, 2 s, 4 s, …); None after the last one."""
    return None if number > retry_attempts else min(LONGEST_WAIT_SECONDS, 2.0 ** (number - 1))


# The claim decides: a worker that was thought dead, and comes back, has no say any more.
_RECORD = """
UPDATE crm_webhookdelivery
SET state = %(state)s, response_status = %(status)s, error = %(error)s, claim = NULL, claimed_at = NULL,
    not_before = statement_timestamp() + make_interval(secs => %(wait)s),
    date_finished = CASE %(state)s WHEN 'pending' THEN NULL ELSE statement_timestamp() END
WHERE id = %(delivery)s AND claim = %(claim)s AND state = 'sending'
"""
# A webhook that works is not written to at every delivery.
_WORKS = "UPDATE crm_leadwebhook SET consecutive_failures = 0 WHERE id = %s AND consecutive_failures > 0"
_FAILS = """
UPDATE crm_leadwebhook SET consecutive_failures = consecutive_failures + 1,
    is_active = is_active AND consecutive_failures + 1 < %(most)s,
    date_updated = CASE WHEN is_active AND consecutive_failures + 1 >= %(most)s THEN statement_timestamp()
                        ELSE date_updated END
WHERE id = %(webhook)s RETURNING old.is_active AND NOT new.is_active
"""


@transaction.atomic
def record(delivery_id: UUID, claim: UUID, webhook_id: UUID, outcome: Outcome) -> None:
    """Write down what became of the attempt that has this claim; nothing where the claim is not ours any more."""
    state = "delivered" if outcome.delivered else "failed" if outcome.wait_seconds is None else "pending"
    with connection.cursor() as cursor:
        cursor.execute(
            _RECORD,
            {"state": state, "status": outcome.status, "error": outcome.error, "delivery": delivery_id,
             "claim": claim, "wait": outcome.wait_seconds or 0},
        )  # fmt: skip
        if not cursor.rowcount:
            return
        if outcome.delivered:
            cursor.execute(_WORKS, [webhook_id])
            return
        cursor.execute(_FAILS, {"most": MOST_FAILURES, "webhook": webhook_id})
        row = cursor.fetchone()
    if row is not None and row[0]:
        _tell_owner(webhook_id, claim, outcome)


def _tell_owner(webhook_id: UUID, claim: UUID, outcome: Outcome) -> None:
    webhook = LeadWebhook.objects.select_related("organization").get(pk=webhook_id)
    log.warning("webhook.switched_off", webhook_id=str(webhook_id))
    owner = User.objects.filter(pk=webhook.created_by_id, is_active=True).first()
    if owner is None:
        return
    reserve_notice(
        organization=webhook.organization,
        to=owner,
        source_id=webhook_id,
        step=f"inactive-{claim}",
        subject="A webhook has been switched off",
        body_text=(
            f"{MOST_FAILURES} attempts in a row to deliver to this webhook have failed, so it is inactive now:\n\n"
            f"    {webhook.url}\n\nThe last attempt: {outcome.error}\n\n"
            f"Switch it on again with PATCH {settings.PUBLIC_URL}/api/agents/crm/lead-webhooks/{webhook_id}\n"
            f'and the body {{"is_active": true}}. Leads made meanwhile are not told of later.\n'
        ),
    )


# What nobody is to be told any more: the webhook was deleted, or switched off.
_DROP = """
UPDATE crm_webhookdelivery SET state = 'failed', date_finished = statement_timestamp(),
    error = 'The webhook is inactive.'
WHERE id = ANY(ARRAY(
    SELECT delivery.id FROM crm_leadwebhook AS webhook JOIN crm_webhookdelivery AS delivery
        ON delivery.webhook_id = webhook.id AND delivery.state = 'pending'
    WHERE NOT webhook.is_active OR webhook.deleted_at IS NOT NULL
    LIMIT 1000 FOR UPDATE OF delivery SKIP LOCKED))
"""
_FORGET = """
DELETE FROM crm_webhookdelivery WHERE id IN (
    SELECT id FROM crm_webhookdelivery
    WHERE date_created < now() - make_interval(days => %s) AND state IN ('delivered', 'failed')
    ORDER BY date_created LIMIT %s FOR UPDATE SKIP LOCKED)
"""


def drop_unwanted() -> None:
    """Give up what waits for webhooks that are inactive or deleted, 1,000 at most."""
    with connection.cursor() as cursor:
        cursor.execute(_DROP)


def forget_old_deliveries(*, limit: int) -> int:
    """Delete up to `limit` deliveries that were over long ago; returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(_FORGET, [KEPT_DAYS, limit])
        return cursor.rowcount
