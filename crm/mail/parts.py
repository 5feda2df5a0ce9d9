"""What goes along with a mail: addresses of copies, and links to files."""

from collections.abc import Sequence
from html import escape
from urllib.parse import urlsplit

from crm.errors import FieldErrors, Invalid
from crm.mail.addresses import has_controls, normalise
from crm.text import clean_name, clean_text

MAX_ADDRESSES = 50  # of one list
MAX_ATTACHMENTS = 20
_LONGEST_LINK = 2_000  # characters
_LONGEST_WORD = 255  # characters of a file's name, of a content type

Attachment = dict[str, object]


def clean_addresses(value: object, *, path: str) -> list[str]:
    """A list of addresses in the form that is stored; `FieldErrors`, nested like the list, for what is none."""
    if not isinstance(value, list):
        raise FieldErrors({path: "Value must be a list."})
    if len(value) > MAX_ADDRESSES:
        raise FieldErrors({path: f"List is too long: at most {MAX_ADDRESSES}."})
    found: list[str] = []
    problems: dict[str, object] = {}
    for position, address in enumerate(value):
        try:
            found.append(normalise(clean_text(address, path=str(position))))
        except FieldErrors as problem:
            problems |= problem.field_errors
        except Invalid as problem:
            problems[str(position)] = problem.errors[0]
    if problems:
        raise FieldErrors({path: problems})
    return list(dict.fromkeys(found))


def clean_attachments(value: object, *, path: str = "attachments") -> list[Attachment]:
    """Links to files, `{url, filename, content_type, size}`. `FieldErrors` for one that is not http or https."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise FieldErrors({path: "Value must be a list."})
    if len(value) > MAX_ATTACHMENTS:
        raise FieldErrors({path: f"List is too long: at most {MAX_ATTACHMENTS}."})
    found: list[Attachment] = []
    problems: dict[str, object] = {}
    for position, item in enumerate(value):
        try:
            found.append(_attachment(item))
        except FieldErrors as problem:
            problems[str(position)] = problem.field_errors
    if problems:
        raise FieldErrors({path: problems})
    return found


def with_links(text: str, html: str | None, attachments: Sequence[Attachment]) -> tuple[str, str | None]:
    """Text and HTML with the links to the attachments at their end, since files are not kept here."""
    links = [(str(one.get("filename") or one["url"]), str(one["url"])) for one in attachments]
    if links:
        text += "\n\n" + "\n".join(f"{name}: {url}" if name != url else url for name, url in links)
        shown = "<br>".join(f'<a href="{escape(url)}">{escape(name)}</a>' for name, url in links)
        html = None if html is None else f"{html}<p>{shown}</p>"
    return text, html


def _attachment(item: object) -> Attachment:
    if not isinstance(item, dict):
        raise FieldErrors({"url": "Value must be an object with a url."})
    url = clean_name(item.get("url") or "", path="url", limit=_LONGEST_LINK)
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if (
        parts.scheme not in ("http", "https")
        or not parts.netloc
        or has_controls(url)
        or any(sign in url for sign in ' <>"')
    ):
        raise FieldErrors({"url": "Value must be a link that begins with https:// or http://."})
    texts: Attachment = {"url": url}
    for key in ("filename", "content_type"):
        text = clean_text(item.get(key) or "", path=key, limit=_LONGEST_WORD)
        if has_controls(text):
            raise FieldErrors({key: "Value must be one line without control characters."})
        texts[key] = text or None
    size = item.get("size")
    if size is not None and (isinstance(size, bool) or not isinstance(size, int) or not 0 <= size < 2**53):
        raise FieldErrors({"size": "Value must be a number of bytes."})
    return {**texts, "size": size}
