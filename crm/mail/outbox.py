"""Writing mail down, so that it leaves once: whoever reserves the same mail twice sends it once."""

import uuid
from collections.abc import Iterable
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction

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


_FORGET = """
UPDATE crm_outboxmail AS mail
SET address = 'erased-' || mail.id, subject = '', body_text = '', body_html = NULL, headers = '{}',
    error_message = NULL, state = CASE state WHEN 'reserved' THEN 'withheld' ELSE state END
WHERE organization_id = %(organization)s AND purpose <> 'notice' AND address = ANY(%(addresses)s)
  AND NOT EXISTS (
    SELECT FROM crm_contactemail AS kept
    WHERE kept.organization_id = %(organization)s AND lower(btrim(kept.email)) = mail.address)
"""


def forget_mails(organization_id: UUID, emails: Iterable[str]) -> int:
    """Empty the organization's mails to these addresses of what they say, and to whom; returns how many.

    Only addresses that none of its contacts has any more. What has not left yet is withheld. Reads the whole outbox.
    """
    addresses = list({_normal_if_valid(email) for email in emails})
    if not addresses:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(_FORGET, {"organization": organization_id, "addresses": addresses})
        return cursor.rowcount


def new_message_id(sender: str) -> str:
    """A `Message-ID` for one reservation, in the domain of `sender`. It is stored, and kept on every attempt."""
    domain = sender.rpartition("@")[2].strip("<> ")
    return f"<{uuid.uuid4()}@{domain}>"


def _normal_if_valid(address: str) -> str:
    try:
        return normalise(address)
    except Invalid:
        return address
