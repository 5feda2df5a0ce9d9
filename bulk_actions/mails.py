"""The mails of jobs: which may leave, and what happens to the others when their job stands still or has ended.

The job's row decides. Delivery asks it in each sending transaction (`open_jobs`); a pause waits for those, and then
puts the mails that are left out of delivery's way, so that a job that stands for days costs its account nothing.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, QuerySet

from bulk_actions import doorbell, locks
from bulk_actions.models import BulkAction
from bulk_actions.states import FINAL, Status
from crm.mail import limits
from crm.mail.doorbell import ring as ring_delivery
from crm.models import EmailAccount, MailState, OutboxMail, Purpose
from crm.models.mail import SET_ASIDE

CANCELLED = "cancelled"  # `error_code` of mail that its ended job has withheld
_LEFT = (MailState.RESERVED, MailState.SENDING)  # still to leave
_PIECE = 2_000  # mails in one statement
# Added to `not_before`, and taken off again: what was to be tried later keeps its time. Whole days, since years differ.
_PARKED = "interval '365000 days'"
Wait = tuple[limits.Reason, datetime]

_FAR = f"'{SET_ASIDE.isoformat()}'"


def is_sending(action_id: UUID) -> bool:
    """Whether mail of the job is still to leave, or is just leaving."""
    return _to_leave(action_id).exists()


def is_left_to_delivery(action_id: UUID) -> bool:
    """Of a running job without a pending batch: whether no worker need look at it until its last mail has left.

    A worker that died after it had moved the job on may have left mails aside; they are for a worker to give back.
    """
    aside = OutboxMail.objects.filter(source_id=action_id, state=MailState.RESERVED, not_before__gt=SET_ASIDE)
    return is_sending(action_id) and not aside.exists()


def waits_of(actions: Sequence[BulkAction]) -> dict[UUID, Wait]:
    """Why no mail of these jobs leaves now, and until when; of those that run and have mail to send, where that is so.

    Two queries, and a few for each account.
    """
    by_job = {action.pk: action.params.get("email_account_id") for action in actions}
    running = [action.pk for action in actions if by_job.get(action.pk) and action.status == Status.PROCESSING]
    if not running:
        return {}
    sending = (
        BulkAction.objects.filter(Exists(_to_leave(OuterRef("pk"))), pk__in=running)
        .order_by()
        .values_list("pk", flat=True)
    )
    accounts = EmailAccount.objects.in_bulk({UUID(by_job[key]) for key in sending})
    waits = {str(key): limits.waiting_of(account) for key, account in accounts.items()}
    return {key: wait for key in sending if (wait := waits.get(by_job[key]))}


def open_jobs(sources: set[UUID]) -> set[UUID]:
    """A gate of `crm.mail.delivery`: only mail of running jobs leaves. Sources that are no jobs pass.

    The job's mail gate is shared until that mail is recorded: who stops the job waits for it (`stand_still`).
    """
    for action_id in sorted(sources):
        locks.share_mail_gate(action_id)
    with connection.cursor() as cursor:  # not before the gates are ours: whoever closed one has changed the status
        cursor.execute("SELECT id, status FROM bulk_actions_bulkaction WHERE id = ANY(%s)", [list(sources)])
        is_running = {action_id: status == Status.PROCESSING for action_id, status in cursor.fetchall()}
    for action_id, runs in is_running.items():
        if not runs:
            transaction.on_commit(lambda stopped=action_id: hold_back(stopped), robust=True)
    return {key for key in sources if is_running.get(key, True)}


def stand_still(action_id: UUID) -> None:
    """Wait until no mail of the job is leaving. The new status must be committed before.

    Nobody is ended for it, unlike in the job's other gate: that would not stop a mail that is on the wire, only lose
    what became of it. Delivery gives up on a mail server after SMTP_TIMEOUT_SECONDS, and a frozen worker loses its
    session after MAIL_IDLE_IN_TRANSACTION_SECONDS.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '60s'; SET LOCAL statement_timeout = 0")
        locks.close_mail_gate(action_id)


def hold_back(action_id: UUID) -> None:
    """Put the mails of a job that does not run out of delivery's way; those of an ended one are withheld for good."""
    while _hold_back_some(action_id) == _PIECE:
        pass


def let_go(action: BulkAction) -> None:
    """Give the mails that were put aside back to delivery, if the job runs."""
    with transaction.atomic(), connection.cursor() as cursor:
        locks.share_gate(action.pk)
        if not BulkAction.objects.filter(pk=action.pk, status=Status.PROCESSING).exists():
            return
        cursor.execute(
            f"""
            UPDATE crm_outboxmail SET not_before = not_before - {_PARKED}
            WHERE source_id = %s AND purpose <> 'notice' AND state = 'reserved' AND not_before > {_FAR}
            """,
            [action.pk],
        )
        if cursor.rowcount:
            transaction.on_commit(ring_delivery, robust=True)


def _to_leave(source_id: UUID | OuterRef) -> QuerySet[OutboxMail]:
    return OutboxMail.objects.filter(source_id=source_id, state__in=_LEFT).exclude(purpose=Purpose.NOTICE)


_PARK = f"""
UPDATE crm_outboxmail SET not_before = not_before + {_PARKED}
WHERE id = ANY(ARRAY(
    SELECT id FROM crm_outboxmail
    WHERE source_id = %(job)s AND purpose <> 'notice' AND state = 'reserved' AND not_before <= {_FAR}
    LIMIT {_PIECE} FOR UPDATE SKIP LOCKED))
"""
_WITHHOLD = f"""
WITH held AS (
    UPDATE crm_outboxmail SET state = 'withheld', error_code = '{CANCELLED}',
        error_message = 'Its job was ended before this mail had left.'
    WHERE id = ANY(ARRAY(
        SELECT id FROM crm_outboxmail WHERE source_id = %(job)s AND purpose <> 'notice' AND state = 'reserved'
        LIMIT {_PIECE} FOR UPDATE SKIP LOCKED))
    RETURNING activity_id),
shown AS (
    UPDATE crm_activity SET status = 'error', date_updated = statement_timestamp()
    FROM held WHERE crm_activity.id = held.activity_id)
SELECT FROM held
"""


@transaction.atomic
def _hold_back_some(action_id: UUID) -> int:
    # FOR SHARE: nobody resumes the job while its mails are put aside, or some would stay there.
    with connection.cursor() as cursor:
        cursor.execute("SELECT status FROM bulk_actions_bulkaction WHERE id = %s FOR SHARE", [action_id])
        found = cursor.fetchone()
        if found is None or found[0] == Status.PROCESSING or found[0] == Status.DONE:
            return 0
        cursor.execute(_WITHHOLD if found[0] in FINAL else _PARK, {"job": action_id})
        return cursor.rowcount


def look_after(action_ids: set[UUID]) -> None:
    """Hears of `crm.mail.delivery`: lets a worker end each of these jobs, or go on behind its canary, once nothing of
    it is left to be sent."""
    for action_id in action_ids:
        if not is_sending(action_id):
            doorbell.ring(action_id)


def reserved_for(action_ids: Collection[UUID], addresses: Collection[str]) -> set[str]:
    """Those of these (normalised) addresses to which one of the jobs has sent mail, or may have, or will."""
    not_sent = [MailState.ERROR, MailState.WITHHELD]
    mails = OutboxMail.objects.filter(source_id__in=action_ids, purpose=Purpose.BULK, address__in=addresses)
    return set(mails.exclude(state__in=not_sent).values_list("address", flat=True))
