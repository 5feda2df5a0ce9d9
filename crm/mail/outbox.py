"""Writing mail down, so that it leaves once: whoever reserves the same mail twice sends it once."""

import uuid
from uuid import UUID

from django.conf import settings
from django.db import transaction

from crm.errors import Invalid
from crm.mail.addresses import normalise
from crm.mail.doorbell import ring
from crm.mail.message import as_subject
from crm.models import Organization, OutboxMail, Purpose, User


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


def new_message_id(sender: str) -> str:
    """A `Message-ID` for one reservation, in the domain of `sender`. It is stored, and kept on every attempt."""
    domain = sender.rpartition("@")[2].strip("<> ")
    return f"<{uuid.uuid4()}@{domain}>"


def _normal_if_valid(address: str) -> str:
    try:
        return normalise(address)
    except Invalid:
        return address
