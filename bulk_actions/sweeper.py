"""Finding work that nobody does. Safe to run any number of times, at once."""

from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import Max
from django.utils import timezone

from bulk_actions import doorbell, locks, mails, seals, slots
from bulk_actions.models import Batch, BulkAction
from bulk_actions.services import PAUSE_EXPIRED, end_with_error, settle_interrupted
from bulk_actions.states import ACTIVE, Status
from crm.counters import count

RESCUES = "sweeper_rescues"  # the counter
_STANDING_SECONDS = 5


def sweep() -> None:
    """Ring for every job that should move, end pauses that are too old; drop old previews."""
    at_work = set(slots.at_work().values_list("pk", flat=True))
    for action_id, moved in BulkAction.objects.filter(status__in=ACTIVE).values_list("pk", "date_updated"):
        if action_id not in at_work and mails.is_left_to_delivery(action_id):
            continue  # for days, maybe, if its account may send little
        is_standing = _stands(action_id, moved)
        if doorbell.ring_again(action_id) and is_standing:  # who answers rings for the others
            count(RESCUES)
    # order_by(): the order of the queue would make every job a row of its own.
    for organization_id in slots.queue().order_by().values_list("organization", flat=True).distinct():
        for action_id in slots.startable(organization_id):
            doorbell.ring_again(action_id)
    _settle_interrupted()
    _expire_pauses()
    seals.drop_old()


def _stands(action_id: UUID, moved: datetime) -> bool:
    """Whether nothing of the running job was committed for a while, and nobody is at it.

    One that waits for its mails to leave does not stand: delivery has its own sweep.
    """
    if mails.is_sending(action_id):
        return False
    last = Batch.objects.filter(action=action_id, date_done__isnull=False).aggregate(last=Max("date_done"))["last"]
    if max(moved, last or moved) > timezone.now() - timedelta(seconds=_STANDING_SECONDS):
        return False
    # An export holds its slot while its file is written, and maybe carried away to its storage in the end.
    at_it = (locks.Purpose.LOADER, locks.Purpose.GATE, locks.Purpose.SLOT)
    return not any(locks.holders(action_id, purpose) for purpose in at_it)


def _expire_pauses() -> None:
    limit = timezone.now() - timedelta(days=settings.BULK_RESUME_DAYS)
    for action_id in BulkAction.objects.filter(status=Status.PAUSED, date_paused__lt=limit).values_list(
        "pk", flat=True
    ):
        end_with_error(
            action_id, PAUSE_EXPIRED, f"Paused for more than {settings.BULK_RESUME_DAYS} days, so it cannot be resumed."
        )


def _settle_interrupted() -> None:
    for action_id in BulkAction.objects.filter(status=Status.ERROR, n_succeeded__isnull=True).values_list(
        "pk", flat=True
    ):
        settle_interrupted(action_id)
        count(RESCUES)
