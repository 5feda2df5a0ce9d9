"""The mails of a step: rendered, put into the outbox, and shown as activities. Many at once."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection
from psycopg.types.json import Jsonb

from crm.errors import Invalid
from crm.mail.addresses import normalise
from crm.mail.message import as_sender, as_subject
from crm.mail.outbox import NewMail, Refusal, Refused, Reserved, reserve
from crm.mail.parts import with_links
from crm.mail.render import Recipient, Rendered, TemplateProblem, render
from crm.mail.senders import identities_of
from crm.models import (
    EmailAccount,
    Membership,
    Organization,
    Purpose,
    SequenceStep,
    SequenceSubscription,
    SubscriptionStatus,
    User,
)
from crm.sequences.keys import new_keys
from crm.sequences.states import Reason
from crm.templates import note_use

LONGEST_THREAD = 50  # message ids in `References`

Pair = tuple[SequenceSubscription, SequenceStep]
Stop = tuple[SubscriptionStatus, Reason]

_PAUSED, _ERROR = SubscriptionStatus.PAUSED, SubscriptionStatus.ERROR
_REFUSALS: dict[Refusal, Stop] = {
    Refusal.NO_ADDRESS: (_ERROR, Reason.SEND_AS_ERROR),
    Refusal.INVALID_ADDRESS: (_ERROR, Reason.SEND_AS_ERROR),
    Refusal.BOUNCED: (_ERROR, Reason.EMAIL_BOUNCED),
    Refusal.UNSUBSCRIBED: (_PAUSED, Reason.UNSUBSCRIBED),
    Refusal.COMPLAINED: (_PAUSED, Reason.UNSUBSCRIBED),
    Refusal.MANUAL: (_PAUSED, Reason.UNSUBSCRIBED),
}

_SHOW = """
INSERT INTO crm_activity (
    id, organization_id, lead_id, contact_id, user_id, type, direction, status, activity_at, title, text, html,
    local_address, recipients, has_reply, details, created_by_id, updated_by_id)
SELECT id, organization, lead, contact, author, 'email', 'outgoing', 'outbox', %(now)s, title, text, html, sender,
    ARRAY[address], false, details, author, author
FROM unnest(%(id)s::uuid[], %(organization)s::uuid[], %(lead)s::uuid[], %(contact)s::uuid[], %(user)s::uuid[],
            %(title)s::text[], %(text)s::text[], %(html)s::text[], %(sender)s::text[], %(address)s::text[],
            %(details)s::jsonb[])
    AS made (id, organization, lead, contact, author, title, text, html, sender, address, details)
"""


@dataclass(frozen=True)
class Written:
    """The thread after the mail; or what stops the subscription, unless its step need not be done."""

    thread_subject: str
    message_ids: list[str]
    stop: Stop | None = None
    may_be_passed_over: bool = False


@dataclass(frozen=True)
class _Draft:
    one: SequenceSubscription
    step: SequenceStep
    account: EmailAccount
    rendered: Rendered
    sender: str
    activity_id: UUID

    @property
    def is_answer(self) -> bool:
        return self.step.threading == "old_thread" and bool(self.one.thread_message_ids)

    @property
    def thread(self) -> list[str]:
        return self.one.thread_message_ids[-LONGEST_THREAD:] if self.is_answer else []

    @property
    def subject(self) -> str:
        if not self.is_answer:
            return as_subject(self.rendered.subject)
        first = self.one.thread_subject
        return first if first.lower().startswith("re:") else f"Re: {first}"


def write_mails(pairs: Sequence[Pair], now: datetime) -> list[Written]:
    """The mail of each step, reserved in the caller's transaction: an answer for each, in order. A fixed number of
    statements for each template and sender among them."""
    if not pairs:
        return []
    senders = _Senders(pairs)
    answers: dict[UUID, Written] = {}
    groups: dict[tuple[UUID, UUID | None], list[Pair]] = defaultdict(list)
    for one, step in pairs:
        stop = senders.problem(one)
        if stop is None and step.email_template is None:
            stop = (_ERROR, Reason.INTERNAL_ERROR)
        if stop:
            answers[one.pk] = Written(one.thread_subject, one.thread_message_ids, stop)
        else:
            groups[step.email_template_id, senders.user_id(one)].append((one, step))
    keys = iter(new_keys(len(pairs)))
    drafts: list[_Draft] = []
    for group in groups.values():
        for (one, step), made in zip(group, _render(group, senders), strict=True):
            if isinstance(made, TemplateProblem):
                answers[one.pk] = _unmade(one, made)
            else:
                drafts.append(_Draft(one, step, senders.account(one), made, _from(one), next(keys)))
    answers |= _reserve(drafts, senders, now)
    note_use([key for key, _ in groups])
    return [answers[one.pk] for one, _ in pairs]


class _Senders:
    """The accounts and the members that stand behind subscriptions."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        ones = [one for one, _ in pairs]
        self.accounts = EmailAccount.objects.in_bulk({one.sender_account_id for one in ones})
        self.organizations = Organization.objects.in_bulk({one.organization_id for one in ones})
        users = {account.user_id for account in self.accounts.values()} | {one.created_by_id for one in ones}
        members = Membership.objects.filter(organization__in=self.organizations, user__in=users - {None})
        self.members = {
            (one.organization_id, one.user_id): one.user for one in members.select_related("user") if one.is_active
        }

    def account(self, one: SequenceSubscription) -> EmailAccount:
        return self.accounts[one.sender_account_id]

    def user_id(self, one: SequenceSubscription) -> UUID | None:
        """Who writes: whose account it is, else who subscribed the contact."""
        return self.account(one).user_id or one.created_by_id

    def user(self, one: SequenceSubscription) -> User | None:
        return self.members.get((one.organization_id, self.user_id(one)))

    def problem(self, one: SequenceSubscription) -> Stop | None:
        account = self.accounts.get(one.sender_account_id)
        if account is None or account.organization_id != one.organization_id:
            return _PAUSED, Reason.ACCOUNT_INVALID
        if account.user_id and self.user(one) is None:
            return _PAUSED, Reason.MEMBERSHIP_INACTIVE
        try:
            is_identity = normalise(one.sender_email) in identities_of(account)
            _from(one)
        except Invalid:
            is_identity = False
        return None if is_identity else (_PAUSED, Reason.SEND_AS_ERROR)


def _render(group: Sequence[Pair], senders: _Senders) -> list[Rendered | TemplateProblem]:
    one, step = group[0]
    people = [Recipient(each.contact_id, each.contact_email, each.pk) for each, _ in group]
    organization = senders.organizations[one.organization_id]
    return list(render(step.email_template, people, user=senders.user(one), organization=organization))


def _reserve(drafts: Sequence[_Draft], senders: _Senders, now: datetime) -> dict[UUID, Written]:
    answers: dict[UUID, Written] = {}
    sent: list[tuple[_Draft, Reserved]] = []
    reserved = reserve([_new_mail(draft, senders.organizations[draft.one.organization_id], now) for draft in drafts])
    for draft, answer in zip(drafts, reserved, strict=True):
        one = draft.one
        if isinstance(answer, Reserved):
            sent.append((draft, answer))
            subject = one.thread_subject if draft.is_answer else draft.subject
            answers[one.pk] = Written(subject, [*draft.thread, answer.message_id][-LONGEST_THREAD:])
        else:
            answers[one.pk] = _refused(one, answer)
    _show(sent, senders, now)
    return answers


def _new_mail(draft: _Draft, organization: Organization, now: datetime) -> NewMail:
    thread = draft.thread
    text, html = with_links(draft.rendered.text, draft.rendered.html, draft.step.email_template.attachments)
    return NewMail(
        organization=organization,
        account=draft.account,
        purpose=Purpose.SEQUENCE,
        source_id=draft.one.pk,
        step=str(draft.one.steps_done + 1),
        address=draft.one.contact_email,
        sender=draft.sender,
        subject=draft.subject,
        body_text=text,
        body_html=html,
        headers={"In-Reply-To": thread[-1], "References": " ".join(thread)} if thread else {},
        activity_id=draft.activity_id,
        lead_id=draft.one.lead_id,
        contact_id=draft.one.contact_id,
        not_before=now,
    )


def _show(sent: Sequence[tuple[_Draft, Reserved]], senders: _Senders, now: datetime) -> None:
    """An email activity for each mail. By hand: `bulk_create` took a third of a tick's time."""
    users = [senders.user_id(draft.one) for draft, _ in sent]
    with connection.cursor() as cursor:
        cursor.execute(
            _SHOW,
            {
                "id": [draft.activity_id for draft, _ in sent],
                "organization": [draft.one.organization_id for draft, _ in sent],
                "lead": [draft.one.lead_id for draft, _ in sent],
                "contact": [draft.one.contact_id for draft, _ in sent],
                "user": users,
                "title": [draft.subject for draft, _ in sent],
                "text": [draft.rendered.text for draft, _ in sent],
                "html": [draft.rendered.html for draft, _ in sent],
                "sender": [draft.sender for draft, _ in sent],
                "address": [mail.address for _, mail in sent],
                "details": [Jsonb(_details(draft, mail)) for draft, mail in sent],
                "now": now,
            },
        )


def _details(draft: _Draft, mail: Reserved) -> dict[str, object]:
    return {
        "sequence_id": str(draft.one.sequence_id),
        "sequence_subscription_id": str(draft.one.pk),
        "template_id": str(draft.step.email_template_id),
        "email_account_id": str(draft.account.pk),
        "message_ids": [mail.message_id],
        "references": draft.thread,
        "attachments": draft.step.email_template.attachments,
    }


def _unmade(one: SequenceSubscription, problem: TemplateProblem) -> Written:
    if problem.code == "contact_gone":
        return Written(one.thread_subject, one.thread_message_ids, (_PAUSED, Reason.LEAD_NOT_VISIBLE))
    reason = Reason.FIELD_MAPPING_ERROR if problem.code == "missing_value" else Reason.INTERNAL_ERROR
    return Written(one.thread_subject, one.thread_message_ids, (_ERROR, reason), may_be_passed_over=True)


def _refused(one: SequenceSubscription, answer: Refused) -> Written:
    # A mail of this step that is there already: it is done.
    return Written(one.thread_subject, one.thread_message_ids, _REFUSALS.get(answer.code))


def _from(one: SequenceSubscription) -> str:
    return as_sender(one.sender_name, one.sender_email)
