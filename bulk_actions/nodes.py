"""The node of queries by which one speaks of the leads of a job; what it means stands in `bulk_actions.targets`."""

from collections.abc import Iterator
from uuid import UUID

from search.nodes import And, External, HasRelated, Node, Or

NODE = "bulk_action"


def jobs_in(node: Node) -> Iterator[UUID]:
    """The jobs of whose leads a query speaks."""
    match node:
        case And() | Or():
            for one in node.queries:
                yield from jobs_in(one)
        case HasRelated():
            yield from jobs_in(node.query)
        case External(type, (action_id, *_)) if type == NODE:
            yield UUID(action_id)
