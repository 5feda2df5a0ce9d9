"""Taking the values of removed leads, and of their contacts, out of the ledgers. Ids stay: they say which targets a job
had, no more."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import OperationalError, connection, transaction
from psycopg.errors import LockNotAvailable

from bulk_actions import locks

SCRUBBED = "The lead has been removed for good."

# No index leads from a lead to its batches: it would cost every bulk action, and this is rare. So all target lists of a
# job are read, whatever the number of leads looked for: 0.2 s for a job of a million leads, and 2 ms for each batch
# that held one of them (measured with 3 jobs of 60,000 leads, on two cores).
_SCRUB = """
WITH gone AS MATERIALIZED (SELECT unnest(%(gone)s::uuid[]) AS id),
held AS MATERIALIZED (
    SELECT DISTINCT batch.id
    FROM bulk_actions_batch AS batch, unnest(batch.lead_ids) AS target(lead_id)
    WHERE batch.action_id = %(action)s AND target.lead_id IN (SELECT id FROM gone)),
outcomes AS (
    UPDATE bulk_actions_leadoutcome SET message = %(message)s, email = NULL
    WHERE batch_id IN (SELECT id FROM held) AND lead_id IN (SELECT id FROM gone) AND message <> %(message)s
    RETURNING id),
batches AS (
    UPDATE bulk_actions_batch AS batch
    SET before = CASE WHEN before IS NOT NULL THEN (
            SELECT jsonb_agg(CASE WHEN lead_id IN (SELECT id FROM gone) THEN 'null' ELSE value END ORDER BY place)
            FROM ROWS FROM (unnest(changed_ids), jsonb_array_elements(before))
                WITH ORDINALITY AS changed(lead_id, value, place)) END,
        given = CASE WHEN given IS NOT NULL THEN ARRAY(
            SELECT CASE WHEN target.lead_id IN (SELECT id FROM gone) THEN NULL ELSE value END
            FROM unnest(batch.lead_ids, batch.given) WITH ORDINALITY AS target(lead_id, value, place)
            ORDER BY place) END
    WHERE id IN (SELECT id FROM held) AND (  -- what an earlier run has emptied is not written again
        EXISTS (SELECT FROM ROWS FROM (unnest(changed_ids), jsonb_array_elements(before)) AS changed(lead_id, value)
                WHERE value <> 'null' AND lead_id IN (SELECT id FROM gone))
        OR EXISTS (SELECT FROM unnest(batch.lead_ids, batch.given) AS target(lead_id, value)
                   WHERE value IS NOT NULL AND target.lead_id IN (SELECT id FROM gone)))
    RETURNING id)
SELECT (SELECT count(*) FROM batches), (SELECT count(*) FROM outcomes)
"""

_SCRUB_ROWS = """
WITH gone AS MATERIALIZED (SELECT unnest(%(gone)s::uuid[]) AS id),
rows AS (
    UPDATE bulk_actions_importrow
    SET data = NULL, value = NULL, message = CASE WHEN code IS NOT NULL THEN %(message)s END
    WHERE action_id = %(action)s AND (lead_id IN (SELECT id FROM gone) OR contact_id IN (SELECT id FROM gone))
      AND data IS NOT NULL
    RETURNING id),
batches AS (
    UPDATE bulk_actions_batch AS batch
    SET before = (
        SELECT jsonb_agg(
            CASE WHEN (value->>'lead')::uuid IN (SELECT id FROM gone)
                    OR (value->>'contact')::uuid IN (SELECT id FROM gone) THEN 'null' ELSE value END ORDER BY place)
        FROM jsonb_array_elements(before) WITH ORDINALITY AS kept(value, place))
    WHERE id IN (
        SELECT batch.id FROM bulk_actions_batch AS batch, unnest(batch.changed_ids) AS changed(row_id)
        WHERE batch.action_id = %(action)s AND batch.before IS NOT NULL AND changed.row_id IN (
            SELECT id FROM bulk_actions_importrow
            WHERE action_id = %(action)s AND (
                lead_id IN (SELECT id FROM gone) OR contact_id IN (SELECT id FROM gone))))
    RETURNING id)
SELECT (SELECT count(*) FROM batches), (SELECT count(*) FROM rows)
"""


@dataclass
class Scrubbed:
    """How many rows lost values. Not complete: some were held by somebody for too long, or the time was over."""

    n_batches: int = 0
    n_outcomes: int = 0
    is_complete: bool = True


def scrub_ledgers(
    organization_id: UUID, gone: Sequence[UUID], *, wait_seconds: float, deadline: float = math.inf
) -> Scrubbed:
    """Take what these leads and contacts held out of before-images, of what undos are to give back, and of messages.

    A job at a time, each in a transaction of its own. A batch in hand, and an undo that is just being loaded from the
    ledger, are waited for so long. After `deadline` (monotonic seconds) no other job is begun.
    """
    total, seen = Scrubbed(), set[UUID]()
    # Again until there is none: an undo that copied out of a ledger before its turn here is a new one afterwards.
    while fresh := [action_id for action_id in _ledgers(organization_id, gone) if action_id not in seen]:
        for action_id in fresh:
            if time.monotonic() > deadline:
                total.is_complete = False
                return total
            try:
                n_batches, n_outcomes = _scrub(action_id, gone, wait_seconds)
            except OperationalError as problem:
                if not isinstance(problem.__cause__, LockNotAvailable):
                    raise
                total.is_complete = False
            else:
                total.n_batches += n_batches
                total.n_outcomes += n_outcomes
        seen.update(fresh)
    return total


def _scrub(action_id: UUID, gone: Sequence[UUID], wait_seconds: float) -> tuple[int, int]:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{wait_seconds * 1000:.0f}ms"])
        locks.hold_ledger(action_id)
        cursor.execute(_SCRUB, {"gone": list(gone), "action": action_id, "message": SCRUBBED})
        found = cursor.fetchone()
        # Of an import from a file the targets are rows, and the leads stand in what it keeps of each.
        cursor.execute(_SCRUB_ROWS, {"gone": list(gone), "action": action_id, "message": SCRUBBED})
        n_batches, n_rows = cursor.fetchone()
        return found[0] + n_batches, found[1] + n_rows


def _ledgers(organization_id: UUID, gone: Sequence[UUID]) -> list[UUID]:
    """The jobs that may have had one of these: not those that ended before the first of them was made."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT id FROM bulk_actions_bulkaction
            WHERE organization_id = %s AND n_objects IS NOT NULL AND date_ledger_purged IS NULL
              AND (date_finished IS NULL OR date_finished > uuid_extract_timestamp(%s))
            ORDER BY id
            """,
            [organization_id, min(gone)],
        )
        return [id for (id,) in cursor.fetchall()]
