"""The query language once more, over plain Python objects: slow, obvious, and written apart from the compiler.

It reads the JSON of a query, not its parsed form. Only what is here and not in `search` decides what is right.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, tzinfo
from uuid import UUID
from zoneinfo import ZoneInfo

from crm.ids import parse_close_id
from tests.search.spoken import any_text, folded
from tests.search.wall_clock import WallClock

Json = Mapping[str, object]
PREFIX = {"lead": "lead", "contact": "cont", "opportunity": "oppo", "task": "task"}
PREFIX |= {f"activity.{kind}": "acti" for kind in ("email", "call", "note", "sms", "meeting")}
TESTS: Mapping[str, Callable[[float, float], bool]] = {
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
}


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
    kinds: Mapping[str, str] = field(default_factory=dict)  # custom field key -> type
    views: Mapping[str, tuple[str, Json]] = field(default_factory=dict)  # id of a Smart View -> its type and query
    groups: Mapping[str, Sequence[UUID]] = field(default_factory=dict)  # id of a group -> its members

    def __post_init__(self) -> None:
        self._clock = WallClock(self.now, self.tz)

    def select(self, node: Json, things: Iterable[Thing]) -> set[UUID | None]:
        return {thing.key for thing in things if self.matches(node, thing)}

    def in_order(self, things: Iterable[Thing], sort: Sequence[Json]) -> list[UUID | None]:
        """Their keys by `sort`, absent values last whatever the direction, then by key."""
        found = sorted(things, key=lambda thing: str(thing.key))
        for item in reversed(sort):
            held = {thing.key: self._held(item["field"], thing) for thing in found}
            known = [thing for thing in found if held[thing.key] not in (None, "")]
            known.sort(key=lambda thing: _comparable(held[thing.key]), reverse=item["direction"] == "desc")
            found = known + [thing for thing in found if held[thing.key] in (None, "")]
        return [thing.key for thing in found]

    def matches(self, node: Json, thing: Thing) -> bool:
        return self._plain(node, thing) is not bool(node.get("negate", False))

    def _plain(self, node: Json, thing: Thing) -> bool:
        match node.get("type", "and"):
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
            case "saved_search":
                object_type, query = self.views[node["saved_search_id"]]
                return object_type == thing.object_type and self.matches(query, thing)
            case "field_condition":
                return self._field(node["field"], node["condition"], thing)
        raise AssertionError(node)

    def _was_put_in(self, node: Json, thing: Thing) -> bool:
        wanted = [parse_close_id("stat", written) for written in node["status_ids"]]
        return any(status in wanted and self._is_between(date, node) for date, status in thing.entered)

    def _is_between(self, moment: datetime, bounds: Json) -> bool:
        first, last = bounds.get("on_or_after"), bounds.get("before")
        return (not first or moment >= self._clock.instant(first)) and (not last or moment < self._clock.instant(last))

    def _held(self, named: Json, thing: Thing) -> object:
        if named["type"] == "regular_field":
            return thing.values[named["field_name"]]
        return thing.values.get(named["custom_field_id"].removeprefix("cf_"))

    def _field(self, named: Json, condition: Json, thing: Thing) -> bool:
        kind = self.kinds[named["custom_field_id"].removeprefix("cf_")] if named["type"] == "custom_field" else ""
        held = self._held(named, thing)
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
                return self._refers(value, condition)
            case "current_user":
                return str(value) == str(self.user_id)
            case "number_range":
                bounds = {name: condition[name] for name in TESTS if condition.get(name) is not None}
                return all(TESTS[name](value, bound) for name, bound in bounds.items())
            case "moment_range":
                return self._in_range(value, kind, condition)
            case "local_time":
                return self._is_local_time(ZoneInfo(value), condition)
        raise AssertionError(condition)

    def _refers(self, value: object, condition: Json) -> bool:
        written = condition["object_ids"]
        kind = condition["reference_type"]
        if kind in ("user", "user_or_group") and "CURRENT_USER" in written and str(value) == str(self.user_id):
            return True
        members = [str(key) for one in written for key in self.groups.get(one, ())] if kind == "user_or_group" else []
        return str(value) in members or _is_one_of(value, written)

    def _in_range(self, value: object, kind: str, condition: Json) -> bool:
        if kind != "date" and isinstance(value, str | datetime):
            moment = datetime.fromisoformat(value) if isinstance(value, str) else value
            return self._is_between(moment, condition)
        day = date.fromisoformat(value) if isinstance(value, str) else value
        first, last = condition.get("on_or_after"), condition.get("before")
        return (not first or day >= self._clock.day(first)) and (not last or day < self._clock.day(last))

    def _is_local_time(self, zone: ZoneInfo, condition: Json) -> bool:
        first, last = (time.fromisoformat(condition.get(name) or "00:00:00") for name in ("on_or_after", "before"))
        at = self.now.astimezone(zone).time()
        if not condition.get("before"):
            return at >= first
        return first <= at < last if first <= last else not last <= at < first


def _comparable(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    return folded(value) if isinstance(value, str) else value


def _is_one_of(value: object, written: list[str]) -> bool:
    return any(
        str(parse_close_id(prefix, text)) == str(value)
        for text in written
        for prefix in ("user", "stat", "lead", "cont", "custobj", "pipe")
    )


def said(thing: Thing) -> list[str]:
    """All texts of an object; a lead also speaks through its addresses and contacts."""
    texts = list(thing.says)
    if thing.object_type == "lead":
        for kind in ("address", "contact"):
            texts += [text for other in thing.related.get(kind, []) for text in said(other)]
    return texts
