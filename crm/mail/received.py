"""A message that came in, read so that none can do harm: whatever it holds, an answer comes soon, in flat memory.

The standard library's newer header classes fail on some broken headers, so this reads with its older policy, which
keeps what it finds, and decodes by itself. Texts come out without NUL and lone surrogates, cut to a length.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesHeaderParser, BytesParser
from email.utils import getaddresses

from crm.errors import Invalid
from crm.mail.addresses import CONTROLS, normalise

# What is told stands at the front of a message, attachments after it. Half a megabyte of line ends in 20 nested parts,
# the worst there is, takes seconds; in 500 parts it would take minutes.
READ_BYTES = 512 * 1024
MAX_NESTING = 20
HEADER_LENGTH = 1000  # characters
TEXT_LENGTH = 32_000
MAX_NAMES = 50  # of addresses or message ids in one header

_NESTING = re.compile(rb"boundary|content-type:\s*message/", re.IGNORECASE)
_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,900}>")  # of printable ASCII, as all servers make them
_SURPRISES = (ValueError, LookupError, AttributeError, TypeError, AssertionError, RecursionError, HeaderParseError)


class Unreadable(Exception):
    """This is no message at all."""


def read(content: bytes) -> Message:
    """The message in the first READ_BYTES of `content`. One with too many parts comes as its headers alone.

    Raises `Unreadable` where there is not one header.
    """
    content = content[:READ_BYTES].lstrip(b"\r\n")
    if content.startswith(b"From "):  # the line that mailbox files and some pipes put first
        content = content.partition(b"\n")[2]
    parser = BytesHeaderParser() if len(_NESTING.findall(content)) > MAX_NESTING else BytesParser()
    try:
        message = parser.parsebytes(content)
    except _SURPRISES:
        message = BytesHeaderParser().parsebytes(content)
    if not message.keys():
        raise Unreadable("This is not a message: it has no header.")
    return message


def header(message: Message, name: str) -> str:
    """The first header of that name on one line, decoded; empty without one."""
    return next(headers(message, name), "")


def headers(message: Message, name: str) -> Iterator[str]:
    """All headers of that name, each as `header` has it."""
    for text in _raw(message, name):
        with suppress(*_SURPRISES):  # an unknown charset, or broken base 64: better as it stands than not at all
            text = str(make_header(decode_header(text)))
        yield one_line(text)


def _raw(message: Message, name: str) -> Iterator[str]:
    try:
        found = message.get_all(name) or []
    except _SURPRISES:
        return
    for value in found[:MAX_NAMES]:
        yield str(value)[: HEADER_LENGTH * 10]


def one_line(text: str) -> str:
    return clean(CONTROLS.sub(" ", text), HEADER_LENGTH).strip()


def clean(text: str, length: int = TEXT_LENGTH) -> str:
    """`text` as PostgreSQL takes it, cut to `length`."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()[:length]


def addresses(message: Message, *names: str) -> list[str]:
    """The addresses in these headers, normalised; what is none is left out."""
    found: dict[str, None] = {}
    for name in names:
        for value in headers(message, name):
            try:
                pairs = getaddresses([value])
            except _SURPRISES:
                continue
            for _, address in pairs[:MAX_NAMES]:
                try:
                    found[normalise(address)] = None
                except Invalid:
                    continue
    return list(found)


def message_ids(message: Message, *names: str) -> list[str]:
    """The message ids in these headers, the last one of each first: that is the nearest."""
    found: list[str] = []
    for name in names:
        for value in _raw(message, name):
            found += reversed(_MESSAGE_ID.findall(value))
    return list(dict.fromkeys(found))[:MAX_NAMES]


def parts(message: Message) -> Iterator[Message]:
    """`message` if it is one part, else its parts in order. A message inside it is one part."""
    waiting = [message]
    while waiting:
        part = waiting.pop()
        if part.get_content_maintype() == "multipart" and part.is_multipart():
            waiting += reversed(part.get_payload())
        else:
            yield part


def text_of(part: Message) -> str:
    """The text of a part in whatever charset it claims; what cannot be decoded is replaced."""
    try:
        content = part.get_payload(decode=True)
        charset = part.get_content_charset("utf-8")
    except _SURPRISES:
        content, charset = None, "utf-8"
    if not isinstance(content, bytes):
        return ""
    try:
        text = content.decode(charset, "replace")
    except (LookupError, ValueError):  # a charset that nobody knows, or one that decodes no text
        text = content.decode("utf-8", "replace")
    return clean(text.replace("\r\n", "\n"))


def bodies(message: Message) -> tuple[str | None, str | None]:
    """The first text and the first HTML that are not attached files."""
    found: dict[str, str] = {}
    for part in parts(message):
        kind = part.get_content_type()
        if kind in ("text/plain", "text/html") and kind not in found and not _is_attached(part):
            found[kind] = text_of(part)
    return found.get("text/plain"), found.get("text/html")


def _is_attached(part: Message) -> bool:
    return header(part, "Content-Disposition").lower().startswith("attachment")
