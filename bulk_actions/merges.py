"""Rows merged into leads within the call that brings them, and written down as a finished bulk action.

So what came in by a call of another dialect is seen in the list of jobs, and is undone, like all else.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from bulk_actions.at_once import begin, go_on
from bulk_actions.merged import done_to_leads
from bulk_actions.models import Batch, BulkAction, Kind, LeadOutcome, Outcome
from bulk_actions.services import finish
from crm.auth import Caller
from crm.merging import Merged, Row, Rules, merge_rows
from crm.merging import Outcome as RowOutcome

_SKIPPED = "The row is about this lead, and the call leaves what is there as it is."


@transaction.atomic
def merge_at_once(
    *, rows: Sequence[Row], rules: Rules, caller: Caller, source: str, n_failed: int
) -> tuple[BulkAction, Merged]:
    """Merge the rows, whose subject is a lead, and record it: the job, which is done, and what became of each row.

    `source` is who brought them, `n_failed` how many more there were that could not be read. The job's targets are the
    leads: a failed row has none, and several rows may be about one. Raises `Conflict` as `merge_rows` does.
    """
    params = {"source": source, "rows": len(rows) + n_failed, "failed": n_failed}
    action = begin(Kind.IMPORT, params, caller)
    merged = merge_rows(organization=caller.organization, by=caller.user, rows=rows, rules=rules, action_id=action.pk)
    refused = sum(result.outcome is RowOutcome.FAILED for result in merged.results)
    if refused:
        action.params["failed"] += refused
        action.save(update_fields=["params"])
    done = done_to_leads(merged)
    touched = dict.fromkeys(result.lead_id for result in merged.results if result.lead_id)
    skipped = {
        result.lead_id
        for result in merged.results
        if result.outcome is RowOutcome.SKIPPED and result.lead_id not in done
    }
    go_on(action, len(touched))
    lead_ids, size = list(touched), int(settings.BULK_STORED_BATCH)
    for start in range(0, len(lead_ids), size):
        _write_batch(action, lead_ids[start : start + size], start + 1, done, skipped)
    finish(action.pk)
    action.refresh_from_db()
    return action, merged


def _write_batch(
    action: BulkAction, lead_ids: list[UUID], rank: int, done: Mapping[UUID, object], skipped: set[UUID]
) -> None:
    changed = [key for key in lead_ids if key in done]
    left = [key for key in lead_ids if key in skipped]
    batch = Batch.objects.create(
        action=action,
        lead_ids=lead_ids,
        rank=rank,
        n_leads=len(lead_ids),
        changed_ids=changed or None,
        before=[done[key] for key in changed] or None,
        n_succeeded=len(changed),
        n_skipped=len(left),
        n_unchanged=len(lead_ids) - len(changed) - len(left),
        date_done=Now(),
    )
    LeadOutcome.objects.bulk_create(
        LeadOutcome(
            action=action, batch=batch, lead_id=key, outcome=Outcome.SKIPPED, code="duplicate", message=_SKIPPED
        )
        for key in left
    )
