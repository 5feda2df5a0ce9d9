"""An outbox row as a message: built by the standard library's classes, never by joining strings."""

import re
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from django.utils import timezone

from crm.errors import Invalid
from crm.mail.addresses import has_controls, normalise
from crm.models import OutboxMail, Purpose

POLICY = SMTP.clone(cte_type="7bit")  # not every relay takes 8BITMIME

# Set here or by the relay: a row that brings its own would make a message with two of them, or break its parts.
_OWN_HEADERS = frozenset(
    {"from", "to", "cc", "bcc", "sender", "subject", "date", "message-id", "auto-submitted", "mime-version", "received"}
)
_HEADER_NAME = re.compile(r"[A-Za-z0-9-]+")  # narrower than RFC 5322, which allows almost every sign
# The standard library decodes such a word in what it is given, and so could make a line break out of plain letters.
_ENCODED_WORD = re.compile(r"=\?[^?\s]+\?[bq]\?[^?]*\?=", re.IGNORECASE)


def build(mail: OutboxMail) -> EmailMessage:
    """The message of `mail`, ready for the wire. `Invalid` where a header would not say exactly what the row says."""
    message = EmailMessage(policy=POLICY)
    message["From"] = sender_of(mail)
    message["To"] = Address(addr_spec=normalise(mail.address))
    message["Subject"] = _plain(mail.subject, "subject")
    message["Date"] = format_datetime(timezone.now())
    message["Message-ID"] = _plain(mail.message_id, "Message-ID")
    if mail.purpose == Purpose.NOTICE:
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834; never on what a person sends
    for name, value in mail.headers.items():
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _OWN_HEADERS or name.lower().startswith("content-"):
            raise Invalid([f"The header {name!r} cannot be set."])
        message[name] = _plain(value, f"header {name}")
    message.set_content(mail.body_text)
    if mail.body_html is not None:
        message.add_alternative(mail.body_html, subtype="html")
    return message


def sender_of(mail: OutboxMail) -> Address:
    """Who the message says it is from; its address is also the envelope's sender."""
    addresses = POLICY.header_factory("From", _plain(mail.sender, "sender")).addresses
    if len(addresses) != 1:
        raise Invalid(["The sender is not one e-mail address."])
    return Address(addresses[0].display_name, addr_spec=normalise(addresses[0].addr_spec))


def as_sender(name: str, address: str) -> str:
    """The text to store as `OutboxMail.sender`. `Invalid` for no address, or controls in the name."""
    return str(Address(_plain(name, "sender's name"), addr_spec=normalise(address)))


def _plain(text: str, what: str) -> str:
    if has_controls(text):
        raise Invalid([f"The {what} holds a line break or another control character."])
    if _ENCODED_WORD.search(text):
        raise Invalid([f"The {what} holds an encoded word (RFC 2047)."])
    return text
