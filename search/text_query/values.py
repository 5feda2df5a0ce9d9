"""From the sign and the value of `field:value` to the condition that they mean for a kind of field."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo

from search.errors import shown
from search.text import words
from search.text_query.syntax import Match, Unclear

Json = dict[str, object]
EXISTS: Json = {"type": "exists"}

_NUMBER = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,15})?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}"
    r"(?P<seconds>:[0-9]{2}(?P<part>\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:?[0-9]{2})?"
)
_LEAST = timedelta(microseconds=1)
_TRUTHS = {"true": True, "yes": True, "false": False, "no": False}


def is_star(match: Match) -> bool:
    """Whether it is `field:*`: has a value."""
    return match.value == "*" and not match.is_quoted and match.sign in ":="


def text_mode(match: Match) -> str:
    """The mode that `match` asks for on a text: whole value, beginnings, or these words one after the other."""
    if match.sign == "=":
        return "exact_value"
    if match.sign != ":":
        raise Unclear("texts are compared by `:` or `=`.", match.value_at)
    return "phrase" if match.is_quoted else mode_of_word(match.value, match.value_at)


def mode_of_word(word: str, at: int) -> str:
    """`moss*` means beginnings; a word with signs in it, such as an e-mail address, means its parts in their order."""
    star = word.find("*")
    if star >= 0:
        if star != len(word) - 1:
            raise Unclear(
                "`*` stands alone or at the end of a word; put other uses between quotation marks.", at + star
            )
        return "beginning_of_words"
    return "phrase" if len(words(word)) > 1 else "full_words"


def text(match: Match) -> Json:
    mode = text_mode(match)
    return {"type": "text", "mode": mode, "value": without_star(match.value, mode)}


def without_star(value: str, mode: str) -> str:
    return value[:-1] if mode == "beginning_of_words" else value


def url(match: Match) -> Json:
    """As `text`, without the scheme: few people know whether one was stored."""
    condition = text(match)
    value = str(condition["value"])
    return {**condition, "value": value if match.sign == "=" else re.sub(r"(?i)^https?://", "", value)}


def phone(match: Match) -> Json:
    """As `text`, with the digits of a number written together, as they are stored."""
    condition = text(match)
    value = str(condition["value"])
    if not re.fullmatch(r"\+?[0-9 ().\-/]+", value):
        return condition
    digits = re.sub(r"[^0-9]", "", value)
    if match.sign == "=":
        return {**condition, "value": f"+{digits}" if value.startswith("+") else digits}
    return {**condition, "mode": "full_words" if condition["mode"] == "phrase" else condition["mode"], "value": digits}


def choice(match: Match) -> Json:
    """A choice is meant whole, without case."""
    mode = "exact_value" if match.is_quoted else text_mode(match)
    if match.sign not in ":=":
        raise Unclear("choices are compared by `:` or `=`.", match.value_at)
    mode = "exact_value" if mode in ("phrase", "full_words") else mode
    return {"type": "text", "mode": mode, "value": without_star(match.value, mode)}


def number(match: Match) -> Json:
    if not _NUMBER.fullmatch(match.value):
        raise Unclear(f"a number is needed here, not '{shown(match.value)}'.", match.value_at)
    value = float(match.value) if "." in match.value else int(match.value)
    return {"type": "number_range", **dict.fromkeys(_BOUNDS[match.sign], value)}


def boolean(match: Match) -> Json:
    value = _TRUTHS.get(match.value.lower())
    if value is None or match.sign not in ":=":
        raise Unclear("this field is true or false.", match.value_at)
    return {"type": "boolean", "value": value}


def moments(match: Match, tz: tzinfo) -> Json:
    """A day means all of it. A moment without a zone is one of the caller's zone."""
    if _DAY.fullmatch(match.value):
        return _days(_parsed(date.fromisoformat, match.value, match), match.sign)
    moment = _moment(match, tz)
    try:
        first, behind = moment.astimezone(UTC), (moment + _LEAST).astimezone(UTC)
        last = (moment + _unit(match.value)).astimezone(UTC)
    except OverflowError as problem:
        raise _no_moment(match) from problem
    edges = {">=": (first, None), ">": (behind, None), "<": (None, first), "<=": (None, behind)}
    since, until = edges.get(match.sign, (first, last))
    return _range(since and _instant(since), until and _instant(until))


def days(match: Match, tz: tzinfo) -> Json:
    """As `moments`, for plain dates: a moment counts as its local day."""
    if _DAY.fullmatch(match.value):
        return moments(match, tz)
    try:
        return _days(_moment(match, tz).astimezone(tz).date(), match.sign)
    except OverflowError as problem:
        raise _no_moment(match) from problem


def _days(day: date, sign: str) -> Json:
    start, end = ({"type": "fixed_local_date", "value": day.isoformat(), "which": which} for which in ("start", "end"))
    edges = {">=": (start, None), ">": (end, None), "<": (None, start), "<=": (None, end)}
    return _range(*edges.get(sign, (start, end)))


def _moment(match: Match, tz: tzinfo) -> datetime:
    if not _TIME.fullmatch(match.value):
        raise _no_moment(match)
    moment = _parsed(datetime.fromisoformat, match.value, match)
    return moment if moment.tzinfo else moment.replace(tzinfo=tz)


def _parsed(parse: Callable, value: str, match: Match) -> object:
    try:
        return parse(value)
    except ValueError as problem:
        raise _no_moment(match) from problem


def _unit(written: str) -> timedelta:
    """How long the moment that was written lasts: `09:30` is a minute."""
    found = _TIME.fullmatch(written)
    if found and found["part"]:
        return _LEAST
    return timedelta(seconds=1) if found and found["seconds"] else timedelta(minutes=1)


def _instant(moment: datetime) -> Json:
    return {"type": "fixed_utc", "value": moment.isoformat().replace("+00:00", "Z")}


def _range(since: Json | None, until: Json | None) -> Json:
    return {"type": "moment_range", "on_or_after": since, "before": until}


def _no_moment(match: Match) -> Unclear:
    return Unclear(
        f"a date is needed here, such as 2031-03-16 or \"2031-03-16T09:30\", not '{shown(match.value)}'.",
        match.value_at,
    )


_BOUNDS: Mapping[str, tuple[str, ...]] = {
    ":": ("gte", "lte"), "=": ("gte", "lte"), ">": ("gt",), ">=": ("gte",), "<": ("lt",), "<=": ("lte",)
}  # fmt: skip
