"""Retry: a job that does the same once more, to the leads that it did not work for."""

from collections.abc import Collection

from bulk_actions.models import BulkAction, Kind, LeadOutcome
from bulk_actions.services import Order, create_bulk_action
from bulk_actions.targets import node_of, refuse_purged, spelled
from bulk_actions.undoing import refuse_unfinished
from crm.auth import Caller
from crm.errors import FieldErrors
from search.resolve import Resolved


def retry(*, action: BulkAction, outcomes: Collection[str], caller: Caller) -> BulkAction:
    """A new job over the leads that were skipped or have failed, whichever `outcomes` says; those deleted since then
    do not count, but for the retry of an undo, which is one too.

    Raises FieldErrors("status") for a job that has not ended, FieldErrors("outcome") when it has none such, and
    `LedgerPurged`.
    """
    action.refresh_from_db()
    refuse_unfinished(action, "retry")
    refuse_purged(action)
    if not LeadOutcome.objects.filter(action=action.pk, outcome__in=outcomes).exists():
        raise FieldErrors({"outcome": f"The job has no leads that are {' or '.join(outcomes)}."})
    order = Order(
        kind=Kind(action.kind),
        params=action.params,
        s_query=spelled(action, outcomes),
        resolved_query=Resolved("lead", node_of(action, outcomes)).to_json(),
        sort=[],
        results_limit=None,
        send_done_email=action.send_done_email,
        leads_per_minute=action.leads_per_minute,
        priority=action.priority,
        max_failure_ratio=action.max_failure_ratio,
        retry_of_id=action.pk,
        undo_of_id=action.undo_of_id,
    )
    return create_bulk_action(order=order, caller=caller)
