"""Small jobs that are carried out within the request that asks for them (blueai-api.md 6): no worker, no waiting.

Such a job runs the code of its kind and leaves what any other leaves: its row, its moves, its ledger. So it is seen,
and undone, like any other.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import connection, transaction
from django.db.models.functions import Now

from bulk_actions.models import Batch, BulkAction, Kind, LeadOutcome, Transition
from bulk_actions.runner import apply_of, apply_or_isolate
from bulk_actions.services import finish
from bulk_actions.states import Status
from bulk_actions.transitions import move
from crm.auth import Caller

_SECONDS = 10.0  # then the request fails, and nothing of the job is done


@dataclass(frozen=True)
class Done:
    """What a job came to: its row, the targets that it changed, and what is wrong with those that it could not."""

    action: BulkAction
    changed: frozenset[UUID]
    problems: dict[UUID, str]


class _DryRun(Exception):
    def __init__(self, done: Done) -> None:
        super().__init__()
        self.done = done


def run_at_once(
    *, kind: Kind, params: dict[str, object], targets: Sequence[UUID], caller: Caller, dry_run: bool = False
) -> Done:
    """Carry a job out over exactly these targets, each once. When it returns, it is done (or nothing is, if it was a
    dry run), in the transaction at hand or in one of its own. Raises `JobImpossible`.

    Whether the caller may, is asked before.
    """
    try:
        with transaction.atomic():
            done = _run(kind, params, list(dict.fromkeys(targets)), caller)
            if dry_run:
                raise _DryRun(done)
            return done
    except _DryRun as tried:
        return tried.done


def begin(kind: Kind, params: dict[str, object], caller: Caller) -> BulkAction:
    """The row of a job that is carried out in the transaction at hand; it is `created`."""
    action = BulkAction.objects.create(
        organization=caller.organization,
        kind=kind,
        created_by=caller.user,
        updated_by=caller.user,
        params=params,
        resolved_query={},
        send_done_email=False,
    )
    Transition.objects.create(action=action, new_status=Status.CREATED, by=caller.user)
    return action


def go_on(action: BulkAction, n: int) -> None:
    """The job has that many targets, and is `processing`."""
    by = action.created_by
    move(action.pk, expected={Status.CREATED}, to=Status.LOADING, by=by)
    move(
        action.pk, expected={Status.LOADING}, to=Status.PROCESSING, by=by, n_leads=n, n_objects=n, date_started=Now()
    )  # fmt: skip
    action.refresh_from_db()


def _run(kind: Kind, params: dict[str, object], targets: list[UUID], caller: Caller) -> Done:
    action = begin(kind, params, caller)
    if targets:
        Batch.objects.create(action=action, lead_ids=targets, rank=1, n_leads=len(targets))
    go_on(action, len(targets))
    _work(action)
    finish(action.pk)
    action.refresh_from_db()
    changed = {key for batch in Batch.objects.filter(action=action.pk) for key in batch.changed_ids or ()}
    outcomes = LeadOutcome.objects.filter(action=action.pk)
    return Done(action, frozenset(changed), dict(outcomes.values_list("lead_id", "message")))


def _work(action: BulkAction) -> None:
    """Every batch of the job: one, unless the database refuses some of its targets."""
    pending = Batch.objects.filter(action=action.pk, date_done__isnull=True)
    deadline = time.monotonic() + _SECONDS
    while pieces := list(pending.order_by("rank").values_list("pk", "n_leads")):
        apply_or_isolate(action, apply_of(action), pieces, deadline)
        if time.monotonic() > deadline:
            raise TimeoutError("A job within a request took too long.")
    with connection.cursor() as cursor:  # the ledger turns them off until the transaction ends; the request goes on
        cursor.execute("SET LOCAL enable_bitmapscan TO DEFAULT; SET LOCAL enable_seqscan TO DEFAULT")
