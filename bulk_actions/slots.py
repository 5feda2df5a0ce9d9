"""Fair turns: an organization has so many jobs running at once; the others wait in the order in which they came."""

from uuid import UUID

from django.conf import settings
from django.db import connection, transaction

from bulk_actions.models import BulkAction
from bulk_actions.states import ACTIVE, WAITING, Status
from bulk_actions.transitions import move


def start_if_free(action: BulkAction) -> bool:
    """Move a waiting job on (to `loading` or `processing`) when a slot is free and it is its turn."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            # Two workers must not both see the last free slot.
            cursor.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"bulk slots {action.organization_id}"]
            )
        if action.pk not in startable(action.organization_id):
            return False
        to = Status.LOADING if action.n_leads is None else Status.PROCESSING
        return move(action.pk, expected={Status(action.status)}, to=to)


def startable(organization_id: UUID) -> list[UUID]:
    """The waiting jobs of the organization that have a free slot, oldest first."""
    jobs = BulkAction.objects.filter(organization=organization_id)
    free = settings.BULK_MAX_RUNNING_PER_ORGANIZATION - jobs.filter(status__in=ACTIVE).count()
    if free <= 0:
        return []
    return list(jobs.filter(status__in=WAITING).order_by("pk").values_list("pk", flat=True)[:free])
