"""What becomes of a batch of due subscriptions: all that is needed is fetched and written in a few statements."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from crm.models import (
    Contact,
    MailState,
    OutboxMail,
    Purpose,
    SequenceStep,
    SequenceSubscription,
    StepType,
    SubscriptionStatus,
    Task,
)
from crm.models import Sequence as MailSequence
from crm.sequences import mails, to_do
from crm.sequences.schedule import next_open
from crm.sequences.states import Reason

UNSENT_RETRY = timedelta(minutes=10)  # a mail is not written while the one before it has not left
BUSY_RETRY = timedelta(seconds=1)  # its sequence is just being changed


@dataclass(frozen=True)
class Move:
    """The subscription's columns after this tick; `moves` of a batch start from what it has."""

    subscription: SequenceSubscription
    status: SubscriptionStatus
    reason: Reason | None
    next_step_id: UUID | None
    next_at: datetime | None
    task_id: UUID | None
    steps_done: int
    thread_subject: str
    message_ids: list[str]

    @classmethod
    def none(cls, one: SequenceSubscription) -> "Move":
        return cls(
            one,
            SubscriptionStatus.ACTIVE,
            None,
            one.next_step_id,
            one.next_at,
            one.waiting_task_id,
            one.steps_done,
            one.thread_subject,
            one.thread_message_ids,
        )


class Batch:
    """Subscriptions that are due at `now`, locked in the caller's transaction."""

    def __init__(self, due: Sequence[SequenceSubscription], now: datetime) -> None:
        self.due = due
        self.now = now
        # Held so that no step is removed before we have moved past it. Not waited for: who changes a sequence holds it
        # and waits for our subscriptions.
        wanted = MailSequence.objects.filter(pk__in={one.sequence_id for one in due}).order_by("pk")
        held = _share(wanted)
        self.sequences = {one.pk: one for one in held}
        self.steps: dict[UUID, list[SequenceStep]] = defaultdict(list)
        rows = SequenceStep.objects.filter(sequence__in=self.sequences).select_related("email_template", "sms_template")
        for step in rows.order_by("sequence_id", "position"):
            self.steps[step.sequence_id].append(step)
        self._open: dict[tuple[UUID, datetime], datetime] = {}

    def moves(self) -> list[Move]:
        """Do the steps, and say what becomes of each subscription."""
        decided: dict[UUID, Move] = {}
        ready: list[tuple[SequenceSubscription, SequenceStep]] = []
        visible = self._visible()
        tasks = Task.objects.in_bulk([one.waiting_task_id for one in self.due if one.waiting_task_id])
        for one in self.due:
            step = self._step_of(one)
            if move := self._early(one, step, visible):
                decided[one.pk] = move
            elif step is not None and one.waiting_task_id:
                decided[one.pk] = self._after_waiting(one, step, tasks.get(one.waiting_task_id))
            elif step is not None:
                ready.append((one, step))
        by_mail = [(one, step) for one, step in ready if step.step_type == StepType.EMAIL]
        by_hand = [(one, step) for one, step in ready if step.step_type != StepType.EMAIL]
        decided |= self._write_mails(by_mail)
        for (one, step), made in zip(by_hand, to_do.make_tasks(by_hand, self.sequences, self.now), strict=True):
            decided[one.pk] = self._after_task(one, step, made)
        return [decided[one.pk] for one in self.due]

    # --- before a step ------------------------------------------------------------------------------------------------
    def _early(self, one: SequenceSubscription, step: SequenceStep | None, visible: set[UUID]) -> Move | None:
        """What keeps the step from being done now, if anything does."""
        sequence = self.sequences.get(one.sequence_id)
        if sequence is None:
            return replace(Move.none(one), next_at=self.now + BUSY_RETRY)
        if sequence.deleted_at:
            return _stopped(one, SubscriptionStatus.PAUSED, Reason.SEQUENCE_DELETED)
        if sequence.status != MailSequence.Status.ACTIVE:
            return _stopped(one, SubscriptionStatus.PAUSED, Reason.WORKFLOW_PAUSED)
        if one.contact_id not in visible:
            return _stopped(one, SubscriptionStatus.PAUSED, Reason.LEAD_NOT_VISIBLE)
        if step is None:
            return self._passed(one, None)
        opens = self._opening(sequence, self.now)
        if opens > self.now and not one.waiting_task_id:
            return replace(Move.none(one), next_at=opens)
        return None

    def _visible(self) -> set[UUID]:
        """The contacts that are there, on a lead that is."""
        rows = Contact.objects.filter(pk__in=[one.contact_id for one in self.due], lead__deleted_at__isnull=True)
        return set(rows.filter(lead__isnull=False).values_list("pk", flat=True))

    def _step_of(self, one: SequenceSubscription) -> SequenceStep | None:
        steps = self.steps.get(one.sequence_id, [])
        return next((step for step in steps if step.pk == one.next_step_id), None)

    # --- mails --------------------------------------------------------------------------------------------------------
    def _write_mails(self, pairs: Sequence[tuple[SequenceSubscription, SequenceStep]]) -> dict[UUID, Move]:
        decided: dict[UUID, Move] = {}
        before = _last_mails([one.pk for one, _ in pairs if one.steps_done])
        ready = []
        for one, step in pairs:
            last = before.get(one.pk)
            if last and last.state in (MailState.RESERVED, MailState.SENDING):
                decided[one.pk] = replace(Move.none(one), next_at=self.now + UNSENT_RETRY)
            elif last and last.state == MailState.ERROR:
                decided[one.pk] = _stopped(one, SubscriptionStatus.ERROR, Reason.ACCOUNT_FAILURES)
            elif last and last.state == MailState.WITHHELD and last.error_code == "account_gone":
                decided[one.pk] = _stopped(one, SubscriptionStatus.PAUSED, Reason.ACCOUNT_INVALID)
            else:
                ready.append((one, step))
        for (one, step), written in zip(ready, mails.write_mails(ready, self.now), strict=True):
            decided[one.pk] = self._after_mail(one, step, written)
        return decided

    def _after_mail(self, one: SequenceSubscription, step: SequenceStep, written: mails.Written) -> Move:
        if written.stop is None:
            return replace(
                self._passed(one, step), thread_subject=written.thread_subject, message_ids=written.message_ids
            )
        if step.required or not written.may_be_passed_over:
            return _stopped(one, *written.stop)
        return self._passed(one, step)

    # --- tasks --------------------------------------------------------------------------------------------------------
    def _after_task(self, one: SequenceSubscription, step: SequenceStep, task: Task | None) -> Move:
        if task is None:
            return _stopped(one, SubscriptionStatus.PAUSED, Reason.ASSIGNEES_MISSING)
        if not step.required and step.step_allowed_delay is None:
            return self._passed(one, step)
        return replace(Move.none(one), task_id=task.pk, next_at=_deadline(task, step))

    def _after_waiting(self, one: SequenceSubscription, step: SequenceStep, task: Task | None) -> Move:
        if task is None or task.is_complete:  # a task that was deleted is nobody's to do any more
            return self._passed(one, step)
        until = _deadline(task, step)
        if until is None or until > self.now:
            return replace(Move.none(one), next_at=until)
        if not step.required:
            return self._passed(one, step)
        is_call = step.step_type == StepType.CALL
        reason = Reason.PENDING_CALL_TIMED_OUT if is_call else Reason.SMS_FAILED
        return _stopped(one, SubscriptionStatus.PAUSED, reason)

    # --- after a step -------------------------------------------------------------------------------------------------
    def _passed(self, one: SequenceSubscription, step: SequenceStep | None) -> Move:
        """The step is behind it: the next one comes after its delay, in a window of the sequence, or it is finished."""
        later = [other for other in self.steps[one.sequence_id] if step and other.position > step.position]
        done = replace(Move.none(one), task_id=None, steps_done=one.steps_done + (step is not None))
        if not later:
            return replace(done, status=SubscriptionStatus.FINISHED, next_step_id=None, next_at=None)
        due = self.now + timedelta(seconds=later[0].delay)
        return replace(done, next_step_id=later[0].pk, next_at=self._opening(self.sequences[one.sequence_id], due))

    def _opening(self, sequence: MailSequence, moment: datetime) -> datetime:
        key = (sequence.pk, moment)
        if key not in self._open:
            self._open[key] = next_open(sequence.schedule, sequence.timezone, moment)
        return self._open[key]


def _stopped(one: SequenceSubscription, status: SubscriptionStatus, reason: Reason) -> Move:
    return replace(Move.none(one), status=status, reason=reason)


def _deadline(task: Task, step: SequenceStep) -> datetime | None:
    """Until when it is waited for this task; None: for ever."""
    if step.step_allowed_delay is None:
        return None
    return task.date_created + timedelta(seconds=step.step_allowed_delay)


def _last_mails(subscription_ids: Sequence[UUID]) -> dict[UUID, OutboxMail]:
    """The newest mail of each subscription."""
    rows = OutboxMail.objects.filter(source_id__in=subscription_ids, purpose=Purpose.SEQUENCE)
    newest = rows.order_by("source_id", "-id").distinct("source_id")
    return {one.source_id: one for one in newest.only("source_id", "state", "error_code")}


def _share(rows: object) -> list[MailSequence]:
    """`rows`, locked FOR SHARE, which Django cannot say; those that somebody is changing are left out."""
    query, parameters = rows.query.sql_with_params()
    return list(MailSequence.objects.raw(f"{query} FOR SHARE SKIP LOCKED", parameters))
