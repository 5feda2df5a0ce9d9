"""Finding work that nobody does. Safe to run any number of times, at once."""

from datetime import timedelta

import structlog
from django.conf import settings
from django.utils import timezone

from bulk_actions import doorbell, slots
from bulk_actions.models import BulkAction
from bulk_actions.services import PAUSE_EXPIRED, end_with_error, settle_interrupted
from bulk_actions.states import ACTIVE, WAITING, Status
from crm.purge import purge_deleted

log = structlog.get_logger(__name__)
_PURGE_BATCH = 500  # leads a sweep: a bounded piece, so that live work never waits for it


def sweep() -> None:
    """Ring for every job that should move, end pauses that are too old, purge some long deleted leads."""
    for action_id in BulkAction.objects.filter(status__in=ACTIVE).values_list("pk", flat=True):
        doorbell.ring(action_id, range(settings.BULK_WORKERS))
    # order_by(): the ordering of the model would make every job a row of its own.
    for organization_id in (
        BulkAction.objects.filter(status__in=WAITING).order_by().values_list("organization", flat=True).distinct()
    ):
        for action_id in slots.startable(organization_id):
            doorbell.ring(action_id)
    _settle_interrupted()
    _expire_pauses()
    purge_deleted(older_than=timedelta(days=settings.LEAD_PURGE_DAYS), limit=_PURGE_BATCH)


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
