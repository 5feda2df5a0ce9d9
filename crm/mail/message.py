"""An outbox row as a message: built by the standard library's classes, never by joining strings."""

import re
from email.headerregistry import Address, AddressHeader, UnstructuredHeader
from email.message import EmailMessage
from email.policy import SMTP
from functools import lru_cache

from django.utils import timezone

from crm.errors import Invalid
from crm.mail.addresses import has_controls, is_control, normalise
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
    message["From"] = _from_header(mail.sender)
    message["To"] = _address("", mail.address)
    message["Subject"] = _subject_header(mail.subject)
    message["Date"] = timezone.now()
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


def envelope_sender(mail: OutboxMail) -> str:
    """The address that the message says it is from."""
    return _from_header(mail.sender).addresses[0].addr_spec


def as_sender(name: str, address: str) -> str:
    """The text to store as `OutboxMail.sender`. `Invalid` for no address, or controls in the name."""
    return str(_address(_plain(name, "sender's name"), address))


def as_subject(text: str) -> str:
    """`text` as a subject that can be sent: on one line, with nothing in it that a mail program would decode."""
    return "".join(" " if is_control(character) else character for character in text).replace("=?", "= ?").strip()


# Thousands of mails have one sender, and often one subject; parsing these took a fifth of the time of sending.
@lru_cache(maxsize=1000)
def _from_header(sender: str) -> AddressHeader:
    addresses = POLICY.header_factory("From", _plain(sender, "sender")).addresses
    if len(addresses) != 1:
        raise Invalid(["The sender is not one e-mail address."])
    return POLICY.header_factory("From", _address(addresses[0].display_name, addresses[0].addr_spec))


@lru_cache(maxsize=1000)
def _subject_header(subject: str) -> UnstructuredHeader:
    return POLICY.header_factory("Subject", _plain(subject, "subject"))


def _address(name: str, address: str) -> Address:
    local, _, domain = normalise(address).rpartition("@")
    return Address(name, username=local, domain=domain)


def _plain(text: str, what: str) -> str:
    if has_controls(text):
        raise Invalid([f"The {what} holds a line break or another control character."])
    if _ENCODED_WORD.search(text):
        raise Invalid([f"The {what} holds an encoded word (RFC 2047)."])
    return text
