"""What a retry and an undo have in common: each is a job over the leads of one that has ended."""

from collections.abc import Collection
from uuid import UUID

from bulk_actions.models import BulkAction, Kind
from bulk_actions.services import Order
from bulk_actions.states import FINAL
from bulk_actions.targets import node_of, spelled
from crm.errors import FieldErrors
from search.resolve import Resolved


def refuse_unfinished(action: BulkAction, verb: str) -> None:
    """Raises FieldErrors("status") while leads of the job may still change, for all that its status says."""
    if action.status not in FINAL or action.n_succeeded is None:
        raise FieldErrors({"status": f"Cannot {verb}: the job has not ended. The status is {action.status}."})


def order_over(
    original: BulkAction,
    outcomes: Collection[str],
    params: dict[str, object],
    *,
    retry_of_id: UUID | None = None,
    undo_of_id: UUID | None = None,
) -> Order:
    """A job of the same kind over the leads of `original` with these outcomes. It runs as the original did; what was to
    keep that one from harm (`max_leads`, canary, `on_changed`) has had its turn."""
    return Order(
        kind=Kind(original.kind),
        params=params,
        s_query=spelled(original, outcomes),
        resolved_query=Resolved("lead", node_of(original, outcomes)).to_json(),
        sort=[],
        results_limit=None,
        send_done_email=original.send_done_email,
        leads_per_minute=original.leads_per_minute,
        priority=original.priority,
        max_failure_ratio=original.max_failure_ratio,
        retry_of_id=retry_of_id,
        undo_of_id=undo_of_id,
    )
