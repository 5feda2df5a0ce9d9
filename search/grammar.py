"""From JSON to typed nodes (close-api.md 3.3 to 3.8), strictly.

An unknown key, a missing one, a wrong type, an unknown field, a condition that does not fit its field: each is a
problem with its path, for a key that is silently ignored can widen a delete. All problems are told at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from crm.ids import parse_close_id
from crm.models import CustomField
from search.errors import InvalidSearch, Problems
from search.node_parser import NodeParser
from search.nodes import And, Node, Or, SortItem
from search.ordering import limit_of, one_of, sort_items
from search.reading import Reader
from search.schema import DEFAULT_TYPE, OBJECT_TYPES
from search.views import FindView, no_views

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
    find_view: FindView = no_views,
    for_bulk: bool = False,
) -> Node:
    """The typed form of `query`: a bare node, one in a wrapper (`{"query": …}`), or an `and` without its `type`.

    `custom_fields` are the fields that the caller's organization has, by key. Raises `InvalidSearch` with all problems.
    """
    return parse_whole(query, path=path, custom_fields=custom_fields, find_view=find_view, for_bulk=for_bulk).node


def parse_whole(
    query: object,
    *,
    sort: object = None,
    results_limit: object = None,
    path: str = "s_query",
    custom_fields: Mapping[UUID, CustomField] = NO_FIELDS,
    find_view: FindView = no_views,
    inside: tuple[UUID, ...] = (),
    for_bulk: bool = False,
    organization_id: UUID | None = None,
) -> Parsed:
    """As `parse`, with the `sort` and `results_limit` that stand beside the query, or in its wrapper.

    `for_bulk` refuses what would mean all objects without saying so, negated or not: groups that hold nothing but
    groups (an empty `and` beside something else is fine, clients leave those behind), an `or` without queries, a word
    search without any word, an `id` of another form, a list that names nothing. `inside` are Smart Views that the query
    belongs to: it may not refer to them. `organization_id` is whose things nodes of other apps may name.
    """
    problems = Problems()
    reader = Reader(problems)
    inner, inner_path = query, path
    if isinstance(query, dict) and "query" in query and "type" not in query:
        reader.check_keys(query, path, required=("query",), optional=("sort", "results_limit"))
        inner, inner_path = query["query"], f"{path}.query"
        sort, sort_path = one_of(reader, sort or None, query.get("sort") or None, "sort", path)
        results_limit, limit_path = one_of(reader, results_limit, query.get("results_limit"), "results_limit", path)
    else:
        sort_path, limit_path = "sort", "results_limit"

    object_type = _result_type(inner, find_view)
    parser = NodeParser(reader, custom_fields, find_view, inside, for_bulk, organization_id)
    node = parser.node(inner, inner_path, object_type, 1, is_outermost=True)
    if for_bulk and not problems and node is not None and _says_nothing(node):
        reader.problem(f"{inner_path}.queries", "The query holds no condition. For all, say `match_all`.")
    items = sort_items(reader, parser.conditions, sort, sort_path, object_type)
    limit = limit_of(reader, results_limit, limit_path)
    problems.raise_any()
    if node is None:  # never: whoever returns none has noted a problem. A silent one must not mean everything.
        raise InvalidSearch({path: "The query cannot be understood."})
    return Parsed(node, object_type, items, limit)


def _result_type(query: object, find_view: FindView) -> str:
    """The type that an `object_type` node on the first level names, else that of a Smart View there; else leads."""
    if not isinstance(query, dict):
        return DEFAULT_TYPE
    queries = query.get("queries")
    nodes = [query, *(queries if isinstance(queries, list) else ())]
    for node in nodes:
        if isinstance(node, dict) and node.get("type") == "object_type" and node.get("negate") is not True:
            object_type = node.get("object_type")
            if isinstance(object_type, str) and object_type in OBJECT_TYPES:
                return object_type
    for node in nodes:
        if isinstance(node, dict) and node.get("type") == "saved_search":
            key = parse_close_id("save", node.get("saved_search_id"))
            view = find_view(key) if key else None
            if view is not None and view.object_type is not None:
                return view.object_type
    return DEFAULT_TYPE


def _says_nothing(node: Node) -> bool:
    return isinstance(node, And | Or) and all(map(_says_nothing, node.queries))
