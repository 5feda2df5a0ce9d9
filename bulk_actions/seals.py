"""Sealed previews: target sets that are frozen before there is a job to work on them."""

from datetime import timedelta
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from bulk_actions.matches import no_longer_matches
from bulk_actions.models import Batch, BulkAction, Kind, Preview
from bulk_actions.states import FINAL
from crm.auth import Caller
from crm.errors import FieldErrors
from crm.ids import close_id, parse_close_id
from search.limits import limited_in_time
from search.resolve import Resolved

LIFE = timedelta(hours=1)
_DROPPED_AT_ONCE = 10  # a sweep: a bounded piece, so that ringing never waits for it
_PREFIX = "bulkpreview"


def token_of(preview: Preview) -> str:
    """What a create sends to work on exactly these leads. Its random half cannot be guessed."""
    return close_id(_PREFIX, preview.pk)


def sealed_preview(token: object, kind: Kind, caller: Caller) -> Preview:
    """The caller's own sealed preview of that kind, while it may be used. Raises FieldErrors("preview_token")."""
    if not isinstance(token, str):
        raise _refused("Value must be a string.")
    own = Preview.objects.filter(organization=caller.organization, created_by=caller.user, kind=kind)
    preview = own.filter(pk=parse_close_id(_PREFIX, token)).first()
    if preview is None:
        raise _refused("There is no such preview of this kind of action. It may have expired: make a new one.")
    _refuse_spent(preview)
    return preview


def use(preview_id: UUID, action: BulkAction) -> None:
    """Give the preview's leads to the job, in the transaction at hand. Raises FieldErrors: somebody else was first."""
    preview = Preview.objects.select_for_update().filter(pk=preview_id).first()
    if preview is None:
        raise _refused("This preview has expired. Make a new one.")
    _refuse_spent(preview)
    preview.used_by = action
    preview.save(update_fields=["used_by"])


def given_to(action: BulkAction) -> Preview | None:
    """The sealed preview whose leads the job works on."""
    return Preview.objects.filter(used_by=action.pk).first()


def hand_over(preview: Preview, action: BulkAction) -> None:
    """Make the preview's batches those of the job."""
    Batch.objects.filter(action=preview.pk).update(action=action)


def n_no_longer_matching(preview_id: UUID) -> int:
    """How many of the sealed leads the query of the preview would not find now. Raises SearchTooSlow."""
    preview = Preview.objects.get(pk=preview_id)
    resolved = Resolved.from_json(preview.order["resolved_query"])
    condition, parameters = no_longer_matches(resolved, preview.organization_id)
    with limited_in_time(), connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH target AS MATERIALIZED (
                SELECT unnest(lead_ids) AS lead_id FROM bulk_actions_batch WHERE action_id = %(preview)s)
            SELECT count(*) FROM target WHERE {condition}
            """,
            {**parameters, "preview": preview_id},
        )
        return cursor.fetchone()[0]


def drop_old() -> None:
    """Forget some previews that nobody can use any more, and the leads of those that no job has taken."""
    with transaction.atomic():
        old = Preview.objects.filter(date_created__lt=Now() - LIFE)
        # A job that waits for its moment still needs its leads.
        loaded = BulkAction.objects.filter(Q(n_leads__isnull=False) | Q(status__in=FINAL))
        spent = old.filter(Q(used_by__isnull=True) | Q(used_by__in=loaded.values("pk")))
        doomed = list(spent.select_for_update(skip_locked=True).values_list("pk", flat=True)[:_DROPPED_AT_ONCE])
        if doomed:
            Batch.objects.filter(action__in=doomed).delete()
            Preview.objects.filter(pk__in=doomed).delete()


def _refuse_spent(preview: Preview) -> None:
    if preview.used_by_id is not None:
        raise _refused("This preview has been used: a preview starts one job. Make a new one.")
    if preview.date_created < timezone.now() - LIFE:
        raise _refused("This preview has expired. Make a new one.")


def _refused(problem: str) -> FieldErrors:
    return FieldErrors({"preview_token": problem})
