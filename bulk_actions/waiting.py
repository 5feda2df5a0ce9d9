"""Who waits for a slot, and for how many others."""

from collections.abc import Sequence
from uuid import UUID

from django.db import connection

from bulk_actions.models import BulkAction
from bulk_actions.states import WAITING

_POSITIONS = """
SELECT id, position FROM (
    SELECT id, row_number() OVER (PARTITION BY organization_id ORDER BY id) AS position
    FROM bulk_actions_bulkaction WHERE status = ANY(%s) AND organization_id = ANY(%s)) AS queue
WHERE id = ANY(%s)
"""


def queue_positions(actions: Sequence[BulkAction]) -> dict[UUID, int]:
    """The places of those that wait (`created`, `resuming`), in the order of `slots.startable`: 1 starts next.

    One query at most. A job that runs, is paused or has ended has none; nor has one that left the queue just now.
    """
    waiting = [action for action in actions if action.status in WAITING]
    if not waiting:
        return {}
    organizations = list({action.organization_id for action in waiting})
    with connection.cursor() as cursor:
        cursor.execute(_POSITIONS, [sorted(WAITING), organizations, [action.pk for action in waiting]])
        return dict(cursor.fetchall())
