"""Calls and messages of a step: tasks for a person."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet
from django.db.models.functions import Now

from crm.mail.contexts import Context, contexts_of
from crm.mail.liquid import CannotRender, WrongSource, compiled, rendered
from crm.models import (
    Contact,
    ContactPhone,
    Membership,
    Organization,
    SequenceStep,
    SequenceSubscription,
    StepType,
    SubscriptionStatus,
    Task,
    TaskType,
)
from crm.models import Sequence as MailSequence
from crm.sequences.keys import new_keys

LONGEST_TEXT = 10_000  # characters

Pair = tuple[SequenceSubscription, SequenceStep]


def make_tasks(pairs: Sequence[Pair], sequences: Mapping[UUID, MailSequence], now: datetime) -> list[Task | None]:
    """A task for each, in order; None where nobody is there to do it.

    It is for one of `calls_assigned_to` who is an active member, in turn over the subscriptions, else for the owner of
    the sequence, else for who subscribed the contact.
    """
    if not pairs:
        return []
    members = _active_members(pairs)
    contexts = _contexts(pairs)
    numbers = _first_numbers(pairs)
    leads = dict(Contact.objects.filter(pk__in=[one.contact_id for one, _ in pairs]).values_list("pk", "lead_id"))
    made: list[Task | None] = []
    for (one, step), key in zip(pairs, new_keys(len(pairs)), strict=True):
        sequence = sequences[one.sequence_id]
        person = _assignee(one, sequence, members)
        if person is None:
            made.append(None)
            continue
        text = _text(one, step, sequence, contexts.get(one.contact_id, {}), numbers.get(one.contact_id))
        made.append(
            Task(
                pk=key,
                organization_id=one.organization_id,
                lead_id=leads[one.contact_id],
                contact_id=one.contact_id,
                type=TaskType.OUTGOING_CALL if step.step_type == StepType.CALL else TaskType.LEAD,
                assigned_to_id=person,
                text=text[:LONGEST_TEXT],
                due_date=now.date(),
                due_at=now,
                created_by_id=one.created_by_id,
                updated_by_id=one.created_by_id,
                date_created=now,
                date_updated=now,
            )
        )
    Task.objects.bulk_create([task for task in made if task])
    return made


def release_waiting(tasks: QuerySet[Task]) -> None:
    """Let the subscriptions that wait for these tasks go on with the next tick."""
    waiting = SequenceSubscription.objects.filter(status=SubscriptionStatus.ACTIVE)
    waiting.filter(waiting_task__in=tasks.order_by().values("pk")).update(next_at=Now())


def _active_members(pairs: Sequence[Pair]) -> set[tuple[UUID, UUID]]:
    organizations = {one.organization_id for one, _ in pairs}
    rows = Membership.objects.filter(organization__in=organizations, is_active=True)
    return set(rows.values_list("organization_id", "user_id"))


def _assignee(one: SequenceSubscription, sequence: MailSequence, members: set[tuple[UUID, UUID]]) -> UUID | None:
    named = [key for key in one.calls_assigned_to or () if (one.organization_id, key) in members]
    if named:
        return named[one.pk.int % len(named)]
    others = (sequence.owner_id, one.created_by_id)
    return next((key for key in others if key and (one.organization_id, key) in members), None)


def _contexts(pairs: Sequence[Pair]) -> dict[UUID, Context]:
    found: dict[UUID, Context] = {}
    for organization in Organization.objects.filter(pk__in={one.organization_id for one, _ in pairs}):
        keys = [one.contact_id for one, _ in pairs if one.organization_id == organization.pk]
        found |= contexts_of(keys, user=None, organization=organization)
    return found


def _first_numbers(pairs: Sequence[Pair]) -> dict[UUID, str]:
    rows = ContactPhone.objects.filter(contact__in=[one.contact_id for one, _ in pairs])
    return dict(rows.order_by("contact_id", "-position", "-id").values_list("contact_id", "phone"))


def _text(
    one: SequenceSubscription, step: SequenceStep, sequence: MailSequence, context: Context, number: str | None
) -> str:
    name = str(context.get("contact") or "") or one.contact_email
    where = f" ({number})" if number else ""
    start = "Call" if step.step_type == StepType.CALL else "Send a text message to"
    said = f"{start} {name}{where}. Step {one.steps_done + 1} of the sequence '{sequence.name}'."
    message = _message(step, context)
    return f"{said}\n\n{message}" if message else said


def _message(step: SequenceStep, context: Context) -> str:
    """The text to send; the template itself where it gives none for this contact: a person reads it before."""
    if step.sms_template is None:
        return ""
    try:
        return rendered(compiled(step.sms_template.text, html=False, strict=False), context)
    except (CannotRender, WrongSource):
        return step.sms_template.text
