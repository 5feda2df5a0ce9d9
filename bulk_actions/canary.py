"""The first leads of a job as its trial: it pauses itself behind them, once, until a person resumes it."""

from django.db import transaction
from django.db.models import Sum
from django.db.models.functions import Now

from bulk_actions import locks, mails, slots
from bulk_actions.models import Batch, BulkAction
from bulk_actions.states import Status
from bulk_actions.transitions import move

CANARY = "canary"


def leads_left(action: BulkAction) -> int | None:
    """How many leads the job may change before it pauses itself; None where it does not: any number.

    Takes the pace lock until the transaction ends, so that what others have in hand is counted. A job with no more
    leads than its canary just ends.
    """
    if not _is_ahead(action):
        return None
    locks.wait_for_pace(action.pk)
    # While we waited, another worker may have paused it: it did not wait for those in the gate. And it may have been
    # resumed since.
    action.refresh_from_db(fields=["status", "canary_passed"])
    if action.status != Status.PROCESSING:
        return 0
    if not _is_ahead(action):
        return None
    done = Batch.objects.filter(action=action.pk, date_done__isnull=False).aggregate(n=Sum("n_leads", default=0))["n"]
    return max(0, action.canary_leads - done)


def pause_behind(action: BulkAction) -> None:
    """Pause the job, in the transaction that found no lead left of its canary: that holds the pace lock.

    Does nothing where another worker has done so meanwhile, nor while mails are on their way: they are the trial, and
    the job waits until the last of them has left.
    """
    if action.canary_passed or mails.is_sending(action.pk):
        return
    changes = {"reason": CANARY, "date_paused": Now(), "canary_passed": True}
    if move(action.pk, expected={Status.PROCESSING}, to=Status.PAUSED, **changes):
        transaction.on_commit(lambda: slots.ring_startable(action.organization_id), robust=True)


def _is_ahead(action: BulkAction) -> bool:
    return action.canary_leads is not None and not action.canary_passed and action.canary_leads < (action.n_leads or 0)
