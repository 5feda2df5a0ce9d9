"""The way out that every bulk and sequence mail offers: headers that mail programs know, and a link (RFC 2369, 8058).

A token holds organization, recipient and source under an HMAC, so nothing is stored. It does not expire: whoever finds
an old mail may use it, and providers ask for 60 days at least.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from crm.mail.verp import Box, address_of
from crm.models import OutboxMail, Purpose

PURPOSES = frozenset({Purpose.BULK, Purpose.SEQUENCE})
_NOBODY = UUID(int=0)
_SALT = "crm.mail.unsubscribe"
_BODY_END = re.compile(r"</body\s*>", re.IGNORECASE)


@dataclass(frozen=True)
class Recipient:
    """Whose mail from whom. `source_id` is what asked for the mail that held the link."""

    organization_id: UUID
    address: str
    source_id: UUID | None


def token_for(organization_id: UUID, address: str, source_id: UUID | None) -> str:
    """Letters, digits, `-`, `_` and a point: about 120 of them for a usual address."""
    content = organization_id.bytes + (source_id or _NOBODY).bytes + address.encode()
    return _signed(base64.urlsafe_b64encode(content).decode().rstrip("="), settings.SECRET_KEY)


def read_token(token: str) -> Recipient | None:
    """What the token says, or None where it is not one of ours."""
    try:
        text = _signer().unsign(token)
        content = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        source_id = UUID(bytes=content[16:32])
        return Recipient(UUID(bytes=content[:16]), content[32:].decode(), source_id if source_id != _NOBODY else None)
    except (BadSignature, binascii.Error, ValueError):
        return None


def link_for(organization_id: UUID, address: str, source_id: UUID | None) -> str:
    """The page to unsubscribe on. The same three give the same link. `address`: normalised."""
    return f"{settings.PUBLIC_URL}/u/{token_for(organization_id, address, source_id)}"


def link_of(mail: OutboxMail) -> str:
    return link_for(mail.organization_id, mail.address, mail.source_id)


def token_in(text: str) -> str | None:
    """The token of the first link in `text`, whatever its host was when it was written."""
    found = re.search(r"/u/([\w-]{20,600}\.[\w-]{43})", text, re.ASCII)
    return found[1] if found else None


def uris_of(mail: OutboxMail) -> list[str]:
    """What `List-Unsubscribe` is to name: the link, and where mail can come in a box of ours. Empty for other mail."""
    if mail.purpose not in PURPOSES:
        return []
    box = address_of(Box.UNSUBSCRIBE, mail.id)
    return [link_of(mail), *([f"mailto:{box}"] if box else [])]


def bodies_of(mail: OutboxMail) -> tuple[str, str | None]:
    """Text and HTML of `mail`, with a link at the end of each where its organization requires one and none is there."""
    text, html = mail.body_text, mail.body_html
    if mail.purpose not in PURPOSES or not mail.organization.require_unsubscribe_link:
        return text, html
    link, sender = link_of(mail), mail.organization.postal_address.strip()
    if link not in text:
        text = "\n".join([text.rstrip(), "", "-- ", *([sender] if sender else []), f"Unsubscribe: {link}", ""])
    if html is not None and link not in html:
        html = _put_at_end(html, _visible(link, sender))
    return text, html


def _visible(link: str, sender: str) -> SafeString:
    lines = format_html_join("", "{}<br>", ((line,) for line in sender.splitlines()))
    return format_html(
        '<p style="margin-top:2em;color:#666;font-size:small">{}<a href="{}">Unsubscribe</a></p>', lines, link
    )


def _put_at_end(html: str, part: str) -> str:
    ends = list(_BODY_END.finditer(html))
    place = ends[-1].start() if ends else len(html)
    return html[:place] + part + html[place:]


@lru_cache(maxsize=16)  # headers and bodies of a mail name the same link
def _signed(text: str, key: str) -> str:
    return Signer(key=key, salt=_SALT, sep=".").sign(text)


def _signer() -> Signer:
    return Signer(salt=_SALT, sep=".")
