"""From JSON to typed nodes (close-api.md 3.3 to 3.8), strictly.

An unknown key, a missing one, a wrong type, an unknown field, a condition that does not fit its field: each is a
problem with its path, for a key that is silently ignored can widen a delete. All problems are told at once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

from crm.ids import parse_close_id
from crm.models import CustomField
from search.conditions import ConditionParser
from search.errors import InvalidSearch, Problems, shown
from search.nodes import And, FieldCondition, HasRelated, Ids, IsType, MatchAll, Mode, Node, Or, SortItem, Text
from search.reading import Reader
from search.schema import DEFAULT_TYPE, OBJECT_TYPES, RELATIONS, RESULT_TYPES, UNSUPPORTED_TYPES

MAX_DEPTH = 50
MAX_NODES = 10_000
MAX_TEXT_NODES = 200  # each compiles to a few subqueries and about 1 kB of SQL
MAX_SORT_ITEMS = 3
MAX_RESULTS_LIMIT = 2**63 - 1  # what the database can hold
_UNSUPPORTED_NODES = ("saved_search", "in_status")

NO_FIELDS: Mapping[UUID, CustomField] = {}


@dataclass(frozen=True)
class Parsed:
    """A whole query: its node, what kind of objects it finds, and what stood around the node."""

    node: Node
    object_type: str
    sort: tuple[SortItem, ...]
    results_limit: int | None


def parse(
    query: object,
    *,
    path: str = "s_query",
    custom_fields: Mapping[UUID, CustomField] = NO_FIELDS,
    for_bulk: bool = False,
) -> Node:
    """The typed form of `query`: a bare node, one in a wrapper (`{"query": …}`), or an `and` without its `type`.

    `custom_fields` are the fields that the caller's organization has, by key. Raises `InvalidSearch` with all problems.
    """
    return parse_whole(query, path=path, custom_fields=custom_fields, for_bulk=for_bulk).node


def parse_whole(
    query: object,
    *,
    sort: object = None,
    results_limit: object = None,
    path: str = "s_query",
    custom_fields: Mapping[UUID, CustomField] = NO_FIELDS,
    for_bulk: bool = False,
) -> Parsed:
    """As `parse`, with the `sort` and `results_limit` that stand beside the query, or in its wrapper.

    `for_bulk` refuses what would mean all objects without saying so, negated or not: groups that hold nothing but
    groups (an empty `and` beside something else is fine, clients leave those behind), an `or` without queries, a word
    search without any word, an `id` of another form, a list that names nothing.
    """
    problems = Problems()
    reader = Reader(problems)
    inner, inner_path = query, path
    if isinstance(query, dict) and "query" in query and "type" not in query:
        reader.check_keys(query, path, required=("query",), optional=("sort", "results_limit"))
        inner, inner_path = query["query"], f"{path}.query"
        sort, sort_path = _one_of(reader, sort or None, query.get("sort") or None, "sort", path)
        results_limit, limit_path = _one_of(reader, results_limit, query.get("results_limit"), "results_limit", path)
    else:
        sort_path, limit_path = "sort", "results_limit"

    object_type = _result_type(inner)
    parser = _Parser(reader, custom_fields, for_bulk)
    node = parser.node(inner, inner_path, object_type, 1, is_outermost=True)
    if for_bulk and not problems and node is not None and _says_nothing(node):
        reader.problem(f"{inner_path}.queries", "The query holds no condition. For all, say `match_all`.")
    items = parser.sort_items(sort, sort_path, object_type)
    limit = _limit(reader, results_limit, limit_path)
    problems.raise_any()
    if node is None:  # never: whoever returns none has noted a problem. A silent one must not mean everything.
        raise InvalidSearch({path: "The query cannot be understood."})
    return Parsed(node, object_type, items, limit)


def _one_of(reader: Reader, outer: object, inner: object, name: str, path: str) -> tuple[object, str]:
    """The value (and path) of a key that may stand beside the query or in its wrapper; two that differ: a problem."""
    if inner is None:
        return outer, name
    if outer is not None and outer != inner:
        reader.problem(f"{path}.{name}", f"This contradicts the `{name}` beside the query.")
    return inner, f"{path}.{name}"


def _limit(reader: Reader, value: object, path: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        reader.problem(path, "Value must be a whole number.")
    elif not 0 <= value <= MAX_RESULTS_LIMIT:
        reader.problem(path, "Value must be 0 or more." if value < 0 else "Value is too large.")
    else:
        return value
    return None


def _result_type(query: object) -> str:
    """The type that an `object_type` node on the first level names; leads without one."""
    if not isinstance(query, dict):
        return DEFAULT_TYPE
    queries = query.get("queries")
    for node in [query, *(queries if isinstance(queries, list) else ())]:
        if isinstance(node, dict) and node.get("type") == "object_type" and node.get("negate") is not True:
            object_type = node.get("object_type")
            if isinstance(object_type, str) and object_type in OBJECT_TYPES:
                return object_type
    return DEFAULT_TYPE


class _Parser:
    def __init__(self, reader: Reader, custom_fields: Mapping[UUID, CustomField], for_bulk: bool) -> None:
        self._read = reader
        self._conditions = ConditionParser(reader, custom_fields, for_bulk)
        self._for_bulk = for_bulk
        self._nodes = 0
        self._texts = 0
        self._by_type: dict[str, Callable[[dict[str, object], str, str, int, bool], Node | None]] = {
            "and": self._group,
            "or": self._group,
            "object_type": self._object_type,
            "id": self._id,
            "text": self._text,
            "match_all": self._match_all,
            "field_condition": self._field_condition,
            "has_related": self._has_related,
        }

    def node(
        self, value: object, path: str, object_type: str, depth: int, *, is_outermost: bool = False
    ) -> Node | None:
        """The node written there, about objects of `object_type`; None where it is wrong."""
        data = self._read.mapping(value, path)
        if data is None or not self._count(path) or not self._is_shallow(path, depth):
            return None
        if is_outermost and "type" not in data and "queries" in data:
            data = {"type": "and", **data}
        kind = self._read.word(data, "type", path)
        if kind is None:
            return None
        if kind in _UNSUPPORTED_NODES:
            self._read.problem(f"{path}.type", f"A `{kind}` node is not supported yet.")
            return None
        build = self._by_type.get(kind)
        if build is None:
            self._read.problem(f"{path}.type", f"Unknown node type '{shown(kind)}'. Known: {', '.join(self._by_type)}.")
            return None
        negate = self._read.boolean(data, "negate", path, default=False)
        return build(data, path, object_type, depth, negate)

    def sort_items(self, value: object, path: str, object_type: str) -> tuple[SortItem, ...]:
        if value is None:
            return ()
        if not isinstance(value, list):
            self._read.problem(path, "Value must be a list.")
            return ()
        if len(value) > MAX_SORT_ITEMS:
            self._read.problem(path, f"List is too long: at most {MAX_SORT_ITEMS} items.")
            return ()
        items = [self._sort_item(item, f"{path}[{place}]", object_type) for place, item in enumerate(value)]
        return tuple(item for item in items if item is not None)

    def _sort_item(self, value: object, path: str, object_type: str) -> SortItem | None:
        data = self._read.mapping(value, path)
        if data is None:
            return None
        self._read.check_keys(data, path, required=("direction", "field"))
        direction = self._read.choice(data, "direction", path, ("asc", "desc"))
        field = (
            self._conditions.sort_field(data.get("field"), f"{path}.field", object_type) if "field" in data else None
        )
        return SortItem(field, direction == "desc") if field and direction else None

    def _count(self, path: str) -> bool:
        self._nodes += 1
        if self._nodes == MAX_NODES + 1:
            self._read.problem(path, f"The query has more than {MAX_NODES} nodes.")
        return self._nodes <= MAX_NODES

    def _is_shallow(self, path: str, depth: int) -> bool:
        if depth > MAX_DEPTH:
            self._read.problem(path, f"The query is nested deeper than {MAX_DEPTH} levels.")
        return depth <= MAX_DEPTH

    def _group(self, data: dict[str, object], path: str, object_type: str, depth: int, negate: bool) -> Node | None:
        self._read.check_keys(data, path, required=("type", "queries"), optional=("negate",))
        queries = self._read.items(data, "queries", path)
        if queries is None:
            return None
        is_or = data["type"] == "or"
        if is_or and not queries and self._for_bulk:
            self._read.problem(
                f"{path}.queries", "An `or` without queries is not allowed here. For all, say `match_all`."
            )
        nodes: list[Node] = []
        ids: list[UUID] = []
        has_ids = False
        for place, query in enumerate(queries):
            query_path = f"{path}.queries[{place}]"
            if is_or and _is_plain_id(query):
                # The ids of one `or` are one node, and one array in SQL.
                if has_ids or self._count(query_path):
                    has_ids = True
                    ids += self._read_id(query, query_path, object_type)
                continue
            node = self.node(query, query_path, object_type, depth + 1)
            if node is not None:
                nodes.append(node)
        if has_ids:
            nodes.append(Ids(tuple(ids)))
        return Or(tuple(nodes), negate) if is_or else And(tuple(nodes), negate)

    def _object_type(
        self, data: dict[str, object], path: str, object_type: str, depth: int, negate: bool
    ) -> Node | None:
        self._read.check_keys(data, path, required=("type", "object_type"), optional=("negate",))
        named = self._known_type(data, "object_type", path)
        if named is None:
            return None
        if depth <= 2 and named == object_type and object_type not in RESULT_TYPES and not negate:
            self._read.problem(f"{path}.object_type", f"Searches for '{named}' are not supported yet.")
        return IsType(named == object_type, negate)

    def _id(self, data: dict[str, object], path: str, object_type: str, depth: int, negate: bool) -> Node | None:
        return Ids(tuple(self._read_id(data, path, object_type)), negate)

    def _read_id(self, data: dict[str, object], path: str, object_type: str) -> list[UUID]:
        """The key that an `id` node names, or none: an id of another form is an unknown id, and in bulk a problem."""
        self._read.check_keys(data, path, required=("type", "value"), optional=("negate",))
        self._read.count_ids(1, path)
        prefix = OBJECT_TYPES[object_type].prefix
        text = self._read.text(data, "value", path)
        key = parse_close_id(prefix, text) if prefix else None
        if self._for_bulk and key is None and text is not None:
            self._read.problem(f"{path}.value", f"Not the id of a {object_type}.")
        return [key] if key else []

    def _text(self, data: dict[str, object], path: str, object_type: str, depth: int, negate: bool) -> Node | None:
        self._read.check_keys(data, path, required=("type", "value"), optional=("mode", "negate"))
        self._texts += 1
        if self._texts > MAX_TEXT_NODES:
            if self._texts == MAX_TEXT_NODES + 1:
                self._read.problem(path, f"The query has more than {MAX_TEXT_NODES} `text` nodes.")
            return None
        mode = self._conditions.mode(data, path) if data.get("mode") is not None else Mode.FULL_WORDS
        value = self._conditions.text_value(data, path, mode)
        return Text(mode, value, negate=negate) if mode and value is not None else None

    def _match_all(self, data: dict[str, object], path: str, object_type: str, depth: int, negate: bool) -> Node:
        self._read.check_keys(data, path, required=("type",), optional=("negate",))
        return MatchAll(negate)

    def _field_condition(
        self, data: dict[str, object], path: str, object_type: str, depth: int, negate: bool
    ) -> Node | None:
        self._read.check_keys(data, path, required=("type", "field", "condition"), optional=("negate",))
        found = self._conditions.field_and_condition(data, path, object_type)
        return FieldCondition(*found, negate=negate) if found else None

    def _has_related(
        self, data: dict[str, object], path: str, object_type: str, depth: int, negate: bool
    ) -> Node | None:
        keys = ("type", "this_object_type", "related_object_type", "related_query")
        self._read.check_keys(data, path, required=keys, optional=("negate",))
        this = self._known_type(data, "this_object_type", path)
        related = self._known_type(data, "related_object_type", path)
        if this is not None and this != object_type:
            self._read.problem(
                f"{path}.this_object_type", f"This condition stands on a {object_type}, not on a {this}."
            )
            this = object_type
        if related is None:
            return None
        if this is not None and (this, related) not in RELATIONS:
            self._read.problem(f"{path}.related_object_type", f"A {this} has no related {related}.")
        if "related_query" not in data:
            return None
        query = self.node(data["related_query"], f"{path}.related_query", related, depth + 1)
        return HasRelated(this, related, query, negate) if this and query else None

    def _known_type(self, data: dict[str, object], key: str, path: str) -> str | None:
        name = self._read.word(data, key, path)
        if name is None or name in OBJECT_TYPES:
            return name
        if name in UNSUPPORTED_TYPES:
            self._read.problem(f"{path}.{key}", f"The object type '{name}' is not supported yet.")
        else:
            known = ", ".join(OBJECT_TYPES)
            self._read.problem(f"{path}.{key}", f"Unknown object type '{shown(name)}'. Known: {known}.")
        return None


def _is_plain_id(query: object) -> bool:
    return isinstance(query, dict) and query.get("type") == "id" and query.get("negate") in (None, False)


def _says_nothing(node: Node) -> bool:
    return isinstance(node, And | Or) and all(map(_says_nothing, node.queries))
