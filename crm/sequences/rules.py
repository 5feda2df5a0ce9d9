"""Making, changing and deleting sequences (close-api.md 4.9)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Count, QuerySet
from django.db.models.functions import Now

from crm.auth import Caller
from crm.errors import FieldErrors, Invalid, NotFound
from crm.lead_parts import check_members
from crm.models import (
    EmailTemplate,
    SequenceStep,
    SequenceSubscription,
    SmsTemplate,
    StepType,
    SubscriptionStatus,
)
from crm.models import Sequence as MailSequence
from crm.sequences import states
from crm.sequences.states import Reason

MAX_STEPS = 100

# A subscription whose next step is removed goes on with the first one that follows it and stays, when that would have
# been due; without one it is finished.
_MOVE_ON = """
WITH moves AS (
    SELECT old.id AS old_id, (
        SELECT kept.id FROM crm_sequencestep AS kept
        WHERE kept.sequence_id = %(sequence)s AND kept.position > old.position AND kept.id = ANY(%(kept)s)
        ORDER BY kept.position LIMIT 1) AS new_id
    FROM crm_sequencestep AS old WHERE old.sequence_id = %(sequence)s AND old.id <> ALL(%(kept)s)
)
UPDATE crm_sequencesubscription AS subscription
SET next_step_id = moves.new_id, waiting_task_id = NULL, date_updated = statement_timestamp(),
    next_at = CASE WHEN moves.new_id IS NOT NULL THEN coalesce(subscription.next_at, statement_timestamp()) END,
    status = CASE WHEN moves.new_id IS NULL AND subscription.status = 'active' THEN 'finished'
                  ELSE subscription.status END
FROM moves WHERE subscription.sequence_id = %(sequence)s AND subscription.next_step_id = moves.old_id
"""


@dataclass(frozen=True)
class StepDraft:
    """A step as a write gives it; `step_id` of one that the sequence has."""

    columns: Mapping[str, object]
    step_id: UUID | None = None


def sequences_of(organization_id: UUID) -> QuerySet[MailSequence]:
    """The organization's sequences, by id, with their steps; without deleted ones."""
    live = MailSequence.objects.filter(organization_id=organization_id, deleted_at__isnull=True)
    return live.prefetch_related("steps").order_by("id")


def counts_by_status(sequence_id: UUID) -> dict[str, int]:
    """How many subscriptions have each status, none included."""
    rows = SequenceSubscription.objects.filter(sequence=sequence_id).values_list("status").annotate(n=Count("pk"))
    return dict.fromkeys(sorted(SubscriptionStatus.values), 0) | dict(rows)


@transaction.atomic
def create_sequence(*, caller: Caller, columns: Mapping[str, object], steps: Sequence[StepDraft]) -> MailSequence:
    """A new sequence; without `owner_id` it is the caller's. Raises `FieldErrors`, `Invalid`."""
    known = {"owner_id": caller.user.pk, **columns}
    check_members(caller.organization.pk, {"owner_id": known["owner_id"]})
    _check_templates(caller.organization.pk, steps)
    if any(step.step_id for step in steps):
        raise FieldErrors({"steps": "A new sequence has no steps yet that could be kept: leave out their ids."})
    made = MailSequence.objects.create(
        organization=caller.organization, created_by=caller.user, updated_by=caller.user, **known
    )
    _write_steps(made, steps)
    return sequences_of(caller.organization.pk).get(pk=made.pk)


@transaction.atomic
def update_sequence(
    *, caller: Caller, sequence_id: UUID | None, columns: Mapping[str, object], steps: Sequence[StepDraft] | None
) -> MailSequence:
    """Change `columns`; `steps` replaces the steps: one with its id is kept, one left out is removed.

    Pausing it pauses its active subscriptions as `workflow-paused`, and making it active again resumes those. Raises
    `NotFound`, `FieldErrors`, `Invalid`.
    """
    sequence = _hold(caller, sequence_id)
    check_members(caller.organization.pk, {"owner_id": columns.get("owner_id")})
    for column, value in columns.items():
        setattr(sequence, column, value)
    sequence.updated_by = caller.user
    sequence.date_updated = Now()
    sequence.save()
    if steps is not None:
        _replace_steps(sequence, steps)
    if "status" in columns:
        _follow_status(sequence, caller.user.pk)
    return sequences_of(caller.organization.pk).get(pk=sequence.pk)


@transaction.atomic
def delete_sequence(*, caller: Caller, sequence_id: UUID | None) -> None:
    """Delete a sequence with its steps; its active subscriptions are paused as `sequence-deleted`. `NotFound`."""
    sequence = _hold(caller, sequence_id)
    _stop_all(sequence, Reason.SEQUENCE_DELETED, caller.user.pk)
    SequenceSubscription.objects.filter(sequence=sequence).update(next_step=None, next_at=None, waiting_task=None)
    sequence.steps.all().delete()
    MailSequence.objects.filter(pk=sequence.pk).update(deleted_at=Now(), date_updated=Now(), updated_by=caller.user)


def _hold(caller: Caller, sequence_id: UUID | None) -> MailSequence:
    # The engine and who subscribes somebody hold it FOR SHARE: none of them sees half a change.
    rows = MailSequence.objects.filter(organization=caller.organization, deleted_at__isnull=True)
    found = rows.select_for_update().filter(pk=sequence_id).first()
    if found is None:
        raise NotFound
    return found


def _follow_status(sequence: MailSequence, by_id: UUID) -> None:
    if sequence.status != MailSequence.Status.ACTIVE:
        _stop_all(sequence, Reason.WORKFLOW_PAUSED, by_id)
    else:
        states.resume(
            "sequence_id = %(sequence)s AND status = 'paused' AND status_reason = %(paused_as)s",
            {"sequence": sequence.pk, "paused_as": str(Reason.WORKFLOW_PAUSED)},
            by_id=by_id,
        )


def _stop_all(sequence: MailSequence, reason: Reason, by_id: UUID) -> None:
    states.stop(
        "sequence_id = %(sequence)s",
        {"sequence": sequence.pk},
        status=SubscriptionStatus.PAUSED,
        reason=reason,
        by_id=by_id,
    )


def _replace_steps(sequence: MailSequence, drafts: Sequence[StepDraft]) -> None:
    kept = [draft.step_id for draft in drafts if draft.step_id]
    own = set(sequence.steps.values_list("pk", flat=True))
    problems = {
        str(place): {"id": "Object does not exist."}
        for place, draft in enumerate(drafts)
        if draft.step_id and draft.step_id not in own
    }
    if problems or len(set(kept)) < len(kept):
        raise FieldErrors({"steps": problems or "An id must not be there twice."})
    used = {key for pair in sequence.steps.values_list("email_template_id", "sms_template_id") for key in pair}
    _check_templates(sequence.organization_id, drafts, already_used=used)
    with connection.cursor() as cursor:
        cursor.execute(_MOVE_ON, {"sequence": sequence.pk, "kept": kept})
    sequence.steps.exclude(pk__in=kept).delete()
    _write_steps(sequence, drafts)


def _write_steps(sequence: MailSequence, drafts: Sequence[StepDraft]) -> None:
    for position, draft in enumerate(drafts):
        if draft.step_id:
            # The places are checked at the end of the transaction: steps may change them among themselves.
            sequence.steps.filter(pk=draft.step_id).update(position=position, **draft.columns)
        else:
            SequenceStep.objects.create(sequence=sequence, position=position, **draft.columns)


def _check_templates(
    organization_id: UUID, drafts: Sequence[StepDraft], already_used: Collection[UUID | None] = ()
) -> None:
    """`FieldErrors` for what is not there; `Invalid` for a template that is archived or not shared.

    Held (FOR KEY SHARE) until the step refers to it: it cannot be deleted or taken back meanwhile. A template that the
    sequence uses may have been archived since.
    """
    if len(drafts) > MAX_STEPS:
        raise FieldErrors({"steps": f"List is too long: at most {MAX_STEPS}."})
    wanted = {draft.columns.get("email_template_id") for draft in drafts} - {None}
    rows = EmailTemplate.objects.filter(organization_id=organization_id, pk__in=wanted).order_by("pk")
    mails = {one.pk: one for one in rows.select_for_update(no_key=True)}
    wanted = {draft.columns.get("sms_template_id") for draft in drafts} - {None}
    texts = SmsTemplate.objects.filter(organization_id=organization_id, pk__in=wanted).order_by("pk")
    messages = {one.pk: one for one in texts.select_for_update(no_key=True)}
    problems: dict[str, object] = {}
    wrong: list[str] = []
    for place, draft in enumerate(drafts):
        key, found = (
            ("email_template_id", mails)
            if draft.columns["step_type"] == StepType.EMAIL
            else ("sms_template_id", messages)
        )
        wanted_id = draft.columns.get(key)
        if wanted_id is None:
            continue
        template = found.get(wanted_id)
        if template is None:
            problems[str(place)] = {key: "Object does not exist."}
        elif wanted_id not in already_used and (problem := _unusable(template)):
            wrong.append(f"The template '{template.name}' {problem}.")
    if problems:
        raise FieldErrors({"steps": problems})
    if wrong:
        raise Invalid(list(dict.fromkeys(wrong)))


def _unusable(template: EmailTemplate | SmsTemplate) -> str | None:
    if isinstance(template, SmsTemplate):
        return "is archived" if template.status == SmsTemplate.Status.ARCHIVED else None
    if template.is_archived:
        return "is archived"
    return None if template.is_shared else "must be shared before a sequence can use it"
