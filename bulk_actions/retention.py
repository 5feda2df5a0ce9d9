"""What is kept for how long, and what goes then. Safe to run twice at once, and to be cut off anywhere."""

import time
from datetime import timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from bulk_actions.export_files import forget_old_files
from bulk_actions.models import BulkAction
from bulk_actions.scrubbing import scrub_ledgers
from bulk_actions.uploads import forget_old_uploads
from crm.idempotency import forget_answers_with, forget_old_answers
from crm.mail.inbound import forget_received
from crm.mail.outbox import forget_mails
from crm.models import PurgedLead
from crm.purge import purge_deleted, purge_deleted_deals, purge_lead
from crm.sign_in import forget_old_sessions
from crm.webhooks.outcomes import forget_old_deliveries

log = structlog.get_logger(__name__)

PIECE = 5000  # leads a minute, 7 million a day: the ledgers are read once for all of them, which is what costs
_TRANSACTION = 1000  # leads removed in one: 0.2 s
_FILES = 100  # of exports, removed in one run
_BATCHES = 200  # of a ledger, 1,000 leads each, and as many times ten outcomes, removed in one transaction
_UPLOADS = 20  # files removed in a run
_SECONDS = 10.0  # a run begins nothing new after so long: sweeps wait for it
_LOCK_SECONDS = 1.0
_ERASE_LOCK_SECONDS = 30.0


def purge() -> None:
    """One run of the minute: leads that were deleted long ago, old ledgers, old answers to be repeated, what is noted
    of mail that came in long ago, ended sessions, old deliveries to webhooks, files of exports and imports."""
    deadline = time.monotonic() + _SECONDS
    for _ in range(PIECE // _TRANSACTION):
        if purge_deleted(older_than=timedelta(days=settings.LEAD_PURGE_DAYS), limit=_TRANSACTION) < _TRANSACTION:
            break
    purge_deleted_deals(older_than=timedelta(days=settings.LEAD_PURGE_DAYS), limit=PIECE)
    forget_purged(deadline)
    purge_ledgers(deadline)
    forget_old_answers(limit=PIECE)
    forget_old_sessions(limit=PIECE)
    forget_old_deliveries(limit=PIECE)
    forget_old_files(limit=_FILES)
    forget_old_uploads(limit=_UPLOADS)
    forget_received(older_than=timedelta(days=settings.INBOUND_MAIL_DAYS), limit=PIECE)


def forget_purged(deadline: float) -> None:
    """Take the values of removed leads out of ledgers and mails. What is held by somebody is left for the next run."""
    waiting = PurgedLead.objects.order_by().values_list("organization", flat=True).distinct()
    for organization_id in waiting:
        if time.monotonic() > deadline:
            return
        leads = list(PurgedLead.objects.filter(organization=organization_id).order_by("lead_id")[:PIECE])
        ids = [lead.lead_id for lead in leads]
        forget_mails(organization_id, ids, [address for lead in leads for address in lead.addresses])
        people = [key for lead in leads for key in lead.contacts]
        scrubbed = scrub_ledgers(organization_id, [*ids, *people], wait_seconds=_LOCK_SECONDS, deadline=deadline)
        if scrubbed.is_complete:
            PurgedLead.objects.filter(pk__in=ids).delete()
            log.info("retention.leads_purged", organization_id=str(organization_id), n_leads=len(ids))


def purge_ledgers(deadline: float) -> None:
    """Remove the ledgers of jobs that ended long ago. Their rows keep the final counts and say since when."""
    # The mark first: whoever reads a ledger sees all of it, or that it is gone.
    live_copy = BulkAction.objects.filter(
        Q(undo_of=OuterRef("pk")) | Q(retry_of=OuterRef("pk")), date_finished__isnull=True
    )
    BulkAction.objects.filter(
        ~Exists(live_copy),  # it may yet read the ledger of its original
        date_finished__lt=Now() - timedelta(days=settings.BULK_LEDGER_DAYS),
        date_ledger_purged__isnull=True,
        n_succeeded__isnull=False,
    ).update(date_ledger_purged=Now())
    for action_id in _marked():
        while time.monotonic() < deadline and _remove_piece(action_id):
            pass


# Two look-ups per job that ever had a ledger: 0.1 s for 100,000 jobs.
_MARKED = """
SELECT id FROM bulk_actions_bulkaction AS action
WHERE date_ledger_purged IS NOT NULL
  AND (EXISTS (SELECT FROM bulk_actions_batch WHERE action_id = action.id)
    OR EXISTS (SELECT FROM bulk_actions_importrow WHERE action_id = action.id)
    OR EXISTS (SELECT FROM bulk_actions_triedkey WHERE action_id = action.id)
    OR EXISTS (SELECT FROM bulk_actions_leadoutcome WHERE action_id = action.id))
"""
_REMOVE = """
WITH outcomes AS (
    DELETE FROM bulk_actions_leadoutcome WHERE id IN (
        SELECT id FROM bulk_actions_leadoutcome WHERE action_id = %(action)s
        LIMIT %(batches)s * 10 FOR UPDATE SKIP LOCKED) RETURNING id),
batches AS (
    DELETE FROM bulk_actions_batch WHERE id IN (
        SELECT id FROM bulk_actions_batch WHERE action_id = %(action)s
        LIMIT %(batches)s FOR UPDATE SKIP LOCKED) RETURNING id),
rows AS (
    DELETE FROM bulk_actions_importrow WHERE id IN (
        SELECT id FROM bulk_actions_importrow WHERE action_id = %(action)s
        LIMIT %(batches)s * 100 FOR UPDATE SKIP LOCKED) RETURNING id),
keys AS (
    DELETE FROM bulk_actions_triedkey WHERE id IN (
        SELECT id FROM bulk_actions_triedkey WHERE action_id = %(action)s
        LIMIT %(batches)s * 100 FOR UPDATE SKIP LOCKED) RETURNING id)
SELECT (SELECT count(*) FROM outcomes) + (SELECT count(*) FROM batches) + (SELECT count(*) FROM rows)
    + (SELECT count(*) FROM keys)
"""


def _marked() -> list[UUID]:
    with connection.cursor() as cursor:
        cursor.execute(_MARKED)
        return [id for (id,) in cursor.fetchall()]


def _remove_piece(action_id: UUID) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_REMOVE, {"action": action_id, "batches": _BATCHES})
        return cursor.fetchone()[0]


@transaction.atomic
def erase(lead_id: UUID, organization_id: UUID) -> tuple[dict[str, int], bool]:
    """Remove the lead, live or marked, and its values everywhere, at once.

    Returns how many rows of what, and whether that was all: a ledger that somebody holds for more than half a minute is
    left for the next purge. Raises OperationalError when the lead itself is held for so long.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{_ERASE_LOCK_SECONDS:.0f}s"])
    removed = purge_lead(lead_id)
    gone = [lead_id]
    for lead in PurgedLead.objects.filter(pk=lead_id):
        removed["mails emptied"] = forget_mails(organization_id, [lead_id], lead.addresses)
        gone += lead.contacts
    scrubbed = scrub_ledgers(organization_id, gone, wait_seconds=_ERASE_LOCK_SECONDS)
    if scrubbed.is_complete:
        PurgedLead.objects.filter(pk=lead_id).delete()
    removed["batches emptied"] = scrubbed.n_batches
    removed["messages emptied"] = scrubbed.n_outcomes
    removed["answers kept for a repeat"] = forget_answers_with(organization_id, lead_id)
    return removed, scrubbed.is_complete
