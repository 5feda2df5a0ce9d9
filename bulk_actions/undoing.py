"""Undo: a job that gives back to each lead what another job took, from the ledger of that other job."""

from datetime import timedelta

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from bulk_actions import locks
from bulk_actions.actions import MAILING, UNDOABLE
from bulk_actions.actions.base import Written
from bulk_actions.models import BulkAction, Kind
from bulk_actions.services import Order, create_bulk_action
from bulk_actions.states import FINAL, Status
from bulk_actions.targets import node_of, outcomes_of, refuse_purged, spelled
from crm.auth import Caller
from crm.errors import Conflict, FieldErrors, Invalid
from search.resolve import Resolved

_UNDONE = ("succeeded",)


def undo(*, action: BulkAction, caller: Caller, force: bool = False) -> BulkAction:
    """A new job of the same kind that takes back what this one did; undos can be undone in turn.

    A lead is restored where it still holds what the job wrote, with `force` whatever it holds. Raises `Invalid` for a
    job that sent mail; FieldErrors("status") for one that has not ended, or that deleted leads so long ago that they
    are purged; `LedgerPurged`; `Conflict` when it has been undone, or is being undone.
    """
    if action.kind in MAILING:
        raise Invalid(["Mail cannot be unsent: this job cannot be undone. Cancel it to stop what has not left yet."])
    with transaction.atomic():
        original = BulkAction.objects.select_for_update(no_key=True).get(pk=action.pk)  # one undo at a time
        refuse_unfinished(original, "undo")
        refuse_purged(original)
        _refuse_second(original)
        if original.kind in (Kind.DELETE, Kind.DEAL_DELETE) and "restore" not in original.params:
            _refuse_purged_leads(original)
        order = Order(
            kind=Kind(original.kind),
            params=UNDOABLE[original.kind].undo_params(original, force=force),
            s_query=spelled(original, _UNDONE),
            resolved_query=Resolved("lead", node_of(original, _UNDONE)).to_json(),
            sort=[],
            results_limit=None,
            send_done_email=original.send_done_email,
            leads_per_minute=original.leads_per_minute,
            priority=original.priority,
            max_failure_ratio=original.max_failure_ratio,
            undo_of_id=original.pk,
        )
        return create_bulk_action(order=order, caller=caller)


def refuse_unfinished(action: BulkAction, verb: str) -> None:
    """Raises FieldErrors("status") while leads of the job may still change, for all that its status says."""
    if action.status not in FINAL or action.n_succeeded is None:
        raise FieldErrors({"status": f"Cannot {verb}: the job has not ended. The status is {action.status}."})


def _refuse_second(original: BulkAction) -> None:
    undos = BulkAction.objects.filter(undo_of=original.pk, retry_of__isnull=True).exclude(status=Status.ERROR)
    earlier = undos.first()
    if earlier is not None:
        done = "has been" if earlier.status == Status.DONE else "is being"
        raise Conflict(f"The job {done} undone by {earlier.api_id}.")


def _refuse_purged_leads(original: BulkAction) -> None:
    age = timezone.now() - original.date_finished if original.date_finished else timedelta()
    if age > timedelta(days=settings.LEAD_PURGE_DAYS):
        days = settings.LEAD_PURGE_DAYS
        raise FieldErrors({"status": f"Cannot undo: what was deleted more than {days} days ago is purged."})


def freeze(action: BulkAction) -> int:
    """INSERT the batches of an undo, or of the retry of one, from the ledger of the other job; returns the number of
    leads in them. Neither an id nor a value passes through Python. Raises `LedgerPurged`.
    """
    source_id = action.retry_of_id or action.undo_of_id
    locks.share_ledger(source_id)  # or the values of a lead that is being erased would live on in the copy
    source = BulkAction.objects.get(pk=source_id)
    refuse_purged(source)
    written = UNDOABLE[source.kind].written(source)
    if action.retry_of_id is not None:
        targets, parameters = _TRIED, {"outcomes": outcomes_of(action)}
    else:
        targets, parameters = _changed(source, written), written.parameters if written else {}
    statement = f"""
        WITH placed AS (SELECT lead_id, given, row_number() OVER (ORDER BY place) AS rank FROM ({targets}) AS target),
        stored AS (
            INSERT INTO bulk_actions_batch (action_id, rank, lead_ids, given, n_leads)
            SELECT %(action)s, min(rank), array_agg(lead_id ORDER BY rank),
                   {"array_agg(given ORDER BY rank)" if written else "NULL"}, count(*)
            FROM placed GROUP BY (rank - 1) / %(size)s
            RETURNING n_leads)
        SELECT coalesce(sum(n_leads), 0) FROM stored
    """
    common = {"action": action.pk, "source": source.pk, "size": int(settings.BULK_STORED_BATCH)}
    with connection.cursor() as cursor:
        # The planner takes an array for 10 rows, and would compare each lead of a batch with each other one.
        cursor.execute("SET LOCAL enable_nestloop = off")
        cursor.execute(statement, {**parameters, **common})
        n_leads = int(cursor.fetchone()[0])
        cursor.execute("SET LOCAL enable_nestloop = on")
    return n_leads


# What an undo was to restore and did not, with the same `given`.
_TRIED = """
    SELECT batch.rank + target.place AS place, target.lead_id, target.given
    FROM bulk_actions_batch AS batch
    CROSS JOIN LATERAL unnest(batch.lead_ids, batch.given) WITH ORDINALITY AS target(lead_id, given, place)
    JOIN bulk_actions_leadoutcome AS noted ON noted.batch_id = batch.id AND noted.lead_id = target.lead_id
    WHERE batch.action_id = %(source)s AND batch.n_skipped + batch.n_failed > 0 AND noted.outcome = ANY(%(outcomes)s)
"""


# `before` is in the order of `changed_ids`, or null where nothing was kept.
_CHANGED = """
    SELECT batch.id, batch.rank + changed.place AS place, changed.lead_id, changed.before
    FROM bulk_actions_batch AS batch
    CROSS JOIN LATERAL ROWS FROM (unnest(batch.changed_ids), jsonb_array_elements(batch.before)) WITH ORDINALITY
        AS changed(lead_id, before, place)
    WHERE batch.action_id = %(source)s AND batch.n_succeeded > 0
"""
_GIVEN = """
    SELECT batch.id, target.lead_id, target.given
    FROM bulk_actions_batch AS batch
    CROSS JOIN LATERAL unnest(batch.lead_ids, batch.given) AS target(lead_id, given)
    WHERE batch.action_id = %(source)s AND batch.n_succeeded > 0
"""


def _changed(source: BulkAction, written: Written | None) -> str:
    """A SELECT of the leads that the job has changed, with what it wrote to each and what that held before."""
    given = "NULL::jsonb" if written is None else f"jsonb_build_object('from', {written.sql}, 'to', before)"
    was_given = f"JOIN ({_GIVEN}) AS target USING (id, lead_id)" if source.undo_of_id is not None else ""
    return f"SELECT place, lead_id, {given} AS given FROM ({_CHANGED}) AS changed {was_given}"
