"""What an SMTP server's answer means for the mail, its address and the account (RFC 5321 4.2, RFC 3463).

5.7.x says nothing of the address: it is said of our address being listed, of relaying denied, of content. So it never
suppresses at once; like a mailbox that was full for three days it counts as one bounce, and three of those do.
"""

import re

from crm.mail import transport

FIRST_RETRY_SECONDS = 60  # doubled each time
MAX_ATTEMPTS = 13  # the last one 68 hours after the first
BOUNCES_THAT_SUPPRESS = 3  # mails to one address that ended in a refusal which may have passed

_ENHANCED = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?!\S)")
# RFC 3463 3.2 and RFC 7505: no such mailbox, no such domain, not an address, moved away, takes no mail at all.
_DEAD_ADDRESS = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10"})
_ASKS_FOR_PATIENCE = frozenset({421, 450, 451})


def enhanced_code(text: str) -> str | None:
    """The code of RFC 3463 that an answer's text starts with, such as `5.1.1`."""
    found = _ENHANCED.match(text)
    return ".".join(found.groups()) if found else None


def means_dead_address(answer: transport.Answered) -> bool:
    """Whether nobody will ever read mail at this address: no mail is to be sent there again."""
    return isinstance(answer, transport.Refused) and is_dead_address_code(enhanced_code(answer.text))


def is_dead_address_code(code: str | None) -> bool:
    """Whether this code of RFC 3463, of an answer or of a bounce that came later, says that of an address."""
    return code in _DEAD_ADDRESS


def may_pass(answer: transport.Answered) -> bool:
    """Of a mail that was given up: whether it ended by what may pass, 4xx for three days or a 5.7.1."""
    return isinstance(answer, transport.Deferred) or enhanced_code(answer.text) == "5.7.1"


def asks_for_patience(answer: transport.Answered) -> bool:
    """Whether the server means the account, not this mail: 421, 450 or 451, but not those about one mailbox (4.1, 4.2).

    Many servers greylist with 450 4.2.0; a list would crawl if each such answer held up the mails behind it.
    """
    if answer.code not in _ASKS_FOR_PATIENCE or isinstance(answer, transport.HungUp | transport.SenderRefused):
        return False
    return not (enhanced_code(answer.text) or "").startswith(("4.1.", "4.2."))


def retry_seconds(attempts: int) -> float | None:
    """How long a mail waits after its next refusal, when it was tried `attempts` times before; None: give it up."""
    return None if attempts + 1 >= MAX_ATTEMPTS else FIRST_RETRY_SECONDS * 2**attempts
