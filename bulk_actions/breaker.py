"""Stopping a job that is plainly wrong, before it has walked through every lead."""

from uuid import UUID

import structlog
from django.conf import settings
from django.db.models import Sum
from django.db.models.functions import Coalesce, Now

from bulk_actions import slots
from bulk_actions.models import Batch, BulkAction
from bulk_actions.states import Status
from bulk_actions.transitions import move

log = structlog.get_logger(__name__)

TOO_MANY_FAILURES = "too_many_failures"


def pause_if_plainly_wrong(action_id: UUID) -> bool:
    """Pause the job when more than its `max_failure_ratio` of what it did failed, once that were at least
    `BULK_FAILURES_JUDGED_AFTER` leads. Of mails: those that could not be made; what servers refuse is not its fault.

    Counts from the job's last start: whoever resumes it has seen the failures, and is not stopped by the old ones.
    """
    action = BulkAction.objects.filter(pk=action_id, status=Status.PROCESSING).first()
    if action is None:
        return False
    done = Batch.objects.filter(action=action_id, date_done__gte=action.date_updated)
    sums = done.aggregate(
        leads=Sum("n_leads", default=0),
        objects=Sum(Coalesce("n_objects", "n_leads"), default=0),
        failed=Sum("n_failed", default=0),
    )
    enough = sums["leads"] >= settings.BULK_FAILURES_JUDGED_AFTER
    if not enough or sums["failed"] <= sums["objects"] * action.max_failure_ratio:
        return False
    log.warning("bulk_action.too_many_failures", job_id=str(action_id), **sums)
    changes = {"reason": TOO_MANY_FAILURES, "date_paused": Now()}
    if not move(action_id, expected={Status.PROCESSING}, to=Status.PAUSED, **changes):
        return False
    slots.ring_startable(action.organization_id)
    return True
