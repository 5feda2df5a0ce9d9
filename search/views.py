"""Smart Views as parts of queries."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q

from crm.auth import Caller
from crm.models import Group
from search.models import SavedSearch
from search.schema import TYPE_OF_VIEW


@dataclass(frozen=True)
class View:
    """What a Smart View finds; no object type where it finds objects that are not supported."""

    key: UUID
    name: str
    object_type: str | None
    query: object


FindView = Callable[[UUID], View | None]


def no_views(key: UUID) -> View | None:
    return None


def views_of(caller: Caller) -> FindView:
    """Finds the Smart Views that a caller may use: own and shared ones, and what those name. Each is read once."""
    found: dict[UUID, View | None] = {}

    def find(key: UUID) -> View | None:
        if key not in found:
            row = SavedSearch.objects.filter(visible_to(caller), pk=key).first()
            found[key] = row and View(row.pk, row.name, TYPE_OF_VIEW.get(row.type), _query_of(row))
        return found[key]

    return find


def visible_to(caller: Caller) -> Q:
    """The Smart Views that a caller may see: own ones, and those shared with all, with them or with their groups."""
    groups = Group.objects.filter(organization_id=caller.organization.pk, members=caller.user.pk)
    shared_with = [caller.user.pk, *groups.values_list("pk", flat=True)]
    mine = Q(user_id=caller.user.pk) | Q(is_shared=True) | Q(shared_with__overlap=shared_with)
    return Q(organization_id=caller.organization.pk) & mine


def _query_of(row: SavedSearch) -> object:
    """The view's query without its wrapper: its own limit and sort do not count."""
    query = row.s_query
    if isinstance(query, dict) and "query" in query and "type" not in query:
        return query["query"]
    return query
