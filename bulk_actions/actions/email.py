"""Bulk email: a mail out of a template to each lead, to its first contact or to all (close-api.md 2.7)."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import connection
from psycopg.types.json import Jsonb

from bulk_actions import mails, matches
from bulk_actions.actions.base import GONE_MESSAGE
from bulk_actions.errors import JobImpossible
from bulk_actions.models import BulkAction, Kind, LeadOutcome, OnChanged, Outcome
from crm.errors import Invalid
from crm.locks import hold_rows
from crm.mail.addresses import normalise
from crm.mail.message import as_subject
from crm.mail.outbox import NewMail, Refusal, Reserved, reserve, reserve_again
from crm.mail.parts import with_links
from crm.mail.recipients import Addressee, of_leads
from crm.mail.render import Recipient, Rendered, TemplateProblem, render
from crm.mail.suppression import reasons_for
from crm.models import EmailAccount, EmailTemplate, Lead, MailState, OutboxMail, Permission, Purpose
from crm.sequences.keys import new_keys
from crm.templates import note_use

MAX_LEADS = 100_000  # close-api.md 2.7
TEMPLATE_ERROR = "template_error"
_STIR_SECONDS = 2  # WORKER_IDLE_IN_TRANSACTION_SECONDS without a statement would end the session
MESSAGES = {
    Refusal.NO_ADDRESS: "The lead has no contact with an e-mail address.",
    Refusal.INVALID_ADDRESS: "This is not an e-mail address.",
    Refusal.UNSUBSCRIBED: "The address has unsubscribed.",
    Refusal.BOUNCED: "Mail to this address came back.",
    Refusal.COMPLAINED: "The recipient has complained about mail.",
    Refusal.MANUAL: "The address is on the list of those that get no mail.",
    Refusal.DUPLICATE_ADDRESS: "The address gets, or got, this mail already.",
}
_NOT_UNKNOWN = "not_unknown"


@dataclass(frozen=True)
class _Target:
    batch_id: int
    place: int  # in the batch, from 1 on


@dataclass(frozen=True)
class _Noted:
    """A mail that is not reserved."""

    lead_id: UUID
    email: str | None
    outcome: Outcome
    code: str
    message: str


@dataclass(frozen=True)
class _Letter:
    """What all mails of a job have in common."""

    template: EmailTemplate
    account: EmailAccount | None


class Email:
    """`params`: `{"template_id", "contact_preference", "email_account_id": or null, "sender": the From header}`.

    With `"again": true` the mails of the job in `retry_of` that may have left are sent once more, and nothing else.
    """

    kind = Kind.EMAIL
    permission = Permission.BULK_EMAIL
    max_leads = MAX_LEADS

    def describe(self, action: BulkAction) -> str:
        template = EmailTemplate.objects.filter(pk=action.params["template_id"]).first()
        return f"Send the mail {template.name if template else 'of a template that is gone'}"

    def apply(self, action: BulkAction, batch_ids: Sequence[int]) -> int:
        """Reserve the mails of these batches and write down what became of each lead, in the transaction at hand;
        returns how many could not be made."""
        letter = _letter_of(action)
        targets, is_first = _targets_of(batch_ids)
        wanted, noted = _still_wanted(action, targets)
        if action.params.get("again"):
            reserved, more = _send_again(action, wanted)
        else:
            reserved, more = _reserve(action, letter, wanted)
        _write_down(action, batch_ids, targets, reserved, noted + more)
        if is_first:  # each use holds the template's row: once for a job is enough
            note_use([letter.template.pk])
        return sum(one.outcome == Outcome.FAILED for one in noted + more)


def _letter_of(action: BulkAction) -> _Letter:
    params, organization = action.params, action.organization_id
    template = EmailTemplate.objects.filter(pk=params["template_id"], organization=organization).first()
    if template is None:
        raise JobImpossible("template_gone", "The template of this job has been deleted.")
    if params["email_account_id"] is None:
        return _Letter(template, None)
    account = EmailAccount.objects.filter(pk=params["email_account_id"], organization=organization).first()
    if account is None:
        raise JobImpossible("account_gone", "The account that this job sends from has been deleted.")
    return _Letter(template, account)


def _targets_of(batch_ids: Sequence[int]) -> tuple[dict[UUID, _Target], bool]:
    """The leads of these batches in the job's order, and whether the job's first is among them."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT target.lead_id, batch.id, target.place, batch.rank
            FROM bulk_actions_batch AS batch, unnest(batch.lead_ids) WITH ORDINALITY AS target(lead_id, place)
            WHERE batch.id = ANY(%s) ORDER BY batch.rank, target.place
            """,
            [list(batch_ids)],
        )
        rows = cursor.fetchall()
    return {row[0]: _Target(row[1], row[2]) for row in rows}, any(rank == 1 for *_, rank in rows)


def _still_wanted(action: BulkAction, targets: dict[UUID, _Target]) -> tuple[list[UUID], list[_Noted]]:
    """The leads that are to be written to, kept from being purged; and the others."""
    live = "id = ANY(%s) AND organization_id = %s AND deleted_at IS NULL ORDER BY id"
    held = set(hold_rows(Lead, live, [list(targets), action.organization_id]))
    lost = set()
    if action.on_changed == OnChanged.SKIP and "again" not in action.params:
        lost = matches.lost(action, list(held))
    noted = [_skipped(key, None, "lead_gone", GONE_MESSAGE) for key in targets if key not in held]
    noted += [_skipped(key, None, matches.NO_LONGER_MATCHES, matches.MESSAGE) for key in targets if key in lost]
    return [key for key in targets if key in held and key not in lost], noted


def _reserve(
    action: BulkAction, letter: _Letter, lead_ids: Sequence[UUID]
) -> tuple[list[tuple[UUID, UUID]], list[_Noted]]:
    """The mails that are reserved now, each with its lead; and what is not."""
    found = of_leads(lead_ids, action.params["contact_preference"])
    reached = {one.lead_id for one in found}
    noted = [_refused(key, None, Refusal.NO_ADDRESS) for key in lead_ids if key not in reached]
    people, twice = _without_those_before(action, found)
    noted += [_refused(one.lead_id, one.address, Refusal.DUPLICATE_ADDRESS) for one in twice]
    pairs = list(_rendered(action, letter, people))
    noted += _unmade(action, [(one, text) for one, text in pairs if isinstance(text, TemplateProblem)])
    drafts = [(one, text) for one, text in pairs if isinstance(text, Rendered)]
    keys = new_keys(len(drafts))
    new = [_new_mail(action, letter, one, text, key) for (one, text), key in zip(drafts, keys, strict=True)]
    reserved = []
    for (one, _), answer in zip(drafts, reserve(new), strict=True):
        if isinstance(answer, Reserved):
            reserved.append((answer.mail_id, one.lead_id))
        else:
            noted.append(_refused(one.lead_id, one.address, answer.code))
    _show(action, letter, [mail_id for mail_id, _ in reserved])
    return reserved, noted


def _rendered(
    action: BulkAction, letter: _Letter, people: Sequence[Addressee]
) -> Iterator[tuple[Addressee, Rendered | TemplateProblem]]:
    """The mail to each of these people. A slow template does not let the session lie idle for long."""
    recipients = [Recipient(one.contact_id, one.address, action.pk) for one in people]
    made = render(letter.template, recipients, user=action.created_by, organization=action.organization)
    stirred = time.monotonic()
    for pair in zip(people, made, strict=True):
        yield pair
        if time.monotonic() - stirred > _STIR_SECONDS:
            with connection.cursor() as cursor:
                cursor.execute("SELECT")
            stirred = time.monotonic()


def _without_those_before(action: BulkAction, people: Sequence[Addressee]) -> tuple[list[Addressee], list[Addressee]]:
    """In a retry, those who have not got the mail from the job that it repeats, or from another retry; and the rest."""
    if action.retry_of_id is None:
        return list(people), []
    normal = {one.address: _normal(one.address) for one in people}
    before = mails.reserved_for(_family_of(action), set(normal.values()))
    mine = [one for one in people if normal[one.address] not in before]
    return mine, [one for one in people if normal[one.address] in before]


def _family_of(action: BulkAction) -> list[UUID]:
    """The jobs that this one repeats, and the others that repeat one of them; not itself."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH RECURSIVE above AS (
                SELECT id, retry_of_id FROM bulk_actions_bulkaction WHERE id = %(action)s
                UNION ALL
                SELECT job.id, job.retry_of_id
                FROM bulk_actions_bulkaction AS job JOIN above ON job.id = above.retry_of_id),
            family AS (
                SELECT id FROM above WHERE retry_of_id IS NULL
                UNION ALL
                SELECT job.id FROM bulk_actions_bulkaction AS job JOIN family ON job.retry_of_id = family.id)
            SELECT id FROM family WHERE id <> %(action)s
            """,
            {"action": action.pk},
        )
        return [key for (key,) in cursor.fetchall()]


def _new_mail(action: BulkAction, letter: _Letter, one: Addressee, text: Rendered, activity_id: UUID) -> NewMail:
    body_text, body_html = with_links(text.text, text.html, letter.template.attachments)
    return NewMail(
        organization=action.organization,
        account=letter.account,
        purpose=Purpose.BULK,
        source_id=action.pk,
        address=one.address,
        sender=action.params["sender"],
        subject=as_subject(text.subject),
        body_text=body_text,
        body_html=body_html,
        activity_id=activity_id,
        lead_id=one.lead_id,
        contact_id=one.contact_id,
    )


def _unmade(action: BulkAction, problems: Sequence[tuple[Addressee, TemplateProblem]]) -> list[_Noted]:
    """What could not be rendered has failed; but whoever gets no mail anyway is skipped for that."""
    suppressed = reasons_for(action.organization_id, {one.address for one, _ in problems})
    noted = []
    for one, problem in problems:
        if one.address in suppressed:
            noted.append(_refused(one.lead_id, one.address, Refusal(suppressed[one.address])))
        else:
            noted.append(_Noted(one.lead_id, one.address, Outcome.FAILED, TEMPLATE_ERROR, problem.message[:500]))
    return noted


def _show(action: BulkAction, letter: _Letter, mail_ids: Sequence[UUID]) -> None:
    """An email activity for each mail, made from the outbox: no text goes to the server twice."""
    details = {
        "bulk_email_action_id": str(action.pk),
        "template_id": str(letter.template.pk),
        "email_account_id": str(letter.account.pk) if letter.account else None,
        "attachments": letter.template.attachments,
    }
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO crm_activity (
                id, organization_id, lead_id, contact_id, user_id, type, direction, status, activity_at, title, text,
                html, local_address, recipients, has_reply, details, created_by_id, updated_by_id)
            SELECT activity_id, organization_id, lead_id, contact_id, %(user)s, 'email', 'outgoing', 'outbox',
                statement_timestamp(), subject, body_text, body_html, sender, ARRAY[address], false,
                %(details)s::jsonb || jsonb_build_object('message_ids', jsonb_build_array(message_id)),
                %(user)s, %(user)s
            FROM crm_outboxmail WHERE id = ANY(%(mails)s)
            """,
            {"user": action.created_by_id, "details": Jsonb(details), "mails": list(mail_ids)},
        )


# --- what may have left, once more --------------------------------------------------------------------------------
def _send_again(action: BulkAction, lead_ids: Sequence[UUID]) -> tuple[list[tuple[UUID, UUID]], list[_Noted]]:
    """Take over the mails to these leads that may have left; in the job that had them it stays noted that they may."""
    unknown = OutboxMail.objects.filter(
        source_id=action.retry_of_id, purpose=Purpose.BULK, state=MailState.UNKNOWN, lead__in=lead_ids
    )
    lead_of = dict(unknown.values_list("pk", "lead_id"))
    taken = reserve_again(list(lead_of), organization_id=action.organization_id, confirm_possible_duplicates=True)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH moved AS (
                UPDATE crm_outboxmail SET source_id = %(action)s WHERE id = ANY(%(mails)s) RETURNING id, address)
            INSERT INTO bulk_actions_leadoutcome (action_id, batch_id, lead_id, email, outcome, code, message)
            SELECT batch.action_id, batch.id, batch.lead_ids[mine.place], moved.address, 'unknown', 'sent_again',
                   %(message)s
            FROM bulk_actions_batch AS batch, unnest(batch.mail_ids, batch.mail_places) AS mine(mail_id, place)
            JOIN moved ON moved.id = mine.mail_id
            WHERE batch.action_id = %(original)s
            """,
            {
                "action": action.pk,
                "original": action.retry_of_id,
                "mails": taken,
                "message": f"It may have left. Sent again by {action.api_id}.",
            },
        )
    reached = {lead_of[mail_id] for mail_id in taken}
    message = "No mail to this lead may have left any more."
    noted = [_skipped(key, None, _NOT_UNKNOWN, message) for key in lead_ids if key not in reached]
    return [(mail_id, lead_of[mail_id]) for mail_id in taken], noted


# --- the ledger -------------------------------------------------------------------------------------------------------
def _write_down(
    action: BulkAction,
    batch_ids: Sequence[int],
    targets: dict[UUID, _Target],
    reserved: Sequence[tuple[UUID, UUID]],
    noted: Sequence[_Noted],
) -> None:
    LeadOutcome.objects.bulk_create(
        LeadOutcome(
            action_id=action.pk,
            batch_id=targets[one.lead_id].batch_id,
            lead_id=one.lead_id,
            email=one.email,
            outcome=one.outcome,
            code=one.code,
            message=one.message,
        )
        for one in noted
    )
    with connection.cursor() as cursor:
        for batch_id in batch_ids:
            mine = [(key, targets[lead].place) for key, lead in reserved if targets[lead].batch_id == batch_id]
            outcomes = [one.outcome for one in noted if targets[one.lead_id].batch_id == batch_id]
            cursor.execute(
                """
                UPDATE bulk_actions_batch
                SET mail_ids = %(mails)s, mail_places = %(places)s, n_skipped = %(skipped)s, n_failed = %(failed)s,
                    n_objects = cardinality(%(mails)s::uuid[]) + %(skipped)s + %(failed)s,
                    date_done = clock_timestamp()
                WHERE id = %(batch)s
                """,
                {
                    "batch": batch_id,
                    "mails": [key for key, _ in mine],
                    "places": [place for _, place in mine],
                    "skipped": outcomes.count(Outcome.SKIPPED),
                    "failed": outcomes.count(Outcome.FAILED),
                },
            )


def _refused(lead_id: UUID, email: str | None, code: Refusal) -> _Noted:
    return _skipped(lead_id, email, code.value, MESSAGES[code])


def _skipped(lead_id: UUID, email: str | None, code: str, message: str) -> _Noted:
    return _Noted(lead_id, email, Outcome.SKIPPED, code, message)


def _normal(address: str) -> str:
    try:
        return normalise(address)
    except Invalid:
        return address  # reserved by nobody
