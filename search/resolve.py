"""What a query means, fixed at the moment it came: the caller, `now`, the zone, the types of custom fields.

A bulk action stores this (`Resolved.to_json`); loading, hours later and in another process, reads nothing else.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from typing import cast
from uuid import UUID

from crm.auth import Caller
from crm.models import CustomField, Group
from search import codec
from search.clock import Clock
from search.grammar import parse_whole
from search.nodes import (
    And,
    AnyId,
    Condition,
    CustomFieldRef,
    FieldCondition,
    FieldRef,
    HasRelated,
    InStatus,
    Kind,
    LocalTime,
    MomentRange,
    Node,
    Or,
    SortItem,
    Text,
)
from search.schema import KIND_OF_CUSTOM, OBJECT_TYPES, TYPES_IN_DOCUMENTS
from search.views import views_of


@dataclass(frozen=True)
class Resolved:
    """A query with nothing left open: same rows for whoever runs it, whenever, over the same data."""

    object_type: str
    node: Node
    sort: tuple[SortItem, ...] = ()
    results_limit: int | None = None

    def to_json(self) -> dict[str, object]:
        return {
            "object_type": self.object_type,
            "node": codec.to_json(self.node),
            "sort": codec.to_json(self.sort),
            "results_limit": self.results_limit,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> "Resolved":
        """The query that `to_json` wrote."""
        return cls(
            cast(str, data["object_type"]),
            cast(Node, codec.from_json(data["node"])),
            cast("tuple[SortItem, ...]", codec.from_json(data["sort"])),
            cast("int | None", data["results_limit"]),
        )


def resolve(
    *,
    query: object,
    sort: object,
    caller: Caller,
    tz: tzinfo,
    now: datetime,
    path: str = "s_query",
    for_bulk: bool,
    results_limit: object = None,
    inside: tuple[UUID, ...] = (),
) -> Resolved:
    """Parse `query` and fix all that depends on who asks and when.

    `sort` and `results_limit` may stand in the query's wrapper instead. `for_bulk` applies the stricter rules of
    `grammar.parse_whole`; `inside` are the Smart Views that the query belongs to. Raises `InvalidSearch` with all
    problems and their paths.
    """
    fields = {field.pk: field for field in CustomField.objects.filter(organization_id=caller.organization.pk)}
    parsed = parse_whole(
        query, sort=sort, results_limit=results_limit, path=path, custom_fields=fields, for_bulk=for_bulk,
        find_view=views_of(caller, tz), inside=inside, organization_id=caller.organization.pk,
    )  # fmt: skip
    node = _Resolver(caller, Clock(now, tz), _document_keys(fields)).node(parsed.node)
    return Resolved(parsed.object_type, node, parsed.sort, parsed.results_limit)


def kind_of(field: FieldRef) -> Kind:
    """What kind of value a field holds."""
    if isinstance(field, CustomFieldRef):
        return KIND_OF_CUSTOM[field.type]
    return OBJECT_TYPES[field.object_type].fields[field.name].kind


def _document_keys(fields: Mapping[UUID, CustomField]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    keys = defaultdict(list)
    for field in fields.values():
        if field.type in TYPES_IN_DOCUMENTS:
            keys[field.object_type].append(field.key)
    return tuple((object_type, tuple(sorted(found))) for object_type, found in sorted(keys.items()))


@dataclass(frozen=True)
class _Resolver:
    caller: Caller
    clock: Clock
    document_keys: tuple[tuple[str, tuple[str, ...]], ...]

    def node(self, node: Node) -> Node:
        match node:
            case And() | Or():
                return replace(node, queries=tuple(map(self.node, node.queries)))
            case HasRelated():
                return replace(node, query=self.node(node.query))
            case Text():
                return replace(node, custom_keys=self.document_keys)
            case InStatus(_, _, first, last):
                return replace(node, on_or_after=self.clock.instant(first), before=self.clock.instant(last))
            case FieldCondition():
                return replace(node, condition=self._condition(node.condition, kind_of(node.field)))
            case _:
                return node

    def _condition(self, condition: Condition, kind: Kind) -> Condition:
        match condition:
            case AnyId(ids, current_user, groups) if current_user or groups:
                mine = (self.caller.user.pk,) if current_user else ()
                return AnyId(tuple(dict.fromkeys((*ids, *mine, *self._members(groups)))))
            case LocalTime():
                return self.clock.zones(condition)
            case MomentRange():
                return self.clock.days(condition) if kind is Kind.DATE else self.clock.instants(condition)
            case _:
                return condition

    def _members(self, groups: tuple[UUID, ...]) -> tuple[UUID, ...]:
        if not groups:
            return ()
        own = Group.objects.filter(organization_id=self.caller.organization.pk, pk__in=groups, members__isnull=False)
        return tuple(own.order_by("members").values_list("members", flat=True))
