"""Addresses of ours that name one mail: `bounce+{token}@…` as envelope sender (VERP), `unsubscribe+{token}@…`.

Nothing is stored: the token is the outbox row's key with a keyed digest. It is in base 32 since servers on the way may
change the case of a local part, and `bounce+` and 42 characters stay below the 64 octets of RFC 5321 4.5.3.1.1.
"""

import base64
import binascii
import hmac
import re
from enum import StrEnum
from uuid import UUID

from django.conf import settings
from django.utils.crypto import salted_hmac

from crm.models import OutboxMail, Purpose

_DIGEST_BYTES = 10
_ADDRESS = re.compile(r"(bounce|unsubscribe)\+([a-z2-7]{42})@", re.IGNORECASE)


class Box(StrEnum):
    BOUNCE = "bounce"
    UNSUBSCRIBE = "unsubscribe"


def address_of(box: Box, mail_id: UUID) -> str | None:
    """The address of that mail's box, or None where INBOUND_MAIL_DOMAIN is not set."""
    if not settings.INBOUND_MAIL_DOMAIN:
        return None
    token = _spelled(mail_id.bytes) + _spelled(_digest(box, mail_id, settings.SECRET_KEY))
    return f"{box}+{token}@{settings.INBOUND_MAIL_DOMAIN}"


def envelope_sender(mail: OutboxMail, own: str) -> str:
    """Who is told when `mail` cannot be delivered: its bounce box, or `own` without one. Notices keep `own`."""
    if mail.purpose == Purpose.NOTICE:
        return own
    return address_of(Box.BOUNCE, mail.id) or own


def mail_of(text: str, box: Box) -> UUID | None:
    """The key of the mail that the first genuine address of that box in `text` names. The domain is not looked at."""
    for found in _ADDRESS.finditer(text):
        name, token = found.groups()
        try:
            mail_id = UUID(bytes=_read(token[:26]))
            digest = _read(token[26:])
        except (binascii.Error, ValueError):
            continue
        keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
        if name.lower() == box and any(hmac.compare_digest(digest, _digest(box, mail_id, key)) for key in keys):
            return mail_id
    return None


def _digest(box: Box, mail_id: UUID, key: str) -> bytes:
    return salted_hmac(f"crm.mail.verp.{box}", mail_id.bytes, secret=key, algorithm="sha256").digest()[:_DIGEST_BYTES]


def _spelled(content: bytes) -> str:
    return base64.b32encode(content).decode().rstrip("=").lower()


def _read(text: str) -> bytes:
    return base64.b32decode(text + "=" * (-len(text) % 8), casefold=True)
