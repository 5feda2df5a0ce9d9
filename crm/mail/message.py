"""An outbox row as a message: built by the standard library's classes, never by joining strings."""

import base64
import binascii
import re
import uuid
from collections.abc import Iterator
from email.headerregistry import Address, AddressHeader, HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage
from email.policy import SMTP, Policy
from email.utils import format_datetime
from functools import lru_cache

from django.utils import timezone

from crm.errors import Invalid
from crm.mail import unsubscribe, verp
from crm.mail.addresses import CONTROLS, has_controls, normalise
from crm.models import OutboxMail, Purpose


class UriListHeader:
    """`<uri>, <uri>`, one on each line. The standard library would encode a long one (RFC 2047), which breaks it."""

    max_count = 1

    @staticmethod
    def parse(value: str, parts: dict[str, object]) -> None:
        parts["parse_tree"], parts["decoded"] = None, value

    def fold(self, *, policy: Policy) -> str:
        return f"{self.name}: {str(self).replace(', ', ',' + policy.linesep + ' ')}{policy.linesep}"


_headers = HeaderRegistry()
_headers.map_to_type("List-Unsubscribe", UriListHeader)
POLICY = SMTP.clone(cte_type="7bit", header_factory=_headers)  # not every relay takes 8BITMIME

_ONE_CLICK = POLICY.header_factory("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")  # RFC 8058 3.1
_UriList = _headers["List-Unsubscribe"]  # asked for by name, the registry would make a new class for each mail

# Set here or by the relay: a row that brings its own would make a message with two of them, or break its parts.
_OWN_HEADERS = frozenset(
    {"from", "to", "cc", "bcc", "sender", "subject", "date", "message-id", "auto-submitted", "mime-version", "received"}
    | {"list-unsubscribe", "list-unsubscribe-post"}
)
_SHORT_LINE = 76  # with the colon and the space at most 78 (RFC 5322 2.1.1)
_LONGEST_LINE = 990  # RFC 5322 allows 998
_HEADER_NAME = re.compile(r"[A-Za-z0-9-]+")  # narrower than RFC 5322, which allows almost every sign
# The standard library decodes such a word in what it is given, and so could make a line break out of plain letters.
_ENCODED_WORD = re.compile(r"=\?[^?\s]+\?[bq]\?[^?]*\?=", re.IGNORECASE)


def build(mail: OutboxMail) -> EmailMessage:
    """The message of `mail`. `Invalid` where a header would not say exactly what the row says."""
    message = EmailMessage(policy=POLICY)
    for name, value in _headers_of(mail):
        message[name] = value
    text, html = unsubscribe.bodies_of(mail)
    message.set_content(text)
    if html is not None:
        message.add_alternative(html, subtype="html")
    return message


def as_octets(mail: OutboxMail) -> bytes:
    """What `build` makes, as it goes over the wire: ASCII, CRLF line ends. Raises as `build` does.

    Written out here, since the standard library takes ten times as long for it as the mail server for the mail: it
    parses each header, and folds all of them anew for each recipient. It still folds those that need it.
    """
    lines = [_folded(name, value) for name, value in _headers_of(mail)]
    text, html = unsubscribe.bodies_of(mail)
    lines.append("MIME-Version: 1.0\r\n")
    head = "".join(lines).encode("ascii")
    plain = _part("plain", text)
    if html is None:
        return head + plain
    rich = _part("html", html)
    boundary = f"=_{uuid.uuid4().hex}".encode()  # nobody can have written it into a body
    return b"".join(
        (
            head,
            b'Content-Type: multipart/alternative; boundary="%s"\r\n\r\n' % boundary,
            *(b"--%s\r\n%s\r\n" % (boundary, part) for part in (plain, rich)),
            b"--%s--\r\n" % boundary,
        )
    )


def _headers_of(mail: OutboxMail) -> Iterator[tuple[str, object]]:
    yield "From", _from_header(mail.sender)
    headers = dict(mail.headers)
    if mail.purpose == Purpose.SINGLE:
        # Each recipient gets a message of their own, which names all of them (crm.mail.single).
        yield "To", _addresses(headers.pop("To", mail.address))
        if "Cc" in headers:
            yield "Cc", _addresses(headers.pop("Cc"))
    else:
        yield "To", _address("", mail.address)
    yield "Subject", _plain(mail.subject, "subject")
    yield "Date", format_datetime(timezone.now())
    yield "Message-ID", _plain(mail.message_id, "Message-ID")
    if mail.purpose == Purpose.NOTICE:
        yield "Auto-Submitted", "auto-generated"  # RFC 3834; never on what a person sends
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _OWN_HEADERS or name.lower().startswith("content-"):
            raise Invalid([f"The header {name!r} cannot be set."])
        yield name, _plain(value, f"header {name}")
    if uris := unsubscribe.uris_of(mail):
        yield "List-Unsubscribe", _UriList("List-Unsubscribe", ", ".join(f"<{uri}>" for uri in uris))
        yield "List-Unsubscribe-Post", _ONE_CLICK


def _folded(name: str, value: object) -> str:
    text = str(value)
    if len(name) + len(text) <= _SHORT_LINE and text.isascii() and text.isprintable() and "=?" not in text:
        return f"{name}: {text}\r\n"
    header = value if hasattr(value, "fold") else _header(name, text)
    return header.fold(policy=POLICY)


def _part(subtype: str, text: str) -> bytes:
    """A text as a part of a message: as it is where every relay takes that, else encoded (RFC 2045 6)."""
    lines = text.encode("utf-8").splitlines()
    content = b"".join(line + b"\r\n" for line in lines)
    if content.isascii() and b"\0" not in content and max(map(len, lines), default=0) <= _LONGEST_LINE:
        encoding = "7bit"
    elif len(content) - len(text) < len(content) // 6:  # mostly ASCII
        encoding, content = "quoted-printable", binascii.b2a_qp(content, istext=True)
    else:
        encoding, content = "base64", base64.encodebytes(content).replace(b"\n", b"\r\n")
    head = f'Content-Type: text/{subtype}; charset="utf-8"\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n'
    return head.encode() + content


def envelope_sender(mail: OutboxMail) -> str:
    """Where bounces of `mail` go: the address that it says it is from, or one that names the mail."""
    return verp.envelope_sender(mail, _from_header(mail.sender).addresses[0].addr_spec)


def as_sender(name: str, address: str) -> str:
    """The text to store as `OutboxMail.sender`. `Invalid` for no address, or controls in the name."""
    return str(_address(_plain(name, "sender's name"), address))


def as_subject(text: str) -> str:
    """`text` as a subject that can be sent: on one line, with nothing in it that a mail program would decode."""
    return CONTROLS.sub(" ", text).replace("=?", "= ?").strip()


# Thousands of mails have one sender, and often one long subject; parsing these took a fifth of the time of sending.
@lru_cache(maxsize=1000)
def _from_header(sender: str) -> AddressHeader:
    addresses = POLICY.header_factory("From", _plain(sender, "sender")).addresses
    if len(addresses) != 1:
        raise Invalid(["The sender is not one e-mail address."])
    return POLICY.header_factory("From", _address(addresses[0].display_name, addresses[0].addr_spec))


@lru_cache(maxsize=1000)
def _header(name: str, text: str) -> UnstructuredHeader:
    return POLICY.header_factory(name, text)


def _address(name: str, address: str) -> Address:
    local, _, domain = normalise(address).rpartition("@")
    return Address(name, username=local, domain=domain)


def _addresses(text: str) -> str:
    return ", ".join(str(_address("", one)) for one in text.split(", "))


def _plain(text: str, what: str) -> str:
    if has_controls(text):
        raise Invalid([f"The {what} holds a line break or another control character."])
    if _ENCODED_WORD.search(text):
        raise Invalid([f"The {what} holds an encoded word (RFC 2047)."])
    return text
