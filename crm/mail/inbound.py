"""What follows from a message that came in: a bounce, a complaint, a wish to be left alone, a person's answer.

Each message counts once per organization, by its `Message-ID`. Nothing is ever answered. A report counts only where it
is tied to a mail that had left: by a signed address or link of ours, else by the `Message-ID` that it quotes.
"""

import hashlib
from datetime import timedelta
from email.message import Message
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from crm.mail import received, replies, unsubscribe, verp
from crm.mail.answers import is_dead_address_code
from crm.mail.outcomes import often_refused
from crm.mail.received import header
from crm.mail.reports import Bounce, Complaint, Original, is_from_server, report_in
from crm.mail.suppression import suppress
from crm.models import Activity, EmailAccount, InboundKind, InboundMail, MailState, OutboxMail, Purpose, Suppression

REPEATED = "repeated"
_SENT_TO = ("Delivered-To", "X-Original-To", "Envelope-To", "To", "Cc")
_BULK_PRECEDENCE = frozenset({"bulk", "junk", "list", "auto_reply"})

log = structlog.get_logger(__name__)


def receive(content: bytes, *, account: EmailAccount | None = None) -> str:
    """Do what follows from this message, and say what it was taken for: an `InboundKind`, or `repeated`.

    With `account` it can only concern that account's organization; without one, the organization is that of the mail
    it is tied to, and a message that is tied to none is `unrelated`. Raises `received.Unreadable`.
    """
    message = received.read(content)
    report = report_in(message)
    within = account and account.organization_id
    with transaction.atomic():
        wish = _find(OutboxMail.objects.all(), _box(message, verp.Box.UNSUBSCRIBE), [], within)
        mail = wish or _mail_behind(message, report, within)
        token = report.original.unsubscribe_token if report else None
        recipient = unsubscribe.read_token(token) if token else None
        if recipient and within not in (None, recipient.organization_id):
            recipient = None
        organization_id = within or (mail and mail.organization_id) or (recipient and recipient.organization_id)
        if organization_id is None:
            log.info("mail.inbound_unrelated")
            return InboundKind.UNRELATED
        # Whoever brings the same message at the same time waits here for the other's commit.
        row, is_new = InboundMail.objects.select_for_update().get_or_create(
            organization_id=organization_id, message_id=_identity(message, content)
        )
        if not is_new:
            return REPEATED
        row.mail = mail
        if wish:
            _unsubscribe(row, wish)
        elif isinstance(report, Complaint):
            _complain(row, report, mail, recipient and recipient.address)
        elif isinstance(report, Bounce):
            _bounce(row, report, mail)
        elif is_automatic(message):
            row.kind = InboundKind.AUTOMATIC
        else:
            replies.take(row, message, mail, account)
        row.save(update_fields=["kind", "address", "mail", "detail"])
    log.info("mail.inbound", kind=str(row.kind), inbound_id=str(row.pk))
    return row.kind


def forget_received(*, older_than: timedelta, limit: int) -> int:
    """Delete up to `limit` notes of messages that came in longer ago than that; returns how many. What followed from
    them stays."""
    old = InboundMail.objects.filter(date_created__lt=Now() - older_than).order_by("date_created")
    held = old.select_for_update(skip_locked=True).values("pk")[:limit]
    return InboundMail.objects.filter(pk__in=held).delete()[0]


def is_automatic(message: Message) -> bool:
    """Whether no person wrote this for us: an absence note, a list, a server (RFC 3834, and what came before it)."""
    submitted = header(message, "Auto-Submitted").lower().partition(";")[0].strip()
    return (
        submitted not in ("", "no")
        or header(message, "Precedence").lower() in _BULK_PRECEDENCE
        or any(name in message for name in ("X-Autoreply", "X-Autorespond", "List-Id"))
        or header(message, "Return-Path").replace(" ", "") == "<>"
        or is_from_server(message)
        or message.get_content_type() == "multipart/report"
    )


def _unsubscribe(row: InboundMail, mail: OutboxMail) -> None:
    row.kind, row.address = InboundKind.UNSUBSCRIBE, mail.address
    suppress(mail.organization_id, mail.address, Suppression.Reason.UNSUBSCRIBED, "By a mail.", mail=mail)


def _complain(row: InboundMail, report: Complaint, mail: OutboxMail | None, address: str | None) -> None:
    address = mail.address if mail else address
    if address is None:
        return
    row.kind, row.address, row.detail = InboundKind.COMPLAINT, address, report.kind
    suppress(row.organization_id, address, Suppression.Reason.COMPLAINED, f"Feedback: {report.kind}", mail=mail)


def _bounce(row: InboundMail, report: Bounce, mail: OutboxMail | None) -> None:
    """Nothing is made of a delay: the server tries on. A bounced notice says nothing of a contact."""
    row.detail = report.text
    if mail is None:
        return
    row.address = mail.address
    if report.is_delay:
        row.kind = InboundKind.AUTOMATIC
        return
    is_dead = is_dead_address_code(report.status)
    row.kind = InboundKind.HARD_BOUNCE if is_dead else InboundKind.SOFT_BOUNCE
    if not _note_bounce(mail, row.kind, f"{report.status} {report.text}".strip()) or mail.purpose == Purpose.NOTICE:
        return
    if is_dead or often_refused([(mail.organization_id, mail.address)]):
        suppress(mail.organization_id, mail.address, Suppression.Reason.BOUNCED, report.text, mail=mail)


def _note_bounce(mail: OutboxMail, kind: str, text: str) -> bool:
    """Make the mail and its activity an `error`. False where the mail is not one that may have left."""
    # A report can overtake the commit of the worker that sent: its rows are locked until then.
    held = OutboxMail.objects.select_for_update().get(pk=mail.pk)
    if held.state not in (MailState.SENT, MailState.UNKNOWN):
        return False
    OutboxMail.objects.filter(pk=mail.pk).update(state=MailState.ERROR, error_code=kind, error_message=text)
    Activity.objects.filter(pk=held.activity_id).update(status="error", date_updated=Now())
    return True


def _mail_behind(message: Message, report: Bounce | Complaint | None, within: UUID | None) -> OutboxMail | None:
    if report is None:
        ids = received.message_ids(message, "In-Reply-To", "References")
        return _find(OutboxMail.objects.exclude(purpose=Purpose.NOTICE), None, ids, within)
    original: Original = report.original
    key = _box(message, verp.Box.BOUNCE) or verp.mail_of(original.envelope, verp.Box.BOUNCE)
    ids = original.message_ids + received.message_ids(message, "Original-Message-ID", "In-Reply-To", "References")
    return _find(OutboxMail.objects.all(), key, ids, within)


def _find(mails: QuerySet[OutboxMail], key: UUID | None, ids: list[str], within: UUID | None) -> OutboxMail | None:
    """The mail with that key, else the first of `ids` that is one of ours."""
    mails = mails.filter(address__contains="@")  # one that a purge has emptied speaks of nobody any more
    if within:
        mails = mails.filter(organization_id=within)
    if key and (mail := mails.filter(pk=key).first()):
        return mail
    found = {mail.message_id: mail for mail in mails.filter(message_id__in=ids)} if ids else {}
    return next((found[one] for one in ids if one in found), None)


def _box(message: Message, box: verp.Box) -> UUID | None:
    """The key of the mail whose box this message was sent to."""
    values = (value for name in _SENT_TO for value in received.headers(message, name))
    return next((key for value in values if (key := verp.mail_of(value, box))), None)


def _identity(message: Message, content: bytes) -> str:
    ids = received.message_ids(message, "Message-ID")
    return ids[0] if ids else f"sha256:{hashlib.sha256(content).hexdigest()}"
