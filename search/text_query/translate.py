"""One-line queries as nodes of the language (`s_query`): so they have its fields, its rules and its speed."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from itertools import groupby

from crm.ids import close_id, parse_close_id
from crm.models import CustomField
from search.errors import InvalidSearch, shown
from search.nodes import Kind
from search.schema import KIND_OF_CUSTOM, OBJECT_TYPES, RELATIONS
from search.text import words
from search.text_query import values
from search.text_query.conditions import Conditions
from search.text_query.names import GROUPS, NAMES, Place
from search.text_query.syntax import All, Any, Match, Not, Phrase, Query, Related, Unclear, Word, read
from search.text_query.values import Json
from search.text_query.vocabulary import Vocabulary, hint

MAX_PARTS = 10_000  # of `slice:1/10000`
_SLICE = re.compile(r"([0-9]{1,5})/([0-9]{1,5})")


@dataclass(frozen=True)
class Translation:
    """`s_query` finds objects of the wanted type; `sort` is as beside a query; `slice` is (part, parts)."""

    s_query: Json
    sort: list[Json] = field(default_factory=list)
    slice: tuple[int, int] | None = None


def translate(
    text: str, *, vocabulary: Vocabulary, tz: tzinfo, object_type: str = "lead", for_bulk: bool = False
) -> Translation:
    """What the one-line query `text` means.

    `tz` is the zone of moments without one. `for_bulk` refuses a text that means all objects without saying so.
    Raises `InvalidSearch` under `query`; the message names the position.
    """
    if not text.strip():
        raise InvalidSearch({"query": "The query is empty. For everything write *"})
    translator = _Translator(vocabulary, tz)
    rest = translator.take_directives(read(text), object_type)
    if rest is None and for_bulk:
        raise InvalidSearch({"query": "The query does not say which. For everything write *"})
    node = {"type": "match_all"} if rest is None else translator.node(rest, object_type)
    is_group = node["type"] == "and" and not node.get("negate")
    queries = node["queries"] if is_group else [node]
    typed = {"type": "object_type", "object_type": object_type}
    return Translation({"type": "and", "queries": [typed, *queries]}, translator.sort, translator.slice)


class _Translator:
    def __init__(self, vocabulary: Vocabulary, tz: tzinfo) -> None:
        self._words = vocabulary
        self._conditions = Conditions(vocabulary, tz)
        self.sort: list[Json] = []
        self.slice: tuple[int, int] | None = None

    # --- directives ---------------------------------------------------------------------------------------------------
    def take_directives(self, query: Query, object_type: str) -> Query | None:
        """`query` without its `sort:` and `slice:`, which speak of the whole; None where nothing else is there."""
        match query:
            case Match(field="sort" | "slice", sign=sign, at=at) if sign != ":":
                raise Unclear("write `sort:` and `slice:` with a colon.", at)
            case Match(field="sort"):
                self.sort += [self._sort_item(name, query, object_type) for name in query.value.split(",")]
                return None
            case Match(field="slice"):
                self._take_slice(query)
                return None
            case All(queries):
                rest = [left for one in queries if (left := self.take_directives(one, object_type)) is not None]
                return All(tuple(rest)) if rest else None
            case Any(queries):
                rest = [self.take_directives(one, object_type) for one in queries]
                if None in rest:
                    raise InvalidSearch({"query": "Beside `or` stands only a sort or a slice, which find nothing."})
                return Any(tuple(one for one in rest if one is not None))
            case _:
                return query

    def _sort_item(self, written: str, match: Match, object_type: str) -> Json:
        name = written.strip().lstrip("-")
        if name.startswith("custom."):
            at: Json = _custom(self._custom_field(name, match, object_type))
        else:
            own = [place for place in self._places(name, match.value_at, object_type) if place.related is None]
            if not own:
                raise Unclear(f"one cannot sort by '{shown(name)}'.", match.value_at)
            at = _regular(object_type, own[0].field)
        return {"direction": "desc" if written.strip().startswith("-") else "asc", "field": at}

    def _take_slice(self, match: Match) -> None:
        found = _SLICE.fullmatch(match.value)
        part, parts = (int(found[1]), int(found[2])) if found else (1, 0)
        if not part <= parts <= MAX_PARTS or not parts:
            raise Unclear(f"a slice is written i/n, with n up to {MAX_PARTS} and i from 1 to n.", match.value_at)
        if self.slice is not None:
            raise Unclear("there is another slice already.", match.at)
        self.slice = part % parts, parts  # whether a script counts 1 to n or 0 to n-1, its parts are the whole

    # --- nodes --------------------------------------------------------------------------------------------------------
    def node(self, query: Query, on: str) -> Json:
        """`query` as a node about objects of the type `on`."""
        match query:
            case All(queries):
                nodes = [node for is_plain, run in groupby(queries, _is_plain) for node in self._run(is_plain, run, on)]
                return nodes[0] if len(nodes) == 1 else {"type": "and", "queries": nodes}
            case Any(queries):
                return {"type": "or", "queries": [self.node(one, on) for one in queries]}
            case Not(inner):
                node = self.node(inner, on)
                return {**node, "negate": not node.get("negate", False)}
            case Phrase(text, at):
                return self._free_text(text, "phrase", at)
            case Word():
                return self._word(query, on)
            case Related(name, inner, at):
                related = self._related_type(name, at, on)
                return _has_related(on, related, self.node(inner, related))
            case Match():
                return self._match(query, on)

    def _run(self, is_plain: bool, run: Iterable[Query], on: str) -> list[Json]:
        """Neighbouring words as one text: together they are found faster, and signs between them do no harm."""
        if not is_plain:
            return [self.node(one, on) for one in run]
        plain = [one for one in run if isinstance(one, Word)]
        return [self._free_text(" ".join(word.text for word in plain), "full_words", plain[0].at)]

    def _word(self, word: Word, on: str) -> Json:
        if word.text == "*":
            return {"type": "match_all"}
        if word.text.startswith("-"):
            raise Unclear(f"write `not {shown(word.text[1:])}`, or put it between quotation marks.", word.at)
        prefix = OBJECT_TYPES[on].prefix
        if prefix and parse_close_id(prefix, word.text):
            return {"type": "id", "value": word.text}
        mode = values.mode_of_word(word.text, word.at)
        return self._free_text(values.without_star(word.text, mode), mode, word.at)

    def _free_text(self, text: str, mode: str, at: int) -> Json:
        if not words(text):
            raise Unclear(f"'{shown(text)}' holds no letter and no digit to look for.", at)
        return {"type": "text", "mode": mode, "value": text}

    def _related_type(self, name: str, at: int, on: str) -> str:
        known = [group for group, named in GROUPS.items() if (on, named) in RELATIONS]
        if name.lower() not in known:
            raise Unclear(f"unknown group '{shown(name)}' of a {on}.{hint(name, known)}", at)
        return GROUPS[name.lower()]

    def _match(self, match: Match, on: str) -> Json:
        name = match.field.strip()
        if name in ("sort", "slice"):
            raise Unclear(f"`{name}:` speaks of the whole query: not within parentheses or behind `not`.", match.at)
        if not match.value:
            raise Unclear(f"an empty value. For those without any write `not {shown(name)}:*`.", match.value_at)
        if name.startswith("custom."):
            found = self._custom_field(name, match, on)
            return _where(_custom(found), self._conditions.of(match, KIND_OF_CUSTOM[found.type], found.type))
        if name.lower() in ("id", f"{on}_id") and OBJECT_TYPES[on].prefix:
            return self._id(match)
        nodes = [self._at_place(match, on, place) for place in self._places(name, match.at, on)]
        return nodes[0] if len(nodes) == 1 else {"type": "or", "queries": nodes}

    def _id(self, match: Match) -> Json:
        """Whatever the value is: one that is no id is that of nothing, which the nodes know how to take."""
        if match.sign not in ":=":
            raise Unclear("ids are compared by `:` or `=`.", match.value_at)
        return {"type": "match_all"} if values.is_star(match) else {"type": "id", "value": match.value}

    def _at_place(self, match: Match, on: str, place: Place) -> Json:
        if place.related is None:
            return self._regular_match(match, on, place.field)
        return _has_related(on, place.related, self._regular_match(match, place.related, place.field))

    def _regular_match(self, match: Match, on: str, name: str) -> Json:
        field = OBJECT_TYPES[on].fields[name]
        if field.kind is Kind.NUMBER and values.is_star(match) and _is_count(name):
            return _where(_regular(on, name), {"type": "number_range", "gte": 1})  # a count is never absent
        return _where(_regular(on, name), self._conditions.of(match, field.kind, field.reference, name))

    def _places(self, name: str, at: int, on: str) -> Sequence[Place]:
        """Where the values of that name are. Raises `Unclear` with the nearest known name."""
        names, fields = NAMES.get(on, {}), OBJECT_TYPES[on].fields
        folded = name.lower()
        places = names.get(folded) or ((Place(folded),) if folded in fields else ())
        for place in places:
            owner = place.related or on
            if owner not in OBJECT_TYPES or place.field not in OBJECT_TYPES[owner].fields:
                raise Unclear(f"the field '{shown(name)}' is not supported yet.", at)
        if not places:
            known = sorted({*names, *fields, "sort", "slice"})
            raise Unclear(f"unknown field '{shown(name)}' of a {on}.{hint(folded, known)}", at)
        return places

    def _custom_field(self, name: str, match: Match, on: str) -> CustomField:
        wanted = name.removeprefix("custom.")
        key = parse_close_id("cf", wanted) or parse_close_id("lcf", wanted)
        own = [one for one in self._words.custom_fields if one.object_type == on]
        found = next((one for one in own if one.pk == key), None) or self._words.custom_field(on, wanted)
        if found is None:
            near = hint(wanted, [one.name for one in own])
            raise Unclear(f"unknown custom field '{shown(wanted)}' of a {on}.{near}", match.at)
        return found


def _is_plain(query: Query) -> bool:
    """Whether it is a word as such: no sign in it, or nothing but signs (the `&` of `moss & sons`)."""
    if not isinstance(query, Word) or "*" in query.text or len(words(query.text)) > 1:
        return False
    return query.text == "-" or not query.text.startswith("-")


def _is_count(field: str) -> bool:
    return field.startswith("num_") or field.endswith("_count")


def _where(at: Json, condition: Json) -> Json:
    return {"type": "field_condition", "field": at, "condition": condition}


def _regular(object_type: str, name: str) -> Json:
    return {"type": "regular_field", "object_type": object_type, "field_name": name}


def _custom(found: CustomField) -> Json:
    return {"type": "custom_field", "custom_field_id": close_id("cf", found.pk)}


def _has_related(this: str, related: str, query: Json) -> Json:
    keys = {"this_object_type": this, "related_object_type": related, "related_query": query}
    return {"type": "has_related", **keys}
