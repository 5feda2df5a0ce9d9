"""Undo: a job that gives back to each lead what another job took, from the ledger of that other job."""

from collections.abc import Mapping
from datetime import timedelta

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from bulk_actions import locks, subscriptions
from bulk_actions.actions import EXPORTING, MAILING, SUBSCRIBING, UNDOABLE
from bulk_actions.models import BulkAction, Kind
from bulk_actions.repeats import order_over, refuse_unfinished
from bulk_actions.services import create_bulk_action
from bulk_actions.states import Status
from bulk_actions.targets import outcomes_of, refuse_purged
from crm.auth import Caller
from crm.errors import Conflict, FieldErrors, Invalid

_UNDONE = ("succeeded",)


def undo(*, action: BulkAction, caller: Caller, force: bool = False) -> BulkAction:
    """A new job of the same kind that takes back what this one did; undos can be undone in turn.

    A lead is restored where it still holds what the job wrote, with `force` whatever it holds. Raises `Invalid` for a
    job that sent mail and for an export; FieldErrors("status") for one that has not ended, or that deleted leads so
    long ago that they are purged; `LedgerPurged`; `Conflict` when it has been undone, or is being undone.
    """
    if action.kind in MAILING:
        raise Invalid(["Mail cannot be unsent: this job cannot be undone. Cancel it to stop what has not left yet."])
    if action.kind in EXPORTING:
        raise Invalid(["An export changes nothing: there is nothing to undo."])
    with transaction.atomic():
        original = BulkAction.objects.select_for_update(no_key=True).get(pk=action.pk)  # one undo at a time
        refuse_unfinished(original, "undo")
        refuse_purged(original)
        _refuse_second(original)
        if original.kind in (Kind.DELETE, Kind.DEAL_DELETE) and "restore" not in original.params:
            _refuse_purged_leads(original)
        params = UNDOABLE[original.kind].undo_params(original, force=force)
        order = order_over(original, _UNDONE, params, undo_of_id=original.pk)
        return create_bulk_action(order=order, caller=caller)


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
    has_given = source.kind in SUBSCRIBING or UNDOABLE[source.kind].written(source) is not None
    if action.retry_of_id is not None:
        targets, parameters = _TRIED, {"outcomes": outcomes_of(action)}
    else:
        targets, parameters = _changed(source)
    statement = f"""
        WITH placed AS (SELECT lead_id, given, row_number() OVER (ORDER BY place) AS rank FROM ({targets}) AS target),
        stored AS (
            INSERT INTO bulk_actions_batch (action_id, rank, lead_ids, given, n_leads)
            SELECT %(action)s, min(rank), array_agg(lead_id ORDER BY rank),
                   {"array_agg(given ORDER BY rank)" if has_given else "NULL"}, count(*)
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
    JOIN (
        SELECT DISTINCT batch_id, lead_id FROM bulk_actions_leadoutcome
        WHERE action_id = %(source)s AND outcome = ANY(%(outcomes)s)) AS noted
        ON noted.batch_id = batch.id AND noted.lead_id = target.lead_id
    WHERE batch.action_id = %(source)s AND batch.n_skipped + batch.n_failed > 0
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


# What an import from a file did to each lead (or contact, where its rows are such), in the words of
# `actions/imports.py`: several of its batches may have changed one lead, so of each value the first before and the last
# after. A lead that it made is deleted, whatever it did to it later.
_CHANGED_BY_ROWS = f"""
    WITH did AS MATERIALIZED (
        SELECT coalesce(before->>'contact', before->>'lead')::uuid AS lead_id, place, before AS what
        FROM ({_CHANGED}) AS changed
        WHERE before ? 'created'),
    lead AS (
        SELECT lead_id, min(place) AS place, bool_or((what->>'created')::boolean) AS created,
               sum((what->>'contacts')::integer) AS contacts,
               (array_agg(what->'at' ORDER BY place DESC))[1] AS at,
               (array_agg(what->'noted' ORDER BY place DESC))[1] AS noted
        FROM did GROUP BY lead_id),
    value AS (
        SELECT lead_id, change->'table' AS kind, change->'id' AS id, wrote.key,
               (array_agg(change->'before'->wrote.key ORDER BY place))[1] AS was,
               (array_agg(wrote.value ORDER BY place DESC))[1] AS wrote
        FROM did CROSS JOIN LATERAL jsonb_array_elements(what->'changes') AS change
        CROSS JOIN LATERAL jsonb_each(change->'after') AS wrote
        GROUP BY 1, 2, 3, 4),
    record AS (
        SELECT lead_id, jsonb_build_object(
                   'table', kind, 'id', id, 'after', jsonb_object_agg(key, wrote),
                   'before', coalesce(jsonb_object_agg(key, was) FILTER (WHERE was IS NOT NULL), '{{}}')) AS change
        FROM value GROUP BY lead_id, kind, id),
    changes AS (SELECT lead_id, jsonb_agg(change) AS changes FROM record GROUP BY lead_id),
    made AS (
        SELECT lead_id, jsonb_agg(part) AS made
        FROM did CROSS JOIN LATERAL jsonb_array_elements(what->'made') AS part GROUP BY lead_id)
    SELECT place, lead_id, jsonb_build_object('from', NULL, 'to', CASE
               WHEN created THEN jsonb_build_object('created', true, 'at', at, 'noted', noted, 'contacts', contacts)
               ELSE jsonb_build_object(
                   'created', false, 'at', at, 'noted', noted,
                   'changes', coalesce(changes, '[]'), 'made', coalesce(made, '[]')) END) AS given
    FROM lead LEFT JOIN changes USING (lead_id) LEFT JOIN made USING (lead_id)
"""


def _changed(source: BulkAction) -> tuple[str, Mapping[str, object]]:
    """A SELECT of the leads that the job has changed, with what it wrote to each and what that held before; and its
    parameters."""
    if source.is_of_file:
        return _CHANGED_BY_ROWS, {}
    if source.kind in SUBSCRIBING:
        sql, parameters = SUBSCRIBING[source.kind].given(source)
        return subscriptions.changed_by(source, sql), parameters
    written = UNDOABLE[source.kind].written(source)
    given = "NULL::jsonb" if written is None else f"jsonb_build_object('from', {written.sql}, 'to', before)"
    was_given = f"JOIN ({_GIVEN}) AS target USING (id, lead_id)" if source.undo_of_id is not None else ""
    sql = f"SELECT place, lead_id, {given} AS given FROM ({_CHANGED}) AS changed {was_given}"
    return sql, written.parameters if written else {}
