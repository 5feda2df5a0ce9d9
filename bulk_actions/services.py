"""What people ask of bulk actions. Every function commits what it says before it returns."""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypedDict, Unpack
from uuid import UUID

import structlog
from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.db.models.functions import Now
from django.utils import timezone

from bulk_actions import doorbell, locks, mails, notifications, seals, slots
from bulk_actions.actions import MAILING
from bulk_actions.import_results import n_repeated_in
from bulk_actions.models import (
    DEFAULT_FAILURE_RATIO,
    Batch,
    BulkAction,
    Kind,
    OnChanged,
    Priority,
    Transition,
)
from bulk_actions.progress import sums_of
from bulk_actions.states import ALLOWED, FINAL, Status
from bulk_actions.transitions import move
from crm.auth import Caller
from crm.collisions import sqlstate
from crm.errors import FieldErrors
from crm.models import User

log = structlog.get_logger(__name__)

CANCELLED = "cancelled"
PAUSE_EXPIRED = "pause_expired"


@dataclass(frozen=True)
class Order:
    """A bulk action as asked for: checked, and with everything in it resolved (see `BulkAction` for the columns)."""

    kind: Kind
    params: dict[str, object]
    s_query: dict[str, object] | None
    resolved_query: dict[str, object]
    sort: list[object]
    results_limit: int | None
    send_done_email: bool
    leads_per_minute: int | None
    query: str | None = None
    priority: Priority = Priority.NORMAL
    run_at: datetime | None = None
    max_leads: int | None = None
    canary_leads: int | None = None
    max_failure_ratio: float = DEFAULT_FAILURE_RATIO
    on_changed: OnChanged = OnChanged.APPLY
    retry_of_id: UUID | None = None
    undo_of_id: UUID | None = None
    preview_id: UUID | None = None  # of the sealed preview whose leads these are


class Changes(TypedDict, total=False):
    """What may be changed of a job while it lives."""

    leads_per_minute: int | None
    priority: Priority


def create_bulk_action(*, order: Order, caller: Caller) -> BulkAction:
    """Store the job as `created` and ring for it. Costs the same whatever the number of leads.

    Raises FieldErrors("preview_token") when the sealed preview has expired or been used meanwhile.
    """
    columns = dict(vars(order))
    preview_id = columns.pop("preview_id")
    with transaction.atomic():
        action = BulkAction.objects.create(
            organization=caller.organization, created_by=caller.user, updated_by=caller.user, **columns
        )
        if preview_id is not None:
            seals.use(preview_id, action)
        Transition.objects.create(action=action, new_status=Status.CREATED, by=caller.user)
        doorbell.ring_on_commit(action.pk)
    action.refresh_from_db()
    return action


def adjust(*, action: BulkAction, by: User, **changes: Unpack[Changes]) -> BulkAction:
    """Change the settings of a live job. Workers read them at every step, so they count within a second.

    Raises FieldErrors for each of them when the job has ended.
    """
    if not BulkAction.objects.filter(pk=action.pk).exclude(status__in=FINAL).update(**changes, updated_by=by):
        action.refresh_from_db()
        raise FieldErrors(dict.fromkeys(changes, f"Cannot change: the status is {action.status}."))
    log.info("bulk_action.adjusted", job_id=str(action.pk), by=str(by.pk), **changes)
    slots.ring_startable(action.organization_id)  # its queue may have another order now
    action.refresh_from_db()
    return action


def pause(*, action: BulkAction, by: User, reason: str = "", **changes: Unpack[Changes]) -> BulkAction:
    """Stop the job. When this returns, no lead changes any more until it is resumed, and no mail of it leaves. The
    settings change with it.

    Asked again of a paused job it keeps the same promise: the first call may have died before it could answer.
    Raises FieldErrors("status") for a job that cannot be paused.
    """
    action.refresh_from_db()
    if action.status != Status.PAUSED:
        _move_or_refuse(action, to=Status.PAUSED, verb="pause", by=by, reason=reason, date_paused=Now(), **changes)
    elif changes:
        adjust(action=action, by=by, **changes)
    _stand_still(action)
    slots.ring_startable(action.organization_id)
    action.refresh_from_db()
    return action


def resume(*, action: BulkAction, by: User, reason: str = "", **changes: Unpack[Changes]) -> BulkAction:
    """Let a paused job go on, as soon as its organization has a free slot. The settings change with it.

    Raises FieldErrors("status") when it is not paused, or was paused more than `BULK_RESUME_DAYS` ago.
    """
    action.refresh_from_db()
    if action.status == Status.PAUSED and _pause_expired(action):
        raise FieldErrors({"status": f"Cannot resume: paused more than {settings.BULK_RESUME_DAYS} days ago."})
    _move_or_refuse(action, to=Status.RESUMING, verb="resume", by=by, reason=reason, date_paused=None, **changes)
    slots.ring_startable(action.organization_id)
    action.refresh_from_db()
    return action


def cancel(*, action: BulkAction, by: User, reason: str = "") -> BulkAction:
    """End the job for good, with what is done done. Needs no worker; when this returns, no lead changes any more, and
    no mail of the job leaves.

    The job ends as `error` with the code `cancelled`. Raises FieldErrors("status") for a finished job.
    """
    message = f"Cancelled by {by.full_name or by.email}."
    _move_or_refuse(
        action, to=Status.ERROR, verb="cancel", by=by, reason=reason or message, error_code=CANCELLED,
        error_message=message, date_finished=Now(),
    )  # fmt: skip
    _stand_still(action)
    _settle(action.pk)
    slots.ring_startable(action.organization_id)
    action.refresh_from_db()
    return action


def finish(action_id: UUID) -> bool:
    """Move a job whose every lead has its outcome to `done`; False while a batch is pending, or when it is done.

    A job that sends mail goes on until none of it is left to be sent.
    """
    with transaction.atomic():
        if Batch.objects.filter(action=action_id, date_done__isnull=True).exists() or mails.is_sending(action_id):
            return False
        if not move(action_id, expected={Status.PROCESSING}, to=Status.DONE, date_finished=Now()):
            return False
        action = _settle(action_id)
    log.info("bulk_action.done", job_id=str(action_id), n_leads=action.n_leads)
    slots.ring_startable(action.organization_id)
    return True


def end_with_error(action_id: UUID, code: str, message: str) -> None:
    """End a job that can never be finished, or whose pause has expired; its person gets a mail that says why."""
    expected = {Status.LOADING, Status.PROCESSING} if code != PAUSE_EXPIRED else {Status.PAUSED}
    with transaction.atomic():
        changes = {"error_code": code, "error_message": message, "date_finished": Now()}
        if not move(action_id, expected=expected, to=Status.ERROR, reason=message, **changes):
            return
    _stand_still(BulkAction.objects.get(pk=action_id))
    action = _settle(action_id)
    log.warning("bulk_action.error", job_id=str(action_id), code=code)
    slots.ring_startable(action.organization_id)


def settle_interrupted(action_id: UUID) -> None:
    """Complete an ending whose process died between the move to `error` and the counts. Harmless on any other job."""
    _stand_still(BulkAction.objects.get(pk=action_id))
    _settle(action_id)


def _move_or_refuse(action: BulkAction, *, to: Status, verb: str, by: User, reason: str, **columns: object) -> None:
    """Move from whatever status the job has now; a worker may move it in between, so look again until it fits."""
    while True:
        action.refresh_from_db()
        status = Status(action.status)
        if to not in ALLOWED[status]:
            raise FieldErrors({"status": f"Cannot {verb}: the status is {status.value}."})
        with transaction.atomic(durable=True):
            if move(action.pk, expected={status}, to=to, by=by, reason=reason, **columns):
                return


def _stand_still(action: BulkAction) -> None:
    """Wait until nothing of the job is in hand, and put the mail that it has in the outbox aside.

    The new status must be committed before.
    """
    _wait_for_batches(action.pk)
    if action.kind in MAILING:
        mails.stand_still(action.pk)
        mails.hold_back(action.pk)


def _wait_for_batches(action_id: UUID) -> None:
    """Wait until no batch of the job is in hand, having stopped its loader.

    Work holds the gate shared and re-reads the status inside it; whoever comes after us sees that it must not begin.
    A session that does not leave within `BULK_PAUSE_GRACE_SECONDS` is ended, so the promise has no exception.
    """
    for pid in locks.holders(action_id, locks.Purpose.LOADER):
        _signal("pg_cancel_backend", pid)
    grace_ms = int(settings.BULK_PAUSE_GRACE_SECONDS * 1000)
    deadline = time.monotonic() + 10 * settings.BULK_PAUSE_GRACE_SECONDS
    while True:
        try:
            with transaction.atomic():
                with connection.cursor() as cursor:
                    cursor.execute(f"SET LOCAL lock_timeout = {grace_ms}")
                locks.close_gate(action_id)
            return
        except OperationalError as problem:
            if sqlstate(problem) != "55P03" or time.monotonic() > deadline:
                raise
        for pid in locks.holders(action_id, locks.Purpose.GATE):
            log.warning("bulk_action.session_ended", job_id=str(action_id), pid=pid)
            _signal("pg_terminate_backend", pid)
        grace_ms = 500


def _signal(function: str, pid: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}(%s)", [pid])


def _settle(action_id: UUID) -> BulkAction:
    """Write the final counts on an ended job, and reserve its mail, once, in one transaction.

    Not while mail of the job is in the hands of delivery, which will put it back or say what became of it.
    """
    with transaction.atomic():
        action = (
            BulkAction.objects.select_for_update(no_key=True, of=("self",))
            .select_related("organization", "created_by")
            .get(pk=action_id)
        )
        if action.n_succeeded is None and action.status in FINAL and not mails.is_sending(action_id):
            sums = sums_of(action)
            if action.is_of_file:
                sums["n_repeated"] = n_repeated_in(action)
            for name, value in sums.items():
                setattr(action, name, value)
            action.save(update_fields=list(sums))
            notifications.reserve_mail(action)
    return action


def _pause_expired(action: BulkAction) -> bool:
    age = timezone.now() - action.date_paused if action.date_paused else timedelta()
    return age > timedelta(days=settings.BULK_RESUME_DAYS)
