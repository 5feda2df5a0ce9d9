"""What workers do with a job: a slice of its work, safe to run any number of times, from anywhere, at once."""

import contextlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from uuid import UUID

import structlog
from django.conf import settings
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
    connection,
    transaction,
)
from django.db.models import F
from django.db.models.functions import Greatest, Now

from bulk_actions import breaker, canary, doorbell, exports, ledger, locks, mails, matches, slots, turns
from bulk_actions.actions import APPLYING, EXPORTING, MAILING, change_of
from bulk_actions.errors import JobImpossible
from bulk_actions.loading import load
from bulk_actions.models import Batch, BulkAction, OnChanged
from bulk_actions.pace import Pace, allowance
from bulk_actions.problems import is_cut_off
from bulk_actions.services import end_with_error, finish
from bulk_actions.states import ACTIVE, FINAL, IDLE, Status
from crm.collisions import may_be_tried_again
from crm.counters import count
from crm.garbage import uncollected

log = structlog.get_logger(__name__)

ROLLED_BACK = "batches_rolled_back"  # the counter
_ROW_PROBLEMS = (DataError, IntegrityError, InternalError, ProgrammingError)
# A template may take half a second for one mail, and WORKER_TRANSACTION_SECONDS end the transaction.
_FIRST_LEADS_MAILED = 25
# No index knows custom values: a merge that matches by them reads all records of the organization once (300,000 in
# 0.2 s), however few rows it merges. By the usual aim it would merge fewer and fewer.
_SCAN_AND_MERGE_SECONDS = 5.0
_ISOLATION_SECONDS = 1.0  # that a transaction may spend on finding leads that the database refuses
# A batch that has killed its worker is cut into so many. Two rounds find one lead of 1,000 by 64 tries and one more
# death; single leads at once would be 1,000 tries of two transactions each.
_SUSPECT_PIECES = 32

Piece = tuple[int, int]  # a claimed batch, and how many leads it has
# Works these batches, in the transaction at hand; says how many of their objects failed, where it knows of such.
Apply = Callable[[list[int]], int | None]


class Slice(Enum):
    """How a slice ended."""

    OVER = "its time was over, there is more to do"
    WAIT = "the ceiling allows nothing for a moment"
    SURPLUS = "others want the workers: the job goes on with fewer of them"
    NOTHING = "nothing for us: others have the rest in hand, or the job does not run"


@dataclass
class _Step:
    """One transaction's worth of work."""

    n_leads: int = 0
    n_failed: int = 0
    end: Slice | None = None
    wait_seconds: float = 0


def run_slice(action_id: UUID, number: int = 0) -> Slice:
    """Work on a job for a while as its worker number `number`, then ring for the next slice.

    Whatever happens to this process, the job's rows say what has been done.
    """
    return _guarded(action_id, number, partial(_run_slice, action_id, number)) or Slice.NOTHING


def write_file(action_id: UUID) -> None:
    """Write the file of an export, all of it, unless somebody else is at it; the same as a slice in all else."""
    _guarded(action_id, doorbell.WRITER, partial(exports.write, action_id))


def _guarded(action_id: UUID, number: int, work: Callable[[], Slice | None]) -> Slice | None:
    """What a worker does at that bell of the job: whatever goes wrong with it stays with the job."""
    doorbell.answered(action_id, number)
    try:
        return work()
    except JobImpossible as problem:
        end_with_error(action_id, problem.code, problem.message)
    except Exception as problem:
        if is_cut_off(problem):
            log.warning("bulk_action.slice_cut_off", job_id=str(action_id), problem=str(problem).strip())
            connection.close()
            _count_rolled_back()
        else:
            # A bug of ours would come back at every doorbell: the job ends here, and its person hears of it.
            log.exception("bulk_action.internal_error", job_id=str(action_id))
            end_with_error(action_id, "internal_error", "An error of ours stopped this job. It has been logged.")
    return None


def _run_slice(action_id: UUID, number: int) -> Slice:
    action = BulkAction.objects.filter(pk=action_id).first()
    if action is None or action.status in FINAL | IDLE:
        return Slice.NOTHING
    if action.status not in ACTIVE and not slots.start_if_free(action):
        return Slice.NOTHING
    load(action_id)
    if action.kind in EXPORTING:
        doorbell.ring(action_id, [doorbell.WRITER])
        return Slice.NOTHING
    if action.kind in MAILING:
        mails.let_go(action)
    if action.on_changed == OnChanged.SKIP:
        matches.condition_of(action_id)  # compiled before a transaction would lie idle over it
    last = _work(action_id, number, _pace_of(action))
    if last.end in (Slice.NOTHING, Slice.SURPLUS):
        finish(action_id)
    else:
        doorbell.ring(action_id, range(number, number + 1), after_seconds=last.wait_seconds)
    return last.end or Slice.NOTHING


def _pace_of(action: BulkAction) -> Pace:
    if action.kind in MAILING:
        return Pace(_FIRST_LEADS_MAILED)
    if action.is_of_file and action.params["match_field_id"]:
        return Pace(seconds=_SCAN_AND_MERGE_SECONDS, fewest=settings.BULK_STORED_BATCH)
    return Pace(seconds=settings.IMPORT_BATCH_TARGET_SECONDS if action.is_of_file else None)


def _ring_others(action_id: UUID, numbers: range) -> None:
    """Ring for more workers, as far as there is a pending batch for each."""
    pending = Batch.objects.filter(action=action_id, date_done__isnull=True)[: numbers.stop]
    n_pending = len(pending.values_list("pk"))
    doorbell.ring(action_id, [number for number in numbers if number < n_pending])


def _work(action_id: UUID, number: int, pace: Pace) -> _Step:
    """Steps until the slice is over; the last one says how it ended. A slice that is cut off stays noted as begun,
    whatever it or others have done meanwhile."""
    started = _note_start(action_id)
    turn_began, n_rung = time.monotonic(), 0
    # Workers have died over this job: from here on, one batch at a time, each noted before it is tried, so that the
    # guilty one is known by the next death.
    careful = started > 3 + settings.BULK_WORKERS
    while True:
        turn = turns.turn_of(action_id)
        # Only number 0 rings for more. Did all, workers with nothing to do would ring for each other without end.
        if number == 0 and turn.workers > n_rung:
            _ring_others(action_id, range(max(1, n_rung), turn.workers))
        n_rung = turn.workers
        began = time.monotonic()
        if number >= turn.workers:
            step = _Step(end=Slice.SURPLUS)
            break
        if began - turn_began >= turn.seconds:
            step = _Step(end=Slice.OVER)
            break
        step = _tried(action_id, number, pace, careful=careful)
        if step.end:
            break
        pace.learn(step.n_leads, time.monotonic() - began)
        if step.n_failed and breaker.pause_if_plainly_wrong(action_id):
            step = _Step(end=Slice.NOTHING)
            break
    suspected = Batch.objects.filter(action=action_id, isolated=True, date_done__isnull=True)
    _note_end(action_id, forgetting_deaths=careful and not suspected.exists())
    return step


def _tried(action_id: UUID, number: int, pace: Pace, *, careful: bool) -> _Step:
    """One step, whichever is to be made; a step of nothing when others were in its way."""
    try:
        with uncollected():
            if careful:
                return _isolated_step(action_id, number)
            step = _step(action_id, number, pace)
            return _isolated_step(action_id, number, suspects_only=True) if step.end is Slice.NOTHING else step
    except OperationalError as problem:
        if not may_be_tried_again(problem):
            raise
        log.info("bulk_action.batch_rolled_back", job_id=str(action_id), problem=str(problem).strip())
        _count_rolled_back()
        return _Step()


def _count_rolled_back() -> None:
    with contextlib.suppress(DatabaseError, InterfaceError):  # a count is not worth a slice
        count(ROLLED_BACK)


def _note_start(action_id: UUID) -> int:
    BulkAction.objects.filter(pk=action_id).update(unfinished_starts=F("unfinished_starts") + 1)
    return BulkAction.objects.values_list("unfinished_starts", flat=True).get(pk=action_id)


def _note_end(action_id: UUID, *, forgetting_deaths: bool) -> None:
    left = 0 if forgetting_deaths else Greatest(F("unfinished_starts") - 1, 0)
    BulkAction.objects.filter(pk=action_id).update(unfinished_starts=left)


def _enter(action_id: UUID, number: int) -> BulkAction | None:
    """Inside a new transaction: pass the gate, take our slot, and see whether the job still runs."""
    locks.share_gate(action_id)
    if not locks.take_slot(action_id, number):
        return None
    return BulkAction.objects.filter(pk=action_id, status=Status.PROCESSING).first()


def _step(action_id: UUID, number: int, pace: Pace) -> _Step:
    """Claim some batches, change their leads and write the outcome, in one transaction."""
    with transaction.atomic():
        action = _enter(action_id, number)
        if action is None:
            return _Step(end=Slice.NOTHING)
        allowed, stop = _allowed(action)
        if stop:
            return stop
        claims = ledger.claim(action_id, pace.batches if allowed is None else 1)
        if not claims:
            return _Step(end=Slice.NOTHING)
        pieces = [(claim.batch_id, claim.n_leads) for claim in claims]
        if len(pieces) == 1:
            pieces = [_shortened(*pieces[0], pace.leads if allowed is None else allowed)]
        return _applied(action, pieces)


def _allowed(action: BulkAction) -> tuple[int | None, _Step | None]:
    """How many leads a step may change now (None: any number), or how it ends at once."""
    left = canary.leads_left(action)
    if left == 0:
        canary.pause_behind(action)
        return 0, _Step(end=Slice.NOTHING)
    allowed, wait_seconds = allowance(action)
    if allowed == 0:
        return 0, _Step(end=Slice.WAIT, wait_seconds=wait_seconds)
    return min((most for most in (left, allowed) if most is not None), default=None), None


def _shortened(batch_id: int, n_leads: int, most: int) -> Piece:
    """The batch, cut down to `most` leads where it has more; the rest is a pending batch of its own."""
    if n_leads <= most:
        return batch_id, n_leads
    ledger.split(batch_id, most)
    return batch_id, most


def _applied(action: BulkAction, pieces: list[Piece]) -> _Step:
    deadline = time.monotonic() + _ISOLATION_SECONDS
    return apply_or_isolate(action, apply_of(action), pieces, deadline)


def apply_of(action: BulkAction) -> Apply:
    """How the batches of this job are worked. Raises JobImpossible."""
    if action.kind in APPLYING:
        return partial(APPLYING[action.kind].apply, action)
    change = change_of(action)
    if action.on_changed == OnChanged.SKIP:
        change = matches.skipping(action, change)
    return partial(ledger.apply, action, change)


def apply_or_isolate(action: BulkAction, apply: Apply, pieces: list[Piece], deadline: float) -> _Step:
    """Work these batches; when the database refuses, halve until only the guilty leads are left, and let those fail.

    After `deadline` (monotonic seconds) what is left stays pending, in smaller batches: the gate is not held for long.
    """
    try:
        with transaction.atomic():
            n_failed = apply([batch_id for batch_id, _ in pieces])
        return _Step(sum(n_leads for _, n_leads in pieces), n_failed=n_failed or 0)
    except _ROW_PROBLEMS as problem:
        if is_cut_off(problem):
            raise
        if pieces[1:]:
            halves = [pieces[: len(pieces) // 2], pieces[len(pieces) // 2 :]]
        else:
            [(batch_id, n_leads)] = pieces
            if n_leads == 1:
                reason = _first_line(problem)
                log.warning("bulk_action.lead_failed", job_id=str(action.pk), batch=batch_id, problem=reason)
                ledger.record_failure(batch_id, "refused_by_database", reason)
                return _Step(1, n_failed=1)
            half = n_leads // 2
            halves = [[(batch_id, half)], [(ledger.split(batch_id, half), n_leads - half)]]
    total = _Step()
    for part in halves:
        if time.monotonic() < deadline:
            step = apply_or_isolate(action, apply, part, deadline)
            total.n_leads, total.n_failed = total.n_leads + step.n_leads, total.n_failed + step.n_failed
    return total


def _isolated_step(action_id: UUID, number: int, *, suspects_only: bool = False) -> _Step:
    """Work one batch alone, after committing that we are about to; one that was tried before has killed its worker."""
    with transaction.atomic():
        action = _enter(action_id, number)
        if action is None:
            return _Step(end=Slice.NOTHING)
        allowed, stop = _allowed(action)
        if stop:
            return stop
        claims = ledger.claim(action_id, 1, isolated=True)
        if not claims and not suspects_only:
            claims = ledger.claim(action_id, 1)
        if not claims:
            return _Step(end=Slice.NOTHING)
        [claim] = claims
        if claim.tried_seconds_ago is not None:
            return _judge(action_id, claim, claim.tried_seconds_ago)
        piece = _shortened(claim.batch_id, claim.n_leads, claim.n_leads if allowed is None else allowed)
        batch = Batch.objects.filter(pk=claim.batch_id)
        batch.update(isolated=True, tried_at=Now())
        tried_at = batch.values_list("tried_at", flat=True).get()
    # The mark is ours only while it is unchanged: a frozen worker may come back after others have judged its batch.
    mine = Batch.objects.filter(pk=claim.batch_id, tried_at=tried_at, date_done__isnull=True)
    try:
        with transaction.atomic():
            action = _enter(action_id, number)
            if not mine.select_for_update().exists():
                return _Step(end=Slice.NOTHING)
            mine.update(tried_at=None)
            if action is None:
                return _Step(end=Slice.NOTHING)
            left = canary.leads_left(action)  # others may have worked on it since we looked
            if left == 0:
                return _Step()
            return _applied(action, [piece if left is None else _shortened(*piece, left)])
    except Exception as problem:
        # We live: whatever this was, the batch has not killed its worker, and must not be judged for it.
        if is_cut_off(problem) and not may_be_tried_again(problem):
            connection.close()
        mine.update(tried_at=None)
        raise


def _judge(action_id: UUID, claim: ledger.Claim, age: float) -> _Step:
    if age < settings.BULK_CRASH_GRACE_SECONDS:  # its worker may be between its two transactions
        return _Step(end=Slice.WAIT, wait_seconds=settings.BULK_CRASH_GRACE_SECONDS - age)
    if claim.n_leads > 1:
        ledger.cut(claim.batch_id, math.ceil(claim.n_leads / _SUSPECT_PIECES))
    else:
        log.error("bulk_action.crashed_worker", job_id=str(action_id), batch=claim.batch_id)
        ledger.record_failure(claim.batch_id, "crashed_worker", "Changing this lead ended the worker process, twice.")
    return _Step(claim.n_leads)


def _first_line(problem: Exception) -> str:
    diagnosis = getattr(problem.__cause__, "diag", None)
    return (diagnosis.message_primary if diagnosis else None) or str(problem).splitlines()[0]
