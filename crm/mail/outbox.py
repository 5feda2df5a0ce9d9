"""Writing mail down, so that it leaves once: whoever reserves the same mail twice sends it once."""

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import connection, models, transaction
from psycopg.types.json import Jsonb

from crm.errors import FieldErrors, Invalid
from crm.mail.addresses import normalise
from crm.mail.doorbell import ring
from crm.mail.message import as_subject
from crm.models import EmailAccount, Organization, OutboxMail, Purpose, User

MAILS_PER_STATEMENT = 1000  # so that the bodies of a large reservation are not all in one message to the server


class Refusal(models.TextChoices):
    """Why a mail is not reserved. The middle four are the reasons of the suppression list."""

    NO_ADDRESS = "no_address"
    INVALID_ADDRESS = "invalid_address"
    UNSUBSCRIBED = "unsubscribed"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    MANUAL = "manual"
    DUPLICATE_ADDRESS = "duplicate_address"


@dataclass(frozen=True, slots=True)
class NewMail:
    """A mail to reserve. `address` as people write it; `sender` as `message.as_sender` gives it.

    Texts must be storable (no NUL, no half surrogate pair). `not_before` None: as soon as it can be. `account` None:
    by `EMAIL_URL`, without limits.
    """

    organization: Organization
    account: EmailAccount | None
    purpose: Purpose
    source_id: UUID | None
    address: str | None
    sender: str
    subject: str
    body_text: str
    body_html: str | None = None
    step: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    activity_id: UUID | None = None
    lead_id: UUID | None = None
    contact_id: UUID | None = None
    not_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Reserved:
    """The mail will leave, to `address`, under this `Message-ID`, however often it is tried."""

    mail_id: UUID
    message_id: str
    address: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The mail was not written down. `address` is normalised where it is an address."""

    code: Refusal
    address: str


# One statement decides all: suppressed addresses are left out as the list stands now, and of equal keys the first one
# is written down, be it of this call, an earlier one, or one that commits while we wait for it.
_RESERVE = """
WITH asked AS (
    SELECT * FROM unnest(
        %(organization)s::uuid[], %(account)s::uuid[], %(purpose)s::text[], %(source)s::uuid[], %(step)s::text[],
        %(address)s::text[], %(sender)s::text[], %(subject)s::text[], %(body_text)s::text[], %(body_html)s::text[],
        %(headers)s::jsonb[], %(activity)s::uuid[], %(lead)s::uuid[], %(contact)s::uuid[],
        %(not_before)s::timestamptz[], %(message_id)s::text[])
    WITH ORDINALITY AS asked (
        organization_id, account_id, purpose, source_id, step, address, sender, subject, body_text, body_html, headers,
        activity_id, lead_id, contact_id, not_before, message_id, place)
), stopped AS (
    SELECT asked.place, suppression.reason
    FROM asked JOIN crm_suppression AS suppression USING (organization_id, address) WHERE asked.purpose <> 'notice'
), made AS (
    INSERT INTO crm_outboxmail (
        organization_id, account_id, purpose, source_id, step, address, sender, subject, body_text, body_html, headers,
        activity_id, lead_id, contact_id, not_before, message_id, state, attempts)
    SELECT organization_id, account_id, purpose, source_id, step, address, sender, subject, body_text, body_html,
        headers, activity_id, lead_id, contact_id, coalesce(not_before, statement_timestamp()), message_id, 'reserved',
        0
    FROM asked LEFT JOIN stopped USING (place) WHERE stopped.reason IS NULL
    ORDER BY place
    ON CONFLICT (source_id, purpose, step, address) DO NOTHING
    RETURNING id, message_id
)
SELECT asked.place, made.id, stopped.reason
FROM asked LEFT JOIN made USING (message_id) LEFT JOIN stopped USING (place)
"""


def reserve(mails: Sequence[NewMail]) -> list[Reserved | Refused]:
    """Write these mails down in the caller's transaction; they leave after its commit. An answer for each, in order.

    `duplicate_address`: a mail with the same source, purpose, step and address was reserved before, here or earlier.
    """
    answers: list[Reserved | Refused | None] = [None] * len(mails)
    valid: list[tuple[int, str]] = []
    for place, mail in enumerate(mails):
        answers[place], address = _checked(mail.address)
        if answers[place] is None:
            valid.append((place, address))
    # In the order of the unique key: two transactions that reserve the same mails wait for each other, and in two
    # orders they would do so for ever.
    valid.sort(
        key=lambda one: (str(mails[one[0]].source_id), mails[one[0]].purpose, mails[one[0]].step, one[1], one[0])
    )
    with transaction.atomic():
        for start in range(0, len(valid), MAILS_PER_STATEMENT):
            part = valid[start : start + MAILS_PER_STATEMENT]
            for (place, _), answer in zip(part, _reserve([(mails[place], to) for place, to in part]), strict=True):
                answers[place] = answer
        transaction.on_commit(ring, robust=True)
    return answers


def reserve_notice(
    *, organization: Organization, to: User, source_id: UUID, step: str, subject: str, body_text: str
) -> None:
    """Reserve a notice from Drover to one of its users, in the caller's transaction; it leaves after the commit.

    The same (`source_id`, `step`, user) a second time does nothing. Never refuses: a mail that cannot be built ends as
    `error` in the outbox, where it can be seen, and does not hold up what the caller was about to commit.
    """
    reserved = OutboxMail(
        organization=organization,
        purpose=Purpose.NOTICE,
        source_id=source_id,
        step=step,
        address=_normal_if_valid(to.email),
        sender=settings.NOTICE_SENDER,
        subject=as_subject(subject),  # it may quote what a person once typed, such as the name of a status
        body_text=body_text,
        message_id=new_message_id(settings.NOTICE_SENDER),
    )
    OutboxMail.objects.bulk_create([reserved], ignore_conflicts=True)
    transaction.on_commit(ring, robust=True)


def reserve_again(
    mail_ids: Collection[UUID], *, organization_id: UUID, confirm_possible_duplicates: object
) -> list[UUID]:
    """Send mails once more of which nobody knows whether they left, under the `Message-ID` that they had.

    Gives those that are reserved now; others of `mail_ids` are not `unknown`. A recipient may get the mail twice, so
    `FieldErrors` unless a person has said `confirm_possible_duplicates` true. Suppressed addresses are still withheld.
    """
    if confirm_possible_duplicates is not True:
        raise FieldErrors(
            {
                "confirm_possible_duplicates": "These mails may have left already, and their recipients may get them "
                "twice. Say true to send them again."
            }
        )
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            """
            WITH mails AS (
                UPDATE crm_outboxmail
                SET state = 'reserved', not_before = statement_timestamp(), attempts = 0, date_sent = NULL,
                    claim = NULL, claimed_at = NULL, error_code = NULL, error_message = NULL
                WHERE id = ANY(%s) AND organization_id = %s AND state = 'unknown'
                RETURNING id, activity_id),
            shown AS (
                UPDATE crm_activity SET status = 'outbox', date_updated = statement_timestamp()
                FROM mails WHERE crm_activity.id = mails.activity_id)
            SELECT id FROM mails
            """,
            [list(mail_ids), organization_id],
        )
        found = [mail_id for (mail_id,) in cursor.fetchall()]
        transaction.on_commit(ring, robust=True)
    return found


# Locked in the order in which delivery locks what it has in hand.
_FORGET = """
WITH gone AS MATERIALIZED (
    SELECT address FROM unnest(%(addresses)s::text[]) AS address WHERE NOT EXISTS (
        SELECT FROM crm_contactemail AS kept
        WHERE kept.organization_id = %(organization)s AND lower(btrim(kept.email)) = address)),
held AS MATERIALIZED (
    SELECT id FROM crm_outboxmail AS mail
    WHERE organization_id = %(organization)s AND purpose <> 'notice' AND address <> 'erased-' || id
      AND (address IN (SELECT address FROM gone)
        OR lead_id = ANY(%(leads)s::uuid[])
           AND NOT EXISTS (SELECT FROM crm_activity WHERE crm_activity.id = mail.activity_id))
    ORDER BY not_before, id FOR UPDATE),
mails AS (
    UPDATE crm_outboxmail AS mail
    SET address = 'erased-' || mail.id, subject = '', body_text = '', body_html = NULL, headers = '{}',
        error_message = NULL, state = CASE state WHEN 'reserved' THEN 'withheld' ELSE state END
    FROM held WHERE mail.id = held.id
    RETURNING mail.id),
received AS (
    UPDATE crm_inboundmail SET address = '', detail = ''
    WHERE organization_id = %(organization)s AND (address, detail) <> ('', '')
      AND (mail_id IN (SELECT id FROM mails) OR address IN (SELECT address FROM gone)))
SELECT count(*) FROM mails
"""


def forget_mails(organization_id: UUID, lead_ids: Collection[UUID], emails: Iterable[str]) -> int:
    """Empty the organization's mails to these removed leads of what they say, and to whom; returns how many.

    Those are the mails of these leads, less the ones that moved to another in a merge, and all to `emails`, as far as
    none of its contacts has the address any more. What has not left yet is withheld. What came in from these addresses,
    or about these mails, is emptied too. Reads the whole outbox.
    """
    addresses = list({_normal_if_valid(email) for email in emails})
    asked = {"organization": organization_id, "leads": list(lead_ids), "addresses": addresses}
    with connection.cursor() as cursor:
        cursor.execute(_FORGET, asked)
        return cursor.fetchone()[0]


def new_message_id(sender: str) -> str:
    """A `Message-ID` for one reservation, in the domain of `sender`. It is stored, and kept on every attempt."""
    domain = sender.rpartition("@")[2].strip("<> ")
    return f"<{uuid.uuid4()}@{domain}>"


def _checked(address: str | None) -> tuple[Refused | None, str]:
    if address is None or not address.strip():
        return Refused(Refusal.NO_ADDRESS, ""), ""
    try:
        return None, normalise(address)
    except Invalid:
        return Refused(Refusal.INVALID_ADDRESS, address), ""


def _reserve(mails: Sequence[tuple[NewMail, str]]) -> list[Reserved | Refused]:
    message_ids = [new_message_id(mail.sender) for mail, _ in mails]
    columns = {
        "organization": [mail.organization.pk for mail, _ in mails],
        "account": [mail.account and mail.account.pk for mail, _ in mails],
        "purpose": [str(mail.purpose) for mail, _ in mails],
        "source": [mail.source_id for mail, _ in mails],
        "step": [mail.step for mail, _ in mails],
        "address": [address for _, address in mails],
        "sender": [mail.sender for mail, _ in mails],
        "subject": [mail.subject for mail, _ in mails],
        "body_text": [mail.body_text for mail, _ in mails],
        "body_html": [mail.body_html for mail, _ in mails],
        "headers": [Jsonb(dict(mail.headers)) for mail, _ in mails],
        "activity": [mail.activity_id for mail, _ in mails],
        "lead": [mail.lead_id for mail, _ in mails],
        "contact": [mail.contact_id for mail, _ in mails],
        "not_before": [mail.not_before for mail, _ in mails],
        "message_id": message_ids,
    }
    with connection.cursor() as cursor:
        cursor.execute(_RESERVE, columns)
        decided = {place - 1: (mail_id, reason) for place, mail_id, reason in cursor.fetchall()}
    answers: list[Reserved | Refused] = []
    for place, (_, address) in enumerate(mails):
        mail_id, reason = decided[place]
        if mail_id:
            answers.append(Reserved(mail_id, message_ids[place], address))
        else:
            answers.append(Refused(Refusal(reason) if reason else Refusal.DUPLICATE_ADDRESS, address))
    return answers


def _normal_if_valid(address: str) -> str:
    try:
        return normalise(address)
    except Invalid:
        return address
