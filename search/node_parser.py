"""The nodes of a query (close-api.md 3.3), read strictly."""

from collections.abc import Callable, Mapping
from functools import partial
from uuid import UUID

from crm.ids import parse_close_id
from crm.models import CustomField
from search.conditions import NAMES_NOTHING, ConditionParser
from search.errors import shown
from search.external import NodeType, node_types
from search.nodes import (
    And,
    External,
    FieldCondition,
    HasRelated,
    Ids,
    InStatus,
    IsType,
    MatchAll,
    Mode,
    Node,
    Or,
    Text,
)
from search.reading import Reader
from search.schema import OBJECT_TYPES, RELATIONS, RESULT_TYPES, UNSUPPORTED_TYPES
from search.views import FindView

MAX_DEPTH = 50
MAX_NODES = 10_000
MAX_TEXT_NODES = 200  # each compiles to a few subqueries and about 1 kB of SQL
MAX_EXTERNAL_NODES = 20  # each is looked up on its own, and is a subquery over as many rows as its app has


class NodeParser:
    def __init__(
        self,
        reader: Reader,
        custom_fields: Mapping[UUID, CustomField],
        find_view: FindView,
        inside: tuple[UUID, ...],
        for_bulk: bool,
        organization_id: UUID | None,
    ) -> None:
        self._read = reader
        self._find_view = find_view
        self._inside = inside
        self.conditions = ConditionParser(reader, custom_fields, for_bulk)
        self._for_bulk = for_bulk
        self._organization_id = organization_id
        self._nodes = 0
        self._texts = 0
        self._externals = 0
        self._by_type: dict[str, Callable[[dict[str, object], str, str, int, bool], Node | None]] = {
            "and": self._group,
            "or": self._group,
            "object_type": self._object_type,
            "id": self._id,
            "text": self._text,
            "match_all": self._match_all,
            "field_condition": self._field_condition,
            "has_related": self._has_related,
            "saved_search": self._saved_search,
            "in_status": self._in_status,
            **{name: partial(self._external, node_type) for name, node_type in node_types().items()},
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
        build = self._by_type.get(kind)
        if build is None:
            self._read.problem(f"{path}.type", f"Unknown node type '{shown(kind)}'. Known: {', '.join(self._by_type)}.")
            return None
        negate = self._read.boolean(data, "negate", path, default=False)
        return build(data, path, object_type, depth, negate)

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
        mode = self.conditions.mode(data, path) if data.get("mode") is not None else Mode.FULL_WORDS
        value = self.conditions.text_value(data, path, mode)
        return Text(mode, value, negate=negate) if mode and value is not None else None

    def _match_all(self, data: dict[str, object], path: str, object_type: str, depth: int, negate: bool) -> Node:
        self._read.check_keys(data, path, required=("type",), optional=("negate",))
        return MatchAll(negate)

    def _field_condition(
        self, data: dict[str, object], path: str, object_type: str, depth: int, negate: bool
    ) -> Node | None:
        self._read.check_keys(data, path, required=("type", "field", "condition"), optional=("negate",))
        found = self.conditions.field_and_condition(data, path, object_type)
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

    def _in_status(self, data: dict[str, object], path: str, object_type: str, depth: int, negate: bool) -> Node | None:
        bounds = ("on_or_after", "before")
        self._read.check_keys(data, path, required=("type", "status_ids"), optional=(*bounds, "negate"))
        if object_type not in ("lead", "opportunity"):
            self._read.problem(f"{path}.type", f"A {object_type} has no status to be in.")
            return None
        ids = self._read.texts(data, "status_ids", path)
        first, last = (self.conditions.moments.moment(data.get(bound), f"{path}.{bound}") for bound in bounds)
        keys = tuple(key for one in ids or () if (key := parse_close_id("stat", one)))
        if self._for_bulk and not keys and ids is not None:
            self._read.problem(f"{path}.status_ids", NAMES_NOTHING)
        return InStatus(object_type, keys, first, last, negate) if ids is not None else None

    def _saved_search(
        self, data: dict[str, object], path: str, object_type: str, depth: int, negate: bool
    ) -> Node | None:
        """The view's own query in the node's place; of objects of another type it matches nothing."""
        self._read.check_keys(data, path, required=("type", "saved_search_id"), optional=("negate",))
        text = self._read.text(data, "saved_search_id", path)
        if text is None:
            return None
        id_path, key = f"{path}.saved_search_id", parse_close_id("save", text)
        view = self._find_view(key) if key else None
        if view is None:
            self._read.problem(id_path, "Object does not exist.")
            return None
        if view.key in self._inside:
            self._read.problem(id_path, "The Smart View refers to itself.")
            return None
        if view.object_type is None or view.problem is not None:
            self._read.problem(id_path, view.problem or "Object does not exist.")
            return None
        within, self._inside = self._inside, (*self._inside, view.key)
        node = self.node(view.query, f"{id_path}.s_query", view.object_type, depth + 1, is_outermost=True)
        self._inside = within
        if node is None:
            return None
        return And((node,), negate) if view.object_type == object_type else Ids((), negate)

    def _external(
        self, kind: NodeType, data: dict[str, object], path: str, object_type: str, depth: int, negate: bool
    ) -> Node | None:
        self._read.check_keys(data, path, required=("type", *kind.keys), optional=("negate",))
        self._externals += 1
        if self._externals > MAX_EXTERNAL_NODES:
            if self._externals == MAX_EXTERNAL_NODES + 1:
                self._read.problem(path, f"The query has more than {MAX_EXTERNAL_NODES} `{kind.name}` nodes.")
            return None
        if object_type != kind.object_type:
            self._read.problem(
                path, f"A `{kind.name}` node tests a {kind.object_type}: here it has to stand within `has_related`."
            )
            return None
        arguments = kind.read(self._read, data, path, self._organization_id)
        return None if arguments is None else External(kind.name, arguments, negate)

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
