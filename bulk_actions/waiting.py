"""Who waits for a slot, and for how many others."""

from collections.abc import Sequence
from uuid import UUID

from django.db import connection
from django.db.models import F, Window
from django.db.models.functions import RowNumber

from bulk_actions import slots
from bulk_actions.models import BulkAction
from bulk_actions.states import WAITING


def queue_positions(actions: Sequence[BulkAction]) -> dict[UUID, int]:
    """The places of those that wait for a slot (`created`, `resuming`), in the order of `slots.queue`: 1 starts next.

    One query at most. A job that runs, is paused or has ended has none; nor has one that waits for its `run_at`, or
    that left the queue just now.
    """
    waiting = [action for action in actions if action.status in WAITING]
    if not waiting:
        return {}
    queues = slots.queue().filter(organization__in={action.organization_id for action in waiting})
    position = Window(RowNumber(), partition_by=F("organization"), order_by=slots.QUEUE_ORDER)
    numbered = queues.order_by().annotate(position=position).values_list("pk", "position")
    sql, parameters = numbered.query.sql_with_params()
    with connection.cursor() as cursor:
        # From outside: a condition on the ids within would number only those.
        cursor.execute(
            f"SELECT id, position FROM ({sql}) AS numbered(id, position) WHERE id = ANY(%s)",
            [*parameters, [action.pk for action in waiting]],
        )
        return dict(cursor.fetchall())
