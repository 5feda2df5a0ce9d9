"""What mail servers report of mails that had left: they bounced (RFC 3464), or somebody complained (RFC 5965)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message
from email.parser import HeaderParser

from crm.mail import received, unsubscribe
from crm.mail.received import clean, header, one_line

_STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.]*\d)")
_REPLY_CODE = re.compile(r"(?<![\d.])([45])\d\d(?![\d.]*\d)")
_COPIED_ID = re.compile(r"^>?[ \t]*Message-ID:\s*(<[!-;=?-~]{1,900}>)", re.IGNORECASE | re.MULTILINE)
_SERVERS = re.compile(r"(mailer-daemon|postmaster|mail-daemon)@|^<>$|^mailer-daemon$", re.IGNORECASE)
_COPIES = frozenset({"message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers"})
_VAGUE = ("5.0.0", "4.0.0")


@dataclass(frozen=True)
class Original:
    """What a report says of the mail that it is about: any of it may be missing or forged."""

    envelope: str = ""  # texts in which our bounce address may stand
    message_ids: list[str] = field(default_factory=list)
    unsubscribe_token: str | None = None


@dataclass(frozen=True)
class Bounce:
    """`status` is the code of RFC 3463, empty where none was given. A delay is not the end: the server tries on."""

    original: Original
    is_delay: bool
    status: str
    text: str


@dataclass(frozen=True)
class Complaint:
    """Somebody called the mail spam. `kind`: abuse, fraud, … (RFC 5965 7.3)."""

    original: Original
    kind: str


def report_in(message: Message) -> Bounce | Complaint | None:
    """The report that `message` is; None where it is none, or one of success."""
    parts = list(received.parts(message))
    for part in parts:
        kind = part.get_content_type()
        if kind == "message/feedback-report":
            return _complaint(part, parts)
        if kind in ("message/delivery-status", "message/global-delivery-status"):
            return _bounce(part, parts)
    return _bounce_in_words(message)


def _complaint(part: Message, parts: list[Message]) -> Complaint | None:
    fields = next(_blocks(part), {})
    kind = fields.get("feedback-type", "abuse").lower()
    if kind == "not-spam":
        return None
    return Complaint(_original(parts, fields.get("original-mail-from", "")), kind)


def _bounce(part: Message, parts: list[Message]) -> Bounce | None:
    """Of several recipients, the first that failed: our mails have one."""
    reported = [block for block in _blocks(part) if "action" in block or "status" in block]
    action = {id(block): block.get("action", "failed").lower() for block in reported}
    failed = [block for block in reported if action[id(block)] == "failed"]
    delayed = [block for block in reported if action[id(block)] == "delayed"]
    if not failed and not delayed:
        return None
    block = (failed or delayed)[0]
    answer = block.get("diagnostic-code", "").partition(";")[2].strip() or block.get("diagnostic-code", "")
    status = _first(_STATUS, block.get("status", ""))
    if status in ("", *_VAGUE):  # some servers leave the exact code in what the next one answered
        status = _first(_STATUS, answer) or status
    return Bounce(_original(parts), not failed, status, one_line(answer) or status)


def _bounce_in_words(message: Message) -> Bounce | None:
    """Of servers that write no DSN, such as qmail: known by who says it, read by looking for a code."""
    if not header(message, "X-Failed-Recipients") and not is_from_server(message):
        return None
    text = next((received.text_of(part) for part in received.parts(message) if _is_text(part)), "")
    said = text.partition("\n--- Below this line")[0]
    code = _REPLY_CODE.search(said)
    status = _first(_STATUS, said) or (f"{code[1]}.0.0" if code else "")
    if not status and not header(message, "X-Failed-Recipients"):
        return None  # servers say other things too
    original = Original(message_ids=_COPIED_ID.findall(text)[:1])
    return Bounce(original, False, status, one_line(" ".join(said.split())))


def is_from_server(message: Message) -> bool:
    """Whether no person wrote this: it is from a mail server."""
    return any(_SERVERS.search(value) for value in received.headers(message, "From"))


def _original(parts: list[Message], envelope: str = "") -> Original:
    copy = next((_copied(part) for part in parts if part.get_content_type() in _COPIES), None)
    if copy is None:
        return Original(envelope)
    texts = [envelope, *(header(copy, name) for name in ("Return-Path", "X-Original-Sender"))]
    token = unsubscribe.token_in(str(copy.get("List-Unsubscribe", ""))[:2000])
    return Original(" ".join(texts), received.message_ids(copy, "Message-ID"), token)


def _copied(part: Message) -> Message:
    inside = part.get_payload()
    if isinstance(inside, list) and inside and part.get_content_maintype() == "message" and inside[0].keys():
        return inside[0]
    return HeaderParser().parsestr(received.text_of(part).lstrip("\n"))


def _blocks(part: Message) -> Iterator[dict[str, str]]:
    """The groups of fields in a machine-readable part; names in lower case, the first of each name."""
    inside = part.get_payload()
    for block in inside if isinstance(inside, list) else [_copied(part)]:
        yield _fields(block)
        rest = block.get_payload()
        for text in re.split(r"\n\s*\n", clean(rest)) if isinstance(rest, str) else ():
            yield _fields(HeaderParser().parsestr(text.lstrip("\n")))


def _fields(block: Message) -> dict[str, str]:
    return {name.lower(): one_line(str(value)) for name, value in reversed(block.items())}


def _is_text(part: Message) -> bool:
    return part.get_content_type() == "text/plain"


def _first(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found[1] if found else ""
