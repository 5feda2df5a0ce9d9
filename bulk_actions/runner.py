"""What workers do with a job: a slice of its work, safe to run any number of times, from anywhere, at once."""

import time
from dataclasses import dataclass
from enum import Enum
from uuid import UUID

import structlog
from django.conf import settings
from django.db import (
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

from bulk_actions import doorbell, ledger, locks, slots
from bulk_actions.actions import ACTIONS, Change
from bulk_actions.errors import JobImpossible
from bulk_actions.loading import load
from bulk_actions.models import Batch, BulkAction
from bulk_actions.pace import Pace, allowance
from bulk_actions.services import end_with_error, finish
from bulk_actions.states import ACTIVE, FINAL, IDLE, Status

log = structlog.get_logger(__name__)

_ROW_PROBLEMS = (DataError, IntegrityError, InternalError, ProgrammingError)
_TRY_AGAIN = {"40001", "40P01", "55P03"}  # serialization failure, deadlock, lock timeout


class Slice(Enum):
    """How a slice ended."""

    OVER = "its time was over, there is more to do"
    WAIT = "the ceiling allows nothing for a moment"
    NOTHING = "nothing for us: others have the rest in hand, or the job does not run"


@dataclass
class _Step:
    """One transaction's worth of work."""

    n_leads: int = 0
    end: Slice | None = None
    wait_seconds: float = 0


def run_slice(action_id: UUID, number: int = 0) -> Slice:
    """Work on a job for a while as its worker number `number`, then ring for the next slice.

    Whatever happens to this process, the job's rows say what has been done.
    """
    doorbell.answered(action_id, number)
    try:
        return _run_slice(action_id, number)
    except (OperationalError, InterfaceError) as problem:
        # The server has ended our session (a pause that we did not answer, a restart): what we had in hand rolled back.
        log.warning("bulk_action.slice_cut_off", job_id=str(action_id), problem=str(problem).strip())
        connection.close()
    except JobImpossible as problem:
        end_with_error(action_id, problem.code, problem.message)
    except Exception:
        # A bug of ours would come back at every doorbell: the job ends here, and its person hears of it.
        log.exception("bulk_action.internal_error", job_id=str(action_id))
        end_with_error(action_id, "internal_error", "An error of ours stopped this job. It has been logged.")
    return Slice.NOTHING


def _run_slice(action_id: UUID, number: int) -> Slice:
    action = BulkAction.objects.filter(pk=action_id).first()
    if action is None or action.status in FINAL | IDLE:
        return Slice.NOTHING
    if action.status not in ACTIVE and not slots.start_if_free(action):
        return Slice.NOTHING
    load(action_id)
    doorbell.ring(action_id, _numbers(action_id, but=number))
    end, wait_seconds = _work(action_id, number)
    if end is Slice.NOTHING:
        finish(action_id)
    else:
        doorbell.ring(action_id, range(number, number + 1), after_seconds=wait_seconds)
    return end


def _numbers(action_id: UUID, but: int) -> list[int]:
    """The doorbells of the other workers that the job can keep busy: one per pending batch, at most all workers."""
    pending = Batch.objects.filter(action=action_id, date_done__isnull=True)[: settings.BULK_WORKERS]
    return [number for number in range(len(pending.values_list("pk"))) if number != but]


def _work(action_id: UUID, number: int) -> tuple[Slice, float]:
    started = _note_start(action_id)
    others_wait = BulkAction.objects.filter(status__in=ACTIVE).exclude(pk=action_id).exists()
    seconds = settings.BULK_SLICE_SECONDS_WHEN_OTHERS_WAIT if others_wait else settings.BULK_SLICE_SECONDS
    deadline, pace, first = time.monotonic() + seconds, Pace(), True
    # Workers have died over this job and nothing was done since: from here on, one batch at a time, each noted before
    # it is tried, so that the guilty one is known by the next death.
    careful = started > 3 + settings.BULK_WORKERS
    try:
        while True:
            began = time.monotonic()
            step = _isolated_step(action_id, number) if careful else _step(action_id, number, pace)
            if step.end is Slice.NOTHING and not careful:
                step = _isolated_step(action_id, number, suspects_only=True)
            if step.end:
                return step.end, step.wait_seconds
            pace.learn(step.n_leads, time.monotonic() - began)
            if step.n_leads and first:
                BulkAction.objects.filter(pk=action_id, unfinished_starts__gt=0).update(unfinished_starts=0)
                first = False
            if time.monotonic() >= deadline:
                return Slice.OVER, 0
    finally:
        _note_end(action_id)


def _note_start(action_id: UUID) -> int:
    BulkAction.objects.filter(pk=action_id).update(unfinished_starts=F("unfinished_starts") + 1)
    return BulkAction.objects.values_list("unfinished_starts", flat=True).get(pk=action_id)


def _note_end(action_id: UUID) -> None:
    if connection.is_usable():  # else the server has ended our session, and the start stays noted as unfinished
        BulkAction.objects.filter(pk=action_id).update(unfinished_starts=Greatest(F("unfinished_starts") - 1, 0))


def _enter(action_id: UUID, number: int) -> BulkAction | None:
    """Inside a new transaction: pass the gate, take our slot, and see whether the job still runs."""
    locks.share_gate(action_id)
    if not locks.take_slot(action_id, number):
        return None
    return BulkAction.objects.filter(pk=action_id, status=Status.PROCESSING).first()


def _step(action_id: UUID, number: int, pace: Pace) -> _Step:
    """Claim some batches, change their leads and write the outcome, in one transaction."""
    try:
        with transaction.atomic():
            action = _enter(action_id, number)
            if action is None:
                return _Step(end=Slice.NOTHING)
            allowed, wait_seconds = allowance(action)
            if allowed == 0:
                return _Step(end=Slice.WAIT, wait_seconds=wait_seconds)
            claims = ledger.claim(action_id, pace.batches if allowed is None else 1)
            if not claims:
                return _Step(end=Slice.NOTHING)
            n_leads = sum(claim.n_leads for claim in claims)
            most = pace.leads if allowed is None else allowed
            if len(claims) == 1 and n_leads > most:
                ledger.split(claims[0].batch_id, most)
                n_leads = most
            change = ACTIONS[action.kind].change(action)
            apply_or_isolate(action, change, [claim.batch_id for claim in claims])
            return _Step(n_leads)
    except OperationalError as problem:
        if getattr(problem.__cause__, "sqlstate", None) not in _TRY_AGAIN:
            raise
        log.info("bulk_action.batch_rolled_back", job_id=str(action_id), problem=str(problem).strip())
        return _Step()


def apply_or_isolate(action: BulkAction, change: Change, batches: list[int]) -> None:
    """Apply the change; when the database refuses, halve until only the guilty lead is left, and let that one fail."""
    try:
        with transaction.atomic():
            ledger.apply(action, change, batches)
    except _ROW_PROBLEMS as problem:
        if len(batches) > 1:
            halves = [batches[: len(batches) // 2], batches[len(batches) // 2 :]]
        else:
            n_leads = Batch.objects.values_list("n_leads", flat=True).get(pk=batches[0])
            if n_leads == 1:
                log.warning("bulk_action.lead_failed", job_id=str(action.pk), batch=batches[0], exc_info=True)
                ledger.record_failure(batches[0], "refused_by_database", _first_line(problem))
                return
            halves = [batches, [ledger.split(batches[0], n_leads // 2)]]
        for half in halves:
            apply_or_isolate(action, change, half)


def _isolated_step(action_id: UUID, number: int, *, suspects_only: bool = False) -> _Step:
    """Work one batch alone, after committing that we are about to; one that was tried before has killed its worker."""
    with transaction.atomic():
        if _enter(action_id, number) is None:
            return _Step(end=Slice.NOTHING)
        claims = ledger.claim(action_id, 1, isolated=True)
        if not claims and not suspects_only:
            claims = ledger.claim(action_id, 1)
        if not claims:
            return _Step(end=Slice.NOTHING)
        [claim] = claims
        if claim.tried_seconds_ago is not None:
            return _judge(action_id, claim, claim.tried_seconds_ago)
        batch = Batch.objects.filter(pk=claim.batch_id)
        batch.update(isolated=True, tried_at=Now())
        tried_at = batch.values_list("tried_at", flat=True).get()
    with transaction.atomic():
        action = _enter(action_id, number)
        # The mark is ours only while it is unchanged: a frozen worker may come back after others have judged its batch.
        mine = Batch.objects.select_for_update().filter(pk=claim.batch_id, tried_at=tried_at, date_done__isnull=True)
        if action is None or not mine.exists():
            return _Step(end=Slice.NOTHING)
        Batch.objects.filter(pk=claim.batch_id).update(tried_at=None)
        apply_or_isolate(action, ACTIONS[action.kind].change(action), [claim.batch_id])
    return _Step(claim.n_leads)


def _judge(action_id: UUID, claim: ledger.Claim, age: float) -> _Step:
    if age < settings.BULK_CRASH_GRACE_SECONDS:  # its worker may be between its two transactions
        return _Step(end=Slice.WAIT, wait_seconds=settings.BULK_CRASH_GRACE_SECONDS - age)
    if claim.n_leads > 1:
        ledger.explode(claim.batch_id)
    else:
        log.error("bulk_action.crashed_worker", job_id=str(action_id), batch=claim.batch_id)
        ledger.record_failure(claim.batch_id, "crashed_worker", "Changing this lead ended the worker process, twice.")
    return _Step(claim.n_leads)


def _first_line(problem: Exception) -> str:
    diagnosis = getattr(problem.__cause__, "diag", None)
    return (diagnosis.message_primary if diagnosis else None) or str(problem).splitlines()[0]
