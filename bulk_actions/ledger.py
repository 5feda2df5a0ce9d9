"""Batches: claiming them, splitting them, and writing down what became of their leads."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import connection

from bulk_actions.actions import Change
from bulk_actions.actions.base import GONE_MESSAGE, LEADS, Targets
from bulk_actions.models import BulkAction

# Leads are addressed by `id = ANY(array)`: that walks the primary key in key order, so two jobs over the same leads
# wait for each other and do not deadlock. A join to a list of ids was carried out in heap order.
_THESE = "{row}.id = ANY(ARRAY(SELECT lead_id FROM target)) AND {row}.organization_id = %(organization)s"
_THESE_JUDGED = (
    "{row}.id = ANY(ARRAY(SELECT lead_id FROM judged WHERE code IS NULL)) AND {row}.organization_id = %(organization)s"
)


@dataclass(frozen=True)
class Claim:
    """A pending batch whose row this transaction has locked."""

    batch_id: int
    n_leads: int
    isolated: bool
    tried_seconds_ago: float | None


def claim(action_id: UUID, limit: int, *, isolated: bool = False) -> list[Claim]:
    """Lock up to `limit` pending batches that nobody else has in hand."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT id, n_leads, isolated, extract(epoch FROM clock_timestamp() - tried_at)::float8
            FROM bulk_actions_batch
            WHERE action_id = %s AND date_done IS NULL AND isolated = %s
            ORDER BY rank LIMIT %s FOR UPDATE SKIP LOCKED
            """,
            [action_id, isolated, limit],
        )
        return [Claim(*row) for row in cursor.fetchall()]


def split(batch_id: int, keep: int) -> int:
    """Leave the first `keep` leads in the batch and put the rest into a new pending one; returns the new batch's id."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH rest AS (
                INSERT INTO bulk_actions_batch (action_id, rank, lead_ids, given, n_leads, isolated)
                SELECT action_id, rank + %(keep)s, lead_ids[%(keep)s + 1:], given[%(keep)s + 1:],
                       n_leads - %(keep)s, isolated
                FROM bulk_actions_batch WHERE id = %(batch)s
                RETURNING id)
            UPDATE bulk_actions_batch
            SET lead_ids = lead_ids[:%(keep)s], given = given[:%(keep)s], n_leads = %(keep)s
            WHERE id = %(batch)s
            RETURNING (SELECT id FROM rest)
            """,
            {"batch": batch_id, "keep": keep},
        )
        return cursor.fetchone()[0]


def cut(batch_id: int, size: int) -> None:
    """Cut an isolated batch into isolated batches of `size` leads each, the last one of what is left."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH rest AS (
                INSERT INTO bulk_actions_batch (action_id, rank, lead_ids, given, n_leads, isolated)
                SELECT action_id, rank + first - 1, lead_ids[first:first + %(size)s - 1],
                       given[first:first + %(size)s - 1], least(%(size)s, n_leads - first + 1), true
                FROM bulk_actions_batch, generate_series(1 + %(size)s, n_leads, %(size)s) AS first
                WHERE id = %(batch)s)
            UPDATE bulk_actions_batch
            SET lead_ids = lead_ids[:%(size)s], given = given[:%(size)s], n_leads = least(%(size)s, n_leads),
                tried_at = NULL
            WHERE id = %(batch)s
            """,
            {"batch": batch_id, "size": size},
        )


def apply(action: BulkAction, change: Change, batches: list[int]) -> None:
    """Change the leads of these batches and write down, in the same statement, what became of them."""
    with connection.cursor() as cursor:
        # The planner cannot know how long the array is, and a bitmap scan would visit leads in heap order.
        cursor.execute("SET LOCAL enable_bitmapscan = off; SET LOCAL enable_seqscan = off")
        if change.skip_code is not None:
            hold_targets(action, batches, change.targets)
            cursor.execute(*judged_statement_for(action, change, batches))
            return
        cursor.execute(*statement_for(action, change, batches))
        untouched = [batch for batch, n_unchanged in cursor.fetchall() if n_unchanged]
        if untouched:
            cursor.execute(
                _SKIP_GONE,
                {"batches": untouched, "organization": action.organization_id, "message": GONE_MESSAGE},
            )


def hold_targets(action: BulkAction, batches: Sequence[int], targets: Targets = LEADS) -> None:
    """Keep the targets of these batches from all changes until the transaction ends."""
    with connection.cursor() as cursor:
        lock = _LOCK.format(table=targets.table)
        cursor.execute(lock, {"batches": list(batches), "organization": action.organization_id})


def statement_for(action: BulkAction, change: Change, batches: list[int]) -> tuple[str, dict[str, object]]:
    """The one statement of `apply`, and its parameters."""
    statement = f"""
        WITH target AS MATERIALIZED (
            SELECT batch.id AS batch_id, lead_id
            FROM bulk_actions_batch AS batch, unnest(batch.lead_ids) AS lead_id WHERE batch.id = ANY(%(batches)s)),
        {_changed_and_tally(change, _THESE)}
        UPDATE bulk_actions_batch AS batch
        SET changed_ids = tally.ids, before = tally.before, date_done = clock_timestamp(),
            n_succeeded = coalesce(tally.n, 0), n_unchanged = batch.n_leads - coalesce(tally.n, 0)
        FROM unnest(%(batches)s) AS mine(id) LEFT JOIN tally ON tally.batch_id = mine.id
        WHERE batch.id = mine.id
        RETURNING batch.id, batch.n_unchanged
    """
    return statement, _parameters(action, change, batches)


def judged_statement_for(action: BulkAction, change: Change, batches: list[int]) -> tuple[str, dict[str, object]]:
    """The same for a change that first judges which leads it may touch. Their rows are locked already, so that its
    snapshot shows what it will change."""
    row = change.targets.row
    statement = f"""
        WITH target AS MATERIALIZED (
            SELECT batch.id AS batch_id, target.lead_id, target.given
            FROM bulk_actions_batch AS batch, unnest(batch.lead_ids, batch.given) AS target(lead_id, given)
            WHERE batch.id = ANY(%(batches)s)),
        judged AS MATERIALIZED (
            SELECT target.batch_id, target.lead_id, target.given, ({change.skip_code}) AS code
            FROM target
            LEFT JOIN {change.targets.table} AS {row} ON {row}.id = target.lead_id
                AND {row}.organization_id = %(organization)s),
        noted_skips AS (
            INSERT INTO bulk_actions_leadoutcome (action_id, batch_id, lead_id, outcome, code, message)
            SELECT %(action)s, batch_id, lead_id, 'skipped', code, coalesce(%(messages)s::jsonb->>code, code)
            FROM judged WHERE code IS NOT NULL),
        {_changed_and_tally(change, _THESE_JUDGED)},
        skips AS (SELECT batch_id, count(*) AS n FROM judged WHERE code IS NOT NULL GROUP BY batch_id)
        UPDATE bulk_actions_batch AS batch
        SET changed_ids = tally.ids, before = tally.before, date_done = clock_timestamp(),
            n_succeeded = coalesce(tally.n, 0), n_skipped = coalesce(skips.n, 0),
            n_unchanged = batch.n_leads - coalesce(tally.n, 0) - coalesce(skips.n, 0)
        FROM unnest(%(batches)s) AS mine(id)
        LEFT JOIN tally ON tally.batch_id = mine.id LEFT JOIN skips ON skips.batch_id = mine.id
        WHERE batch.id = mine.id
    """
    messages = json.dumps({"lead_gone": GONE_MESSAGE, **change.messages})
    return statement, {**_parameters(action, change, batches), "messages": messages}


def _changed_and_tally(change: Change, these: str) -> str:
    before = "jsonb_agg(changed.before)" if change.keeps_before else "NULL::jsonb"
    also = "".join(f"{name} AS ({sql}), " for name, sql in change.also.items())
    return f"""
        changed AS ({change.update.format(these=these.format(row=change.targets.row))}),
        {also}
        tally AS (
            SELECT target.batch_id, array_agg(changed.lead_id) AS ids, {before} AS before, count(*) AS n
            FROM changed JOIN target USING (lead_id) GROUP BY target.batch_id)"""


def _parameters(action: BulkAction, change: Change, batches: list[int]) -> dict[str, object]:
    return {
        **change.parameters,
        "batches": batches,
        "action": action.pk,
        "organization": action.organization_id,
        "user": action.created_by_id,
    }


# In key order, as the change itself goes.
_LOCK = """
    SELECT FROM {table}
    WHERE id = ANY(ARRAY(
        SELECT unnest(lead_ids) FROM bulk_actions_batch WHERE id = ANY(%(batches)s)))
    AND organization_id = %(organization)s
    ORDER BY id FOR NO KEY UPDATE
"""

# A later statement, so a later snapshot: what the change did not touch and is not alive now was deleted since loading.
_SKIP_GONE = """
    WITH gone AS (
        SELECT batch.id AS batch_id, batch.action_id, rest.lead_id
        FROM bulk_actions_batch AS batch, LATERAL (
            SELECT unnest(batch.lead_ids) AS lead_id EXCEPT SELECT unnest(batch.changed_ids)) AS rest
        WHERE batch.id = ANY(%(batches)s) AND NOT EXISTS (
            SELECT FROM crm_lead AS lead
            WHERE lead.id = rest.lead_id AND lead.organization_id = %(organization)s AND lead.deleted_at IS NULL)),
    noted AS (
        INSERT INTO bulk_actions_leadoutcome (action_id, batch_id, lead_id, outcome, code, message)
        SELECT action_id, batch_id, lead_id, 'skipped', 'lead_gone', %(message)s FROM gone)
    UPDATE bulk_actions_batch AS batch
    SET n_skipped = tally.n, n_unchanged = batch.n_unchanged - tally.n
    FROM (SELECT batch_id, count(*) AS n FROM gone GROUP BY batch_id) AS tally
    WHERE batch.id = tally.batch_id
"""


def record_failure(batch_id: int, code: str, message: str) -> None:
    """The one lead of this batch cannot be changed, or the one row of a file merged: write that down, and why."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH failed AS (
                UPDATE bulk_actions_batch SET n_failed = 1, date_done = clock_timestamp()
                WHERE id = %(batch)s AND n_leads = 1 RETURNING id, action_id, lead_ids),
            told AS (
                UPDATE bulk_actions_importrow AS row
                SET outcome = 'failed', code = %(code)s, message = %(message)s FROM failed WHERE row.id = lead_ids[1])
            INSERT INTO bulk_actions_leadoutcome (action_id, batch_id, lead_id, outcome, code, message)
            SELECT action_id, id, lead_ids[1], 'failed', %(code)s, %(message)s FROM failed
            """,
            {"batch": batch_id, "code": code, "message": message[:500]},
        )
