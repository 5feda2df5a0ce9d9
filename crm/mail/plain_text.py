"""The plain text part of a mail, made from its HTML."""

import re
from html import unescape
from itertools import pairwise

from inscriptis import get_text
from inscriptis.css_profiles import CSS_PROFILES
from inscriptis.model.config import ParserConfig

from crm.mail.liquid import WrongSource, compiled, tags_of

MAX_LAID_OUT = 200_000  # characters of HTML; a longer one is only stripped of its tags

# Links are shown with their targets: a mail without those would have lost them.
_CONFIG = ParserConfig(css=CSS_PROFILES["strict"], display_links=True)
# Tables lay out most mails, and hold no tables. Padding their cells also makes gigabytes of a bad one.
_TABLE_PART = re.compile(r"<(/?)(table|thead|tbody|tfoot|tr|td|th)\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")
_HIDDEN = re.compile(r"<!--|<(style|script|title)\b", re.IGNORECASE)
_HIDDEN_END = {
    "": re.compile("-->"),
    **{name: re.compile(f"</{name}\\s*>", re.IGNORECASE) for name in ("style", "script", "title")},
}
_BLANK_LINES = re.compile(r"\n[ \t]*\n\s*\n")
# Stand for the tags of a template while HTML is read; of no meaning to anybody (Unicode: private use).
_OPEN, _CLOSE = "\ue000", "\ue001"
_MARK = re.compile(f"{_OPEN}([0-9]+){_CLOSE}")


def text_of_html(html: str) -> str:
    """What a person would read in `html`."""
    return tidy(_laid_out(html))


def text_of_template(body: str) -> str:
    """The template of the text part: what a person would read in `body`, with its variables and tags in their places.

    Raises `WrongSource` where none can be made, since tags cross those of the HTML.
    """
    marked, tags = _marked(body)
    stripped = _stripped(marked)
    for text in (_laid_out(marked), stripped):
        order = [int(mark[1]) for mark in _MARK.finditer(text)]
        lost = set(_MARK.findall(stripped)) - set(_MARK.findall(text))
        if not lost and all(before < after for before, after in pairwise(order)):
            made = _MARK.sub(lambda mark: tags[int(mark[1])], tidy(text))
            try:
                compiled(made, html=False, strict=False)
            except WrongSource:
                continue
            return made
    raise WrongSource("The tags cross those of the HTML, so that no text part can be made.", body, 0)


def _marked(body: str) -> tuple[str, list[str]]:
    """`body` with a mark in place of each tag of the template, and the tags."""
    body = body.replace(_OPEN, "").replace(_CLOSE, "")
    parts: list[str] = []
    tags: list[str] = []
    position = 0
    for start, end in tags_of(body):
        parts += [body[position:start], f"{_OPEN}{len(tags)}{_CLOSE}"]
        tags.append(body[start:end])
        position = end
    return "".join([*parts, body[position:]]), tags


def _laid_out(html: str) -> str:
    if len(html) > MAX_LAID_OUT:
        return _stripped(html)
    flat = _TABLE_PART.sub(_flattened, html)
    try:
        return get_text(flat, _CONFIG)
    except (ValueError, RecursionError):  # nested deeper than anybody writes
        return _stripped(html)


def _flattened(part: re.Match[str]) -> str:
    name = "span" if part[2].lower() in ("td", "th") else "div"
    return f" </{name}>" if part[1] else f"<{name}>"


def _stripped(html: str) -> str:
    """`html` without its tags and what is not to be read. In linear time, whatever it is."""
    parts: list[str] = []
    position = 0
    while hidden := _HIDDEN.search(html, position):
        end = _HIDDEN_END["" if hidden[1] is None else hidden[1].lower()].search(html, hidden.end())
        parts.append(html[position : hidden.start()])
        position = end.end() if end else len(html)
    return unescape(_TAG.sub("", "".join([*parts, html[position:]])))


def tidy(text: str) -> str:
    """`text` without blanks at the ends of lines and without more than one empty line at a time."""
    lines = "\n".join(line.rstrip() for line in text.splitlines())
    return _BLANK_LINES.sub("\n\n", lines).strip("\n")
