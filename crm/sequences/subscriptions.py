"""Subscriptions: a contact put into a sequence, taken out, let go on (close-api.md 4.10)."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from crm.auth import Caller
from crm.connected_accounts import accounts_of, accounts_of_user
from crm.contacts import contacts_of
from crm.errors import FieldErrors, Invalid, NotFound
from crm.lead_parts import GONE, check_members, hold_lead
from crm.locks import hold_row
from crm.mail.addresses import normalise
from crm.mail.message import as_sender
from crm.mail.senders import identities_of
from crm.models import (
    Contact,
    MailState,
    OutboxMail,
    Permission,
    Purpose,
    SequenceSubscription,
    SubscriptionStatus,
)
from crm.models import Sequence as MailSequence
from crm.sequences import states
from crm.sequences.schedule import next_open
from crm.sequences.states import Reason

_SENDER = ("sender_account_id", "sender_name", "sender_email")

Columns = Mapping[str, object]


def subscriptions_of(organization_id: UUID) -> QuerySet[SequenceSubscription]:
    """The organization's subscriptions, newest first; those of a deleted lead are not to be seen."""
    rows = SequenceSubscription.objects.filter(organization_id=organization_id, contact__lead__deleted_at__isnull=True)
    return rows.order_by("-id")


@transaction.atomic
def create_subscription(*, caller: Caller, columns: Columns) -> SequenceSubscription:
    """Put a contact into a sequence. All of `columns` but `calls_assigned_to` are needed.

    Raises `FieldErrors`; `Invalid` for a sequence that takes nobody now, and for a contact that had it before.
    """
    organization_id = caller.organization.pk
    contact = _hold_contact(columns["contact_id"], organization_id)
    sequence = _hold_sequence(columns["sequence_id"], organization_id)
    check_sender(caller, {column: columns[column] for column in _SENDER})
    check_assignees(organization_id, columns)
    _check_address(contact, str(columns["contact_email"]))
    if SequenceSubscription.objects.filter(sequence=sequence, contact=contact).exists():
        raise Invalid(["The contact is subscribed to this sequence already."])
    first, now = sequence.steps.first(), timezone.now()
    made = SequenceSubscription.objects.create(
        organization_id=organization_id,
        lead_id=contact.lead_id,
        start_date=now,
        next_step=first,
        next_at=next_open(sequence.schedule, sequence.timezone, now + timedelta(seconds=first.delay)),
        created_by=caller.user,
        updated_by=caller.user,
        **columns,
    )
    made.refresh_from_db()
    return made


@transaction.atomic
def update_subscription(
    *, caller: Caller, subscription_id: UUID | None, columns: Columns, status: str | None
) -> SequenceSubscription:
    """Change the sender and who calls; `status` `paused` stops it, `active` lets it go on. What leaves later leaves so.

    When it returns and the transaction commits, no further mail of a paused one leaves. `NotFound`, `FieldErrors`.
    """
    rows = subscriptions_of(caller.organization.pk)
    one = rows.select_for_update(of=("self",), no_key=True).filter(pk=subscription_id).first()
    if one is None:
        raise NotFound
    if any(column in columns for column in _SENDER):
        check_sender(caller, {column: columns.get(column, getattr(one, column)) for column in _SENDER})
    check_assignees(caller.organization.pk, columns)
    changes = {**columns, "updated_by": caller.user, "date_updated": Now()}
    SequenceSubscription.objects.filter(pk=one.pk).update(**changes)
    if status is not None and status != one.status:
        _change_status(one, status, caller.user.pk)
    return rows.get(pk=one.pk)


@transaction.atomic
def delete_subscription(*, caller: Caller, subscription_id: UUID | None) -> None:
    """Delete a subscription; its mail that waits does not leave. The contact may be subscribed anew. `NotFound`;
    `Invalid` while a mail of it leaves."""
    one = subscriptions_of(caller.organization.pk).filter(pk=subscription_id).first()
    if one is None:
        raise NotFound
    states.withdraw([one.pk], Reason.MANUAL)
    # Taken in hand and not at the gate yet, which lets mail pass whose subscription it does not find; or put back.
    in_hand = OutboxMail.objects.filter(state__in=[MailState.SENDING, MailState.RESERVED])
    if in_hand.filter(source_id=one.pk, purpose=Purpose.SEQUENCE).exists():
        raise Invalid(["A mail of this subscription is leaving just now. Try again."])
    SequenceSubscription.objects.filter(pk=one.pk).delete()


def _change_status(one: SequenceSubscription, status: str, by_id: UUID) -> None:
    wanted = {"id": one.pk}
    if status == SubscriptionStatus.PAUSED:
        stopped = states.stop(
            "id = %(id)s", wanted, status=SubscriptionStatus.PAUSED, reason=Reason.MANUAL, by_id=by_id
        )
        if not stopped:
            raise FieldErrors({"status": f"Cannot pause: it is {one.status}."})
    elif one.status == SubscriptionStatus.FINISHED:
        if not states.resume_finished(one.pk, by_id=by_id):
            raise FieldErrors({"status": "Cannot resume: it is finished, and no step was added since."})
    elif not states.resume("id = %(id)s", wanted, by_id=by_id):
        raise FieldErrors({"status": "Cannot resume: the sequence is not active, or has no further step."})


def _hold_contact(contact_id: UUID | None, organization_id: UUID) -> Contact:
    # The lead before the contact, as all writes take them; the contact held so that two subscriptions meet here.
    seen = contacts_of(organization_id).filter(pk=contact_id).first()
    if seen is None or seen.lead_id is None:
        raise FieldErrors({"contact_id": GONE if seen is None else "The contact has no lead."})
    hold_lead(seen.lead_id, organization_id)
    held = contacts_of(organization_id).select_for_update(of=("self",), no_key=True).filter(pk=contact_id).first()
    if held is None or held.lead_id != seen.lead_id:
        raise FieldErrors({"contact_id": GONE})
    return held


def _hold_sequence(sequence_id: UUID | None, organization_id: UUID) -> MailSequence:
    # Kept from being paused or losing a step until this transaction ends.
    live = "id = %s AND organization_id = %s AND deleted_at IS NULL"
    if sequence_id is None or hold_row(MailSequence, live, [sequence_id, organization_id]) is None:
        raise FieldErrors({"sequence_id": GONE})
    sequence = MailSequence.objects.get(pk=sequence_id)
    if sequence.status != MailSequence.Status.ACTIVE:
        raise Invalid([f"The sequence is {sequence.status}: nobody can be subscribed to it."])
    if not sequence.allow_manual_enrollment:
        raise Invalid(["The sequence does not take contacts by hand."])
    return sequence


def check_sender(caller: Caller, columns: Columns) -> None:
    """`FieldErrors` unless the caller may send as this sender: `sender_account_id`, `sender_name`, `sender_email`."""
    is_admin = caller.may(Permission.MANAGE_ORGANIZATION)
    own = accounts_of(caller.organization.pk) if is_admin else accounts_of_user(caller.organization.pk, caller.user.pk)
    account = own.filter(pk=columns["sender_account_id"]).first()
    if account is None:
        raise FieldErrors({"sender_account_id": GONE})
    try:
        as_sender(str(columns["sender_name"]), str(columns["sender_email"]))
        address = normalise(str(columns["sender_email"]))
    except Invalid as problem:
        raise FieldErrors({"sender_email": problem.errors[0]}) from problem
    if address not in identities_of(account):
        raise FieldErrors({"sender_email": f"The account does not send as {address}."})


def check_assignees(organization_id: UUID, columns: Columns) -> None:
    """`FieldErrors` unless each of `calls_assigned_to`, where that is given, is a member."""
    people: Sequence[UUID] = columns.get("calls_assigned_to") or ()
    try:
        check_members(organization_id, {str(place): key for place, key in enumerate(people)})
    except FieldErrors as problem:
        raise FieldErrors({"calls_assigned_to": problem.field_errors}) from problem


def _check_address(contact: Contact, address: str) -> None:
    try:
        wanted = normalise(address)
    except Invalid as problem:
        raise FieldErrors({"contact_email": problem.errors[0]}) from problem
    if wanted not in map(_normal, contact.emails.values_list("email", flat=True)):
        raise FieldErrors({"contact_email": "The contact does not have this address."})


def _normal(address: str) -> str:
    try:
        return normalise(address)
    except Invalid:
        return address  # typed by a person; nobody can write to it
