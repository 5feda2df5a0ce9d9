"""Stopping subscriptions and letting them go on, many in one statement, and what that means for mail not yet sent.

Whoever stops a subscription stops the mail that it has in the outbox too, and that goes on with it.
"""

from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from uuid import UUID

from django.db import connection, transaction

from crm.mail.doorbell import ring
from crm.models import SubscriptionStatus


class Reason(StrEnum):
    """Why a subscription is not active: the words of close-api.md 4.10 that occur here, and one of ours."""

    MANUAL = "manual"
    BULK_ACTION = "bulk-action"
    WORKFLOW_PAUSED = "workflow-paused"
    SEQUENCE_DELETED = "sequence-deleted"
    REPLY_RECEIVED = "reply-received"
    EMAIL_BOUNCED = "email-bounced"
    UNSUBSCRIBED = "unsubscribed"  # ours: Close's words have none for it
    PENDING_CALL_TIMED_OUT = "pending-call-timed-out"
    SMS_FAILED = "sms-failed"  # nobody sent it in time
    ACCOUNT_INVALID = "account-invalid"
    ACCOUNT_FAILURES = "account-failures"  # the mail before was refused
    SEND_AS_ERROR = "send-as-error"
    MEMBERSHIP_INACTIVE = "membership-inactive"
    ASSIGNEES_MISSING = "assignees-missing"
    LEAD_NOT_VISIBLE = "lead-not-visible"
    FIELD_MAPPING_ERROR = "field-mapping-error"  # the template needs a value that is not there
    INTERNAL_ERROR = "internal-error"


STOPPED = "subscription_stopped"  # `error_code` of mail that was held back

# Part of a statement in which `changed` has the ids of subscriptions that go on.
LET_GO = f"""
    let_go AS (
        UPDATE crm_outboxmail SET state = 'reserved', error_code = NULL, error_message = NULL,
            not_before = greatest(not_before, statement_timestamp())
        FROM changed
        WHERE source_id = changed.id AND purpose = 'sequence' AND state = 'withheld' AND error_code = '{STOPPED}'
        RETURNING activity_id),
    let_go_shown AS (
        UPDATE crm_activity SET status = 'outbox', date_updated = statement_timestamp()
        FROM let_go WHERE crm_activity.id = let_go.activity_id)
"""

# A call that nobody made in time is asked for anew; a call that is still to be made goes on waiting.
RESUMED = f"""
    status = 'active', status_reason = NULL, next_at = coalesce(next_at, statement_timestamp()),
    waiting_task_id = CASE WHEN status_reason IN ('{Reason.PENDING_CALL_TIMED_OUT}', '{Reason.SMS_FAILED}')
                           THEN NULL ELSE waiting_task_id END,
    date_updated = statement_timestamp()
"""


RUNNING = """EXISTS (
    SELECT FROM crm_sequence AS sequence
    WHERE sequence.id = sequence_id AND sequence.status = 'active' AND sequence.deleted_at IS NULL)"""

# Of a finished subscription, the first step behind those that it has done: one that was added since.
FOLLOWING_STEP = """
    SELECT step.id, step.delay FROM crm_sequencestep AS step WHERE step.sequence_id = subscription.sequence_id
    ORDER BY step.position OFFSET subscription.steps_done LIMIT 1
"""


def stop(
    condition: str,
    parameters: Mapping[str, object],
    *,
    status: SubscriptionStatus,
    reason: Reason,
    by_id: UUID | None = None,
) -> list[UUID]:
    """End or pause the active subscriptions that meet `condition` (SQL), and hold back their mail. Gives their ids.

    It waits for mail of theirs that is just being sent; when it returns inside its transaction, no more of it leaves.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            f"""
            UPDATE crm_sequencesubscription SET status = %(status)s, status_reason = %(reason)s,
                updated_by_id = coalesce(%(by)s, updated_by_id), date_updated = statement_timestamp()
            WHERE status = 'active' AND ({condition}) RETURNING id
            """,
            {**parameters, "status": str(status), "reason": str(reason), "by": by_id},
        )
        found = [key for (key,) in cursor.fetchall()]
        if found:
            hold_back(found, reason)
    return found


def hold_back(subscription_ids: Sequence[UUID], reason: str) -> None:
    """Hold back the mail of these subscriptions that has not left. A statement of its own, after the one that stopped
    them: it sees what was reserved while that one waited."""
    # Rows that somebody holds are passed over: a mail that is being sent passes the gate or not, and whoever suppresses
    # its address holds it while waiting for our subscription. Waiting here would be for ever.
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH held AS (
                UPDATE crm_outboxmail SET state = 'withheld', error_code = %s, error_message = %s
                WHERE id IN (
                    SELECT id FROM crm_outboxmail
                    WHERE source_id = ANY(%s) AND purpose = 'sequence' AND state = 'reserved' FOR UPDATE SKIP LOCKED)
                RETURNING activity_id)
            UPDATE crm_activity SET status = 'error', date_updated = statement_timestamp()
            FROM held WHERE crm_activity.id = held.activity_id
            """,
            [STOPPED, str(reason), list(subscription_ids)],
        )


def withdraw(subscription_ids: Sequence[UUID], reason: Reason) -> None:
    """Before these subscriptions are deleted, in the transaction at hand: none of their mail that waits leaves."""
    stop("id = ANY(%(ids)s)", {"ids": list(subscription_ids)}, status=SubscriptionStatus.PAUSED, reason=reason)
    hold_back(subscription_ids, reason)  # that of those that had ended, too


def resume(condition: str, parameters: Mapping[str, object], *, by_id: UUID | None = None) -> list[UUID]:
    """Let the stopped subscriptions of active sequences that meet `condition` (SQL) go on where they were."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH changed AS (
                UPDATE crm_sequencesubscription SET {RESUMED}, updated_by_id = coalesce(%(by)s, updated_by_id)
                WHERE status <> 'active' AND next_step_id IS NOT NULL AND ({condition}) AND {RUNNING}
                RETURNING id),
            {LET_GO}
            SELECT id FROM changed
            """,
            {**parameters, "by": by_id},
        )
        found = [key for (key,) in cursor.fetchall()]
        transaction.on_commit(ring, robust=True)
    return found


def resume_finished(subscription_id: UUID, *, by_id: UUID | None = None) -> bool:
    """Let a finished subscription go on with the steps that were added since. False where there are none."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH following AS (
                SELECT subscription.id, step.id AS step_id, step.delay
                FROM crm_sequencesubscription AS subscription CROSS JOIN LATERAL ({FOLLOWING_STEP}) AS step
                WHERE subscription.id = %(id)s AND subscription.status = 'finished'),
            changed AS (
                UPDATE crm_sequencesubscription AS subscription SET status = 'active', status_reason = NULL,
                    next_step_id = following.step_id, updated_by_id = %(by)s, date_updated = statement_timestamp(),
                    next_at = statement_timestamp() + following.delay * interval '1 second'
                FROM following WHERE subscription.id = following.id AND subscription.status = 'finished' AND {RUNNING}
                RETURNING subscription.id),
            {LET_GO}
            SELECT id FROM changed
            """,
            {"id": subscription_id, "by": by_id},
        )
        transaction.on_commit(ring, robust=True)
        return cursor.fetchone() is not None


def open_sources(sources: set[UUID]) -> set[UUID]:
    """A gate of `crm.mail.delivery`: mail of a stopped subscription stays. What is asked about is held until it left.

    FOR SHARE: who stops a subscription waits until the mail in hand is sent or put back.
    """
    held = _stopped(sources)
    if held:
        # They were in hand when their subscription was stopped, and so were not held back with the others.
        transaction.on_commit(lambda: _hold_back_stopped(held.keys()), robust=True)
    return sources - held.keys()


def _hold_back_stopped(subscription_ids: Collection[UUID]) -> None:
    with transaction.atomic():
        held = _stopped(subscription_ids)
        for reason in set(held.values()):
            hold_back([key for key, its_reason in held.items() if its_reason == reason], reason)


def _stopped(subscription_ids: Collection[UUID]) -> dict[UUID, str]:
    """Those that are neither active nor finished, with their reasons; all are held until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT id, status, coalesce(status_reason, '') FROM crm_sequencesubscription WHERE id = ANY(%s)
            ORDER BY id FOR SHARE
            """,
            [list(subscription_ids)],
        )
        return {key: reason for key, status, reason in cursor.fetchall() if status not in ("active", "finished")}
