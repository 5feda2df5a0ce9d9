"""Slots: an organization has so many jobs running at once; the others wait in its queue."""

from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from bulk_actions import doorbell
from bulk_actions.models import Batch, BulkAction, Kind
from bulk_actions.states import ACTIVE, WAITING, Status
from bulk_actions.transitions import move

QUEUE_ORDER = ("-priority", "pk")  # high first, then the oldest


def queue() -> QuerySet[BulkAction]:
    """The jobs that wait for a slot, of all organizations, in the order in which each of them starts its own.

    A job whose `run_at` is still to come waits for that, not for a slot.
    """
    due = Q(run_at__isnull=True) | Q(run_at__lte=Now())
    return BulkAction.objects.filter(due, status__in=WAITING).order_by(*QUEUE_ORDER)


def at_work() -> QuerySet[BulkAction]:
    """The jobs that hold a slot, of all organizations: not those that only wait for their last mails to leave, which
    may take an account days."""
    pending = Exists(Batch.objects.filter(action=OuterRef("pk"), date_done__isnull=True))
    return BulkAction.objects.filter(
        ~Q(kind=Kind.EMAIL) | Q(status=Status.LOADING) | pending, status__in=ACTIVE
    ).order_by()


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
    """The waiting jobs of the organization that have a free slot, the first of its queue."""
    running = at_work().filter(organization=organization_id).count()
    free = settings.BULK_MAX_RUNNING_PER_ORGANIZATION - running
    if free <= 0:
        return []
    return list(queue().filter(organization=organization_id).values_list("pk", flat=True)[:free])


def ring_startable(organization_id: UUID) -> None:
    """Ring for every job that has a slot now: to be called whenever one has become free, or the queue has changed."""
    for action_id in startable(organization_id):
        doorbell.ring(action_id)
