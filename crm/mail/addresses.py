"""The one form in which an e-mail address is stored, compared and written to."""

import re

from django.core.exceptions import ValidationError
from django.core.validators import EmailValidator

from crm.errors import Invalid

MAX_OCTETS = 254  # RFC 5321 4.5.3.1.3, less the angle brackets
MAX_LOCAL_OCTETS = 64  # RFC 5321 4.5.3.1.1

CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")  # and what some reader takes for a line end

_is_address = EmailValidator(allowlist=[])


def has_controls(text: str) -> bool:
    """Whether `text` holds CR, LF, NUL, another control, or a character that some reader takes for a line end."""
    return CONTROLS.search(text) is not None


def normalise(text: str) -> str:
    """`text` as an address: trimmed, in lower case, its domain in A-labels. `Invalid` where it is no address.

    Lower case in the local part too: whoever unsubscribed as `Jo@…` must not be written to as `jo@…`, and one job
    writes to both once. A local part outside ASCII is refused, since not every relay speaks SMTPUTF8.
    """
    address = text.strip(" \t").lower()
    local, at, domain = address.rpartition("@")
    if not at or has_controls(address):
        raise Invalid(["This is not an e-mail address."])
    try:
        address = f"{local}@{domain.encode('idna').decode('ascii')}"
        _is_address(address)
    except (UnicodeError, ValidationError):
        raise Invalid(["This is not an e-mail address."]) from None
    if len(address) > MAX_OCTETS or len(local) > MAX_LOCAL_OCTETS:
        raise Invalid(["This e-mail address is too long."])
    return address
