"""Moving a job from one status to another: by compare-and-set, and never without a Transition row."""

from collections.abc import Collection
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from bulk_actions.models import BulkAction, Transition
from bulk_actions.states import ALLOWED, Status
from crm.models import User


def move(
    action_id: UUID,
    *,
    expected: Collection[Status],
    to: Status,
    by: User | None = None,
    reason: str = "",
    **columns: object,
) -> bool:
    """Set `to` (and `columns`) if the job is in one of `expected`; False when somebody else moved it first.

    Raises ValueError for a move that the table of `states` does not allow.
    """
    for status in expected:
        if to not in ALLOWED[status]:
            raise ValueError(f"A job never goes from {status} to {to}.")
    with transaction.atomic():
        action = BulkAction.objects.select_for_update(no_key=True).filter(pk=action_id, status__in=expected).first()
        if action is None:
            return False
        BulkAction.objects.filter(pk=action_id).update(
            status=to, status_reason=reason, date_updated=Now(), **({"updated_by": by} if by else {}), **columns
        )
        Transition.objects.create(
            action_id=action_id, old_status=action.status, new_status=to, by_id=by.pk if by else None, reason=reason
        )
    return True
