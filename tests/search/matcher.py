"""The query language once more, over plain Python objects: slow, obvious, and written apart from the compiler.

It reads the JSON of a query, not its parsed form. Only what is here and not in `search` decides what is right.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from uuid import UUID

from crm.ids import parse_close_id

Json = Mapping[str, object]
PREFIX = {"lead": "lead", "contact": "cont", "opportunity": "oppo", "task": "task"}
PREFIX |= {f"activity.{kind}": "acti" for kind in ("email", "call", "note", "sms", "meeting")}
_SPACELESS = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff々〇ぁ-ゖァ-ヺー一-鿿가-힣]")


@dataclass(eq=False)
class Thing:
    """One object: its values by field name (custom ones by key), lists for several, and its neighbours by type."""

    object_type: str
    key: UUID | None = None
    values: dict[str, object] = field(default_factory=dict)
    related: dict[str, list["Thing"]] = field(default_factory=dict)
    says: list[str] = field(default_factory=list)  # texts of its own that a free text search sees
    entered: list[tuple[datetime, UUID]] = field(default_factory=list)  # statuses, its creation first
    changed: datetime | None = None  # when its status changed last


@dataclass
class Matcher:
    user_id: UUID
    now: datetime
    tz: tzinfo
    kinds: Mapping[str, str]  # custom field key -> type

    def matches(self, node: Json, thing: Thing) -> bool:
        return self._plain(node, thing) is not bool(node.get("negate", False))

    def _plain(self, node: Json, thing: Thing) -> bool:
        match node["type"]:
            case "and":
                return all(self.matches(one, thing) for one in node["queries"])
            case "or":
                return not node["queries"] or any(self.matches(one, thing) for one in node["queries"])
            case "match_all":
                return True
            case "object_type":
                return node["object_type"] == thing.object_type
            case "id":
                prefix = PREFIX.get(thing.object_type)
                return prefix is not None and parse_close_id(prefix, node["value"]) == thing.key
            case "text":
                return any_text(said(thing), node.get("mode", "full_words"), node["value"])
            case "in_status":
                return self._was_put_in(node, thing)
            case "has_related":
                others = thing.related.get(node["related_object_type"], [])
                return any(self.matches(node["related_query"], other) for other in others)
            case "field_condition":
                return self._field(node["field"], node["condition"], thing)
        raise AssertionError(node)

    def _was_put_in(self, node: Json, thing: Thing) -> bool:
        first, last = node["on_or_after"], node["before"]
        wanted = [parse_close_id("stat", written) for written in node["status_ids"]]
        return any(
            status in wanted
            and (not first or date >= self._instant(first))
            and (not last or date < self._instant(last))
            for date, status in thing.entered
        )

    def _field(self, named: Json, condition: Json, thing: Thing) -> bool:
        if named["type"] == "custom_field":
            name = named["custom_field_id"].removeprefix("cf_")
            kind = self.kinds[name]
        else:
            name, kind = named["field_name"], ""
        held = thing.values.get(name)
        values = held if isinstance(held, list) else [held]
        return any(self._value(value, kind, condition) for value in values if value not in (None, ""))

    def _value(self, value: object, kind: str, condition: Json) -> bool:
        match condition["type"]:
            case "exists":
                return True
            case "boolean":
                return value is condition["value"]
            case "text":
                return any_text([value], condition["mode"], condition["value"])
            case "term":
                return str(value) in condition["values"] or _is_one_of(value, condition["values"])
            case "reference":
                mine = "CURRENT_USER" in condition["object_ids"] and str(value) == str(self.user_id)
                return mine or _is_one_of(value, condition["object_ids"])
            case "current_user":
                return str(value) == str(self.user_id)
            case "number_range":
                tests: Mapping[str, Callable[[float, float], bool]] = {
                    "gt": lambda a, b: a > b,
                    "gte": lambda a, b: a >= b,
                    "lt": lambda a, b: a < b,
                    "lte": lambda a, b: a <= b,
                }
                bounds = {name: condition[name] for name in tests if condition.get(name) is not None}
                return all(tests[name](value, bound) for name, bound in bounds.items())
            case "moment_range":
                return self._in_range(value, kind, condition)
        raise AssertionError(condition)

    def _in_range(self, value: object, kind: str, condition: Json) -> bool:
        first, last = condition.get("on_or_after"), condition.get("before")
        if kind == "date" or not isinstance(value, str | datetime):
            day = date.fromisoformat(value) if isinstance(value, str) else value
            return (not first or day >= self._day(first)) and (not last or day < self._day(last))
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        return (not first or moment >= self._instant(first)) and (not last or moment < self._instant(last))

    def _instant(self, moment: Json) -> datetime:
        if moment["type"] == "now":
            return self.now
        if moment["type"] == "fixed_utc":
            found = datetime.fromisoformat(moment["value"])
            return found if found.tzinfo else found.replace(tzinfo=UTC)
        if moment["type"] == "offset":
            return self._shifted(moment)
        return datetime.combine(self._day(moment), time(), self.tz)

    def _shifted(self, moment: Json) -> datetime:
        """Days and weeks by the clock on the wall, then the rest by the watch. (Months: test_moments.py.)"""
        parts, sign = moment["offset"], -1 if moment["direction"] == "past" else 1
        days = timedelta(days=parts.get("days", 0), weeks=parts.get("weeks", 0))
        rest = timedelta(hours=parts.get("hours", 0), minutes=parts.get("minutes", 0))
        found = self._instant(moment["moment"])
        if days:
            wall = found.astimezone(self.tz).replace(tzinfo=None) + sign * days
            found = wall.replace(tzinfo=self.tz)
        found = (found.astimezone(UTC) + sign * rest).astimezone(self.tz)
        if not moment["which_day_end"] or (rest and not days):
            return found
        return datetime.combine(found.date() + timedelta(days=moment["which_day_end"] == "end"), time(), self.tz)

    def _day(self, moment: Json) -> date:
        if moment["type"] == "start_end_of_predefined_relative_period":
            return self._period(moment["range"], moment["which"] == "end")
        if moment["type"] != "fixed_local_date":
            return self._instant(moment).astimezone(self.tz).date()
        return date.fromisoformat(moment["value"]) + timedelta(days=moment["which"] == "end")

    def _period(self, name: str, is_end: bool) -> date:
        """Found by walking day by day: the first day that belongs to the period, or the first one behind it."""
        today = self.now.astimezone(self.tz).date()
        if name in ("yesterday", "today", "tomorrow"):
            return today + timedelta(days=("yesterday", "today", "tomorrow").index(name) - 1 + is_end)
        place, unit = name.split("-")

        def label(day: date) -> object:
            return {"week": day.isocalendar()[:2], "month": (day.year, day.month), "year": day.year}[unit]

        def start(day: date) -> date:
            while label(day - timedelta(days=1)) == label(day):
                day -= timedelta(days=1)
            return day

        def following(day: date) -> date:
            first = label(day)
            while label(day) == first:
                day += timedelta(days=1)
            return day

        found = start(today)
        if place == "last":
            found = start(found - timedelta(days=1))
        if place == "next":
            found = following(found)
        return following(found) if is_end else found


def _is_one_of(value: object, written: list[str]) -> bool:
    return any(
        str(parse_close_id(prefix, text)) == str(value)
        for text in written
        for prefix in ("user", "stat", "lead", "cont", "custobj")
    )


def said(thing: Thing) -> list[str]:
    """All texts of an object; a lead also speaks through its addresses and contacts."""
    texts = list(thing.says)
    if thing.object_type == "lead":
        for kind in ("address", "contact"):
            texts += [text for other in thing.related.get(kind, []) for text in said(other)]
    return texts


def any_text(texts: list[str], mode: str, wanted: str) -> bool:
    if mode == "exact_value":
        return any(text != "" and _same(text) == _same(wanted) for text in texts)
    words = _words(wanted)
    if not words:
        return False
    if mode == "phrase":
        return any(_has_phrase(_words(text), words) for text in texts)
    found = [word for text in texts for word in _words(text)]
    return all(any(_word_matches(have, want, mode == "beginning_of_words") for have in found) for want in words)


def _has_phrase(found: list[str], words: list[str]) -> bool:
    return any(
        all(_word_matches(found[start + place], word, False) for place, word in enumerate(words))
        for start in range(len(found) - len(words) + 1)
    )


def _word_matches(have: str, want: str, is_beginning: bool) -> bool:
    if _SPACELESS.search(want):
        return want in have
    return have.startswith(want) if is_beginning else have == want


def _same(text: str) -> str:
    return "".join(character.lower()[:1] for character in unicodedata.normalize("NFC", text))


def _words(text: str) -> list[str]:
    marked = "".join(
        character if unicodedata.category(character)[0] in "LM" or unicodedata.category(character) == "Nd" else " "
        for character in _same(text)
    )
    stripped = [_without_leading_marks(word) for word in marked.split()]
    return [word for word in stripped if word]


def _without_leading_marks(word: str) -> str:
    while word and unicodedata.category(word[0])[0] == "M":
        word = word[1:]
    return word
