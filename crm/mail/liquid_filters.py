"""The filters of templates: those of Liquid that work on text, numbers and lists in bounded time.

Left out are `safe` (values are always escaped in HTML), decoding, and what looks into objects (`map`, `where`, ...).
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime

from liquid import Environment
from liquid.builtin.filters import array, math, misc, string
from liquid.exceptions import FilterArgumentError
from liquid.filter import liquid_filter, string_filter, with_environment
from markupsafe import Markup

MAX_VALUE = 100_000  # characters or items of what a filter takes or gives
_LONGEST_FORMAT = 100  # characters of the format of a date
_HTML_TAG = re.compile(r"<[^<>]*>")


@string_filter
def _replace(value: str, old: object, new: object = "") -> str:
    old, new = str(old), str(new)
    if value.count(old) * len(new) > MAX_VALUE:
        raise FilterArgumentError("the result would be too long", token=None)
    return string.replace(value, old, new)


@with_environment
@liquid_filter
def _join(values: object, separator: object = " ", *, environment: Environment) -> object:
    if isinstance(values, Sequence) and not isinstance(values, str):
        if sum(len(str(one)) for one in values) + len(values) * len(str(separator)) > MAX_VALUE:
            raise FilterArgumentError("the result would be too long", token=None)
        values = list(values)
    return array.join(values, separator, environment=environment)


@string_filter
def _strip_html(value: str) -> str:
    stripped = _HTML_TAG.sub("", value)
    return Markup(stripped) if isinstance(value, Markup) else stripped


@liquid_filter
def _date(value: object, format: object) -> str:
    """A date or moment, in ISO 8601 as the variables have them, by the directives of `strftime`; else as it is."""
    text, pattern = str(value), str(format)
    if len(pattern) > _LONGEST_FORMAT:
        raise FilterArgumentError(f"the format has more than {_LONGEST_FORMAT} characters", token=None)
    if text in ("now", "today"):
        return datetime.now(UTC).strftime(pattern)
    try:
        moment = date.fromisoformat(text) if len(text) == len("2031-03-16") else datetime.fromisoformat(text)
    except ValueError:
        return text
    return moment.strftime(pattern)


FILTERS: dict[str, Callable[..., object]] = {
    "abs": math.abs_,
    "append": string.append,
    "at_least": math.at_least,
    "at_most": math.at_most,
    "capitalize": string.capitalize,
    "ceil": math.ceil,
    "date": _date,
    "default": misc.default,
    "divided_by": math.divided_by,
    "downcase": string.downcase,
    "escape": string.escape,
    "escape_once": string.escape_once,
    "first": array.first,
    "floor": math.floor,
    "join": _join,
    "last": array.last,
    "lstrip": string.lstrip,
    "minus": math.minus,
    "modulo": math.modulo,
    "newline_to_br": string.newline_to_br,
    "plus": math.plus,
    "prepend": string.prepend,
    "remove": string.remove,
    "remove_first": string.remove_first,
    "replace": _replace,
    "replace_first": string.replace_first,
    "round": math.round_,
    "rstrip": string.rstrip,
    "size": misc.size,
    "slice": string.slice_,
    "split": string.split,
    "squish": string.squish,
    "strip": string.strip,
    "strip_html": _strip_html,
    "strip_newlines": string.strip_newlines,
    "times": math.times,
    "truncate": string.truncate,
    "truncatewords": string.truncatewords,
    "upcase": string.upcase,
    "url_encode": string.url_encode,
}
