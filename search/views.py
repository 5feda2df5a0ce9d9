"""Smart Views as parts of queries."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import tzinfo
from uuid import UUID

from django.db.models import Q

from crm.auth import Caller
from crm.models import Group
from search.errors import InvalidSearch
from search.models import SavedSearch
from search.schema import TYPE_OF_VIEW
from search.text_query.translate import translate
from search.text_query.vocabulary import vocabulary_of


@dataclass(frozen=True)
class View:
    """What a Smart View finds, or the `problem` that keeps it from finding anything."""

    key: UUID
    object_type: str | None = None
    query: object = None
    problem: str | None = None


FindView = Callable[[UUID], View | None]


def no_views(key: UUID) -> View | None:
    return None


def views_of(caller: Caller, tz: tzinfo) -> FindView:
    """Finds the Smart Views that a caller may use: own and shared ones, and what those name. Each is read once.

    `tz` is the zone of a text query's moments.
    """
    found: dict[UUID, View | None] = {}

    def find(key: UUID) -> View | None:
        if key not in found:
            row = SavedSearch.objects.filter(visible_to(caller), pk=key).first()
            found[key] = row and _view_of(row, tz)
        return found[key]

    return find


def visible_to(caller: Caller) -> Q:
    """The Smart Views that a caller may see: own ones, and those shared with all, with them or with their groups."""
    groups = Group.objects.filter(organization_id=caller.organization.pk, members=caller.user.pk)
    shared_with = [caller.user.pk, *groups.values_list("pk", flat=True)]
    mine = Q(user_id=caller.user.pk) | Q(is_shared=True) | Q(shared_with__overlap=shared_with)
    return Q(organization_id=caller.organization.pk) & mine


def _view_of(row: SavedSearch, tz: tzinfo) -> View:
    """The view with its query out of the wrapper: its own limit and sort do not count."""
    object_type, query = TYPE_OF_VIEW.get(row.type), row.s_query
    if object_type is None:
        return View(row.pk, problem="Smart Views of this type are not supported yet.")
    if isinstance(query, dict) and "query" in query and "type" not in query:
        query = query["query"]
    if query is None and row.query:
        return _meaning_of_text(row, object_type, tz)
    if query is None:
        return View(row.pk, object_type, problem="The Smart View holds no query.")
    return View(row.pk, object_type, query)


def _meaning_of_text(row: SavedSearch, object_type: str, tz: tzinfo) -> View:
    """A view that came as a text alone, not through the API: that keeps the translation beside the text."""
    try:
        meant = translate(
            row.query or "", vocabulary=vocabulary_of(row.organization_id), tz=tz, object_type=object_type
        )
    except InvalidSearch as problem:
        return View(row.pk, object_type, problem=f"The Smart View's text: {problem.field_errors['query']}")
    if meant.slice is not None:
        return View(row.pk, object_type, problem="The Smart View's text: a view cannot be a slice.")
    return View(row.pk, object_type, meant.s_query)
