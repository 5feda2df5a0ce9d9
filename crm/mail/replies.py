"""A person's mail to us as an incoming email activity, on the lead that it belongs to."""

from datetime import UTC, datetime, timedelta
from email.message import Message
from email.utils import parsedate_to_datetime
from uuid import UUID

from django.db.models.functions import Left, Lower, Trim
from django.utils import timezone

from crm.errors import FieldErrors
from crm.lead_parts import hold_lead
from crm.mail import received
from crm.mail.events import Happening, announce, event_of
from crm.mail.plain_text import text_of_html
from crm.mail.received import TEXT_LENGTH, header
from crm.models import (
    Activity,
    ActivityType,
    Contact,
    ContactEmail,
    EmailAccount,
    InboundKind,
    InboundMail,
    OutboxMail,
)

_OLDEST_DATE = timedelta(days=30)  # a `Date` further back, or in the future, is no more than a claim


def take(row: InboundMail, message: Message, mail: OutboxMail | None, account: EmailAccount | None) -> None:
    """Write the activity, and `has_reply` on the mail's own; tell those who wait for a reply. Sets `row`'s columns.

    A message is of the lead of the mail that it answers, else of the contact that has its sender's address. Where there
    is neither, or we wrote it ourselves, it stays unrelated.
    """
    senders = received.addresses(message, "From")
    if not senders or senders[0] in _our_addresses(mail, account):
        return
    row.address = senders[0]
    answered = Activity.objects.filter(pk=mail.activity_id).first() if mail and mail.activity_id else None
    lead_id = answered.lead_id if answered else mail and mail.lead_id
    contact = _contact_of(row.organization_id, row.address, lead_id)
    if lead_id is None and contact is None and mail:
        contact = Contact.objects.filter(pk=mail.contact_id).first()
    lead_id = lead_id or (contact and contact.lead_id)
    if lead_id is None:
        return
    try:
        hold_lead(lead_id, row.organization_id)
    except FieldErrors:
        return  # deleted meanwhile
    made = _write(row, message, lead_id, contact, answered, account)
    if answered:
        Activity.objects.filter(pk=answered.pk).update(has_reply=True)
    row.kind = InboundKind.REPLY
    known = {"lead_id": lead_id, "contact_id": made.contact_id}
    if mail is None:
        known["activity_id"] = made.pk
    announce(event_of(Happening.REPLY, row.organization_id, row.address, mail, **known))


def _write(
    row: InboundMail,
    message: Message,
    lead_id: UUID,
    contact: Contact | None,
    answered: Activity | None,
    account: EmailAccount | None,
) -> Activity:
    text, html = received.bodies(message)
    if text is None and html is not None:
        text = text_of_html(html)[:TEXT_LENGTH]
    moment = _moment(message)
    return Activity.objects.create(
        organization_id=row.organization_id,
        lead_id=lead_id,
        contact_id=contact.pk if contact else answered and answered.contact_id,
        user_id=answered.user_id if answered else account and account.user_id,
        type=ActivityType.EMAIL,
        direction="incoming",
        status="inbox",
        activity_at=moment,
        date_sent=moment,
        title=header(message, "Subject"),
        text=text,
        html=html,
        local_address=header(message, "From"),
        recipients=received.addresses(message, "To"),
        details={
            "cc": received.addresses(message, "Cc"),
            "message_ids": [row.message_id],
            "references": received.message_ids(message, "In-Reply-To", "References")[::-1],
            "in_reply_to_id": str(answered.pk) if answered else None,
            "inbound_id": str(row.pk),
        },
    )


def _contact_of(organization_id: UUID, address: str, lead_id: UUID | None) -> Contact | None:
    """The newest contact with that address, of that lead if one is given."""
    emails = ContactEmail.objects.alias(known=Left(Lower(Trim("email")), 254)).filter(
        organization_id=organization_id, known=address, contact__lead__deleted_at__isnull=True
    )
    if lead_id:
        emails = emails.filter(contact__lead_id=lead_id)
    found = emails.filter(contact__lead__isnull=False).select_related("contact").order_by("-contact_id").first()
    return found.contact if found else None


def _our_addresses(mail: OutboxMail | None, account: EmailAccount | None) -> set[str]:
    known = [account.sender_email, *(one.get("email", "") for one in account.identities)] if account else []
    own = {address.strip().lower() for address in known}
    if mail:
        sender = Message()
        sender["From"] = mail.sender
        own |= set(received.addresses(sender, "From"))
    return own


def _moment(message: Message) -> datetime:
    now = timezone.now()
    try:
        said = parsedate_to_datetime(header(message, "Date"))
        said = said.replace(tzinfo=UTC) if said.tzinfo is None else said
        return said if now - _OLDEST_DATE <= said <= now else now
    except (ValueError, TypeError, OverflowError):
        return now
