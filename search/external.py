"""Nodes that apps above this one bring. They register their kind of node when Django starts; nothing here knows them.

Parsed, such a node is a `nodes.External`: texts that its app has checked, and that it turns into a condition later.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Expression, Q

from search.reading import Reader

Arguments = tuple[str, ...]


@dataclass(frozen=True)
class NodeType:
    """One kind of node. It tests objects of one type.

    `read(reader, data, path, organization_id)` checks the node's `keys` (`type` and `negate` are checked already) and
    gives what must be kept of them, or None having noted every problem; without an organization nothing exists.
    `condition(arguments)` is asked whenever the query runs, maybe long after; it may raise `crm.errors.Invalid`.
    """

    name: str
    object_type: str
    keys: tuple[str, ...]
    read: Callable[[Reader, dict[str, object], str, UUID | None], Arguments | None]
    condition: Callable[[Arguments], Expression | Q]


_registered: dict[str, NodeType] = {}


def register(node_type: NodeType) -> None:
    """Make the node a part of the language, for the life of the process."""
    _registered[node_type.name] = node_type


def node_types() -> Mapping[str, NodeType]:
    """All that are registered, by name."""
    return _registered
