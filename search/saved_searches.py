"""Smart Views: who sees which, and what is checked before one is kept (close-api.md 4.12)."""

from collections.abc import Callable, Iterator, Mapping
from datetime import tzinfo
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from crm.auth import Caller
from crm.errors import FieldErrors, Forbidden, NotFound
from crm.ids import close_id, parse_close_id
from crm.models import Group, Membership, Role
from crm.text import clean_name, clean_text
from search.conditions import CURRENT_USER
from search.models import SavedSearch
from search.resolve import resolve
from search.schema import TYPE_OF_VIEW
from search.text_query.translate import translate
from search.text_query.vocabulary import vocabulary_of
from search.views import views_of, visible_to

UNSUPPORTED_VIEWS = ("whatsapp_message", "custom_activity", "form_submission")
LONGEST_DESCRIPTION = 300
MAX_SHARED_WITH = 1_000

Json = Mapping[str, object]


def views_for(caller: Caller) -> QuerySet[SavedSearch]:
    """The views that the caller sees, by name."""
    return SavedSearch.objects.filter(visible_to(caller)).order_by("name", "id")


@transaction.atomic
def create_saved_search(*, caller: Caller, tz: tzinfo, properties: Json) -> SavedSearch:
    """A new view of the caller's. All that is wrong at once: `FieldErrors`."""
    view = SavedSearch(organization=caller.organization, user=caller.user)
    _apply(view, {"name": None, "s_query": None, "type": "lead", **properties}, caller, tz)
    view.save(force_insert=True)
    view.refresh_from_db()
    return view


@transaction.atomic
def update_saved_search(*, caller: Caller, tz: tzinfo, view_id: UUID | None, properties: Json) -> SavedSearch:
    """Set the given properties. `NotFound` for a view that the caller does not see, `Forbidden` for one of another."""
    view = _own(caller, view_id)
    _apply(view, properties, caller, tz)
    view.date_updated = Now()
    view.save()
    view.refresh_from_db()
    return view


@transaction.atomic
def delete_saved_search(*, caller: Caller, view_id: UUID | None) -> None:
    """Delete a view. Another one that refers to it is refused with a 400 from then on, whenever it is used."""
    _own(caller, view_id).delete()


def _own(caller: Caller, view_id: UUID | None) -> SavedSearch:
    """The view, locked, if the caller may change it: its owner and admins may."""
    view = views_for(caller).select_for_update(no_key=True).filter(pk=view_id).first()
    if view is None:
        raise NotFound
    if view.user_id != caller.user.pk and caller.membership.role != Role.ADMIN:
        raise Forbidden("Only its owner and admins may change this Smart View.")
    return view


# --- properties -------------------------------------------------------------------------------------------------------
def _apply(view: SavedSearch, properties: Json, caller: Caller, tz: tzinfo) -> None:
    problems: dict[str, object] = {}
    for name, read in _READERS.items():
        if name in properties:
            try:
                setattr(view, name, read(properties[name]))
            except FieldErrors as problem:
                problems |= problem.field_errors
    if "shared_with" in properties:
        try:
            view.shared_with = _shared_with(properties["shared_with"], caller)
        except FieldErrors as problem:
            problems |= problem.field_errors
    if "type" not in problems and not {"type", "query", "s_query"}.isdisjoint(properties):
        try:
            view.query, view.s_query = _queries(view, properties, tz)
            view.is_user_dependent = _check_query(view, caller, tz)
        except FieldErrors as problem:
            problems |= problem.field_errors
    if properties.get("sharing_settings") is not None:
        problems["sharing_settings"] = "Not supported. Use `is_shared` and `shared_with`."
    if problems:
        raise FieldErrors(problems)


def _type(value: object) -> str:
    if value in UNSUPPORTED_VIEWS:
        raise FieldErrors({"type": f"Smart Views of the type '{value}' are not supported yet."})
    if not isinstance(value, str) or value not in TYPE_OF_VIEW:
        raise FieldErrors({"type": f"Not a valid choice. One of: {', '.join(TYPE_OF_VIEW)}"})
    return value


def _name(value: object) -> str:
    if value is None:
        raise FieldErrors({"name": "This field is required."})
    return clean_name(value, path="name")


def _description(value: object) -> str | None:
    return None if value is None else clean_text(value, path="description", limit=LONGEST_DESCRIPTION)


def _is_shared(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise FieldErrors({"is_shared": "Value must be true or false."})


def _selected_fields(value: object) -> list[object] | None:
    if value is None or (isinstance(value, list) and all(isinstance(item, dict) for item in value)):
        return value
    raise FieldErrors({"selected_fields": "Value must be a list of objects."})


_READERS: Mapping[str, Callable[[object], object]] = {
    "name": _name,
    "type": _type,
    "description": _description,
    "is_shared": _is_shared,
    "selected_fields": _selected_fields,
}


def _shared_with(value: object, caller: Caller) -> list[UUID]:
    """The keys of the users and groups that the ids name, all of them of the organization; ended members are fine."""
    if not isinstance(value, list | None):
        raise FieldErrors({"shared_with": "Value must be a list."})
    ids = list(value or ())
    if len(ids) > MAX_SHARED_WITH:
        raise FieldErrors({"shared_with": f"List is too long: at most {MAX_SHARED_WITH}."})
    keys = {key for text in ids if (key := parse_close_id("user", text) or parse_close_id("group", text))}
    members = Membership.objects.filter(organization=caller.organization, user_id__in=keys)
    groups = Group.objects.filter(organization=caller.organization, pk__in=keys)
    known = {
        *(close_id("user", key) for key in members.values_list("user_id", flat=True)),
        *(close_id("group", key) for key in groups.values_list("pk", flat=True)),
    }
    if any(not isinstance(text, str) or text not in known for text in ids):
        raise FieldErrors({"shared_with": "Object does not exist."})
    return sorted(keys)


# --- the query --------------------------------------------------------------------------------------------------------
def _queries(view: SavedSearch, properties: Json, tz: tzinfo) -> tuple[str | None, dict[str, object]]:
    """The text query, if the view has one, and the `s_query` that it means or that was given."""
    text, s_query = properties.get("query") or None, properties.get("s_query")
    if text is not None and not (text == view.query and _is_of_type(view)):
        if s_query is not None and s_query != view.s_query:
            raise FieldErrors({"query": "Give either `query` or `s_query`."})
        return _translated(text, view, tz)
    if s_query is None and view.s_query is not None and "s_query" not in properties:
        return view.query, view.s_query
    return view.query if s_query == view.s_query else None, _wrapped(s_query)


def _is_of_type(view: SavedSearch) -> bool:
    """Whether the view has an `s_query`, and that says on its first level that it is for objects of the view's type."""
    return set(_named_types((view.s_query or {}).get("query"))) == {TYPE_OF_VIEW[view.type]}


def _translated(text: object, view: SavedSearch, tz: tzinfo) -> tuple[str, dict[str, object]]:
    if not isinstance(text, str):
        raise FieldErrors({"query": "Value must be of basestring type."})
    vocabulary = vocabulary_of(view.organization_id)
    meant = translate(text, vocabulary=vocabulary, tz=tz, object_type=TYPE_OF_VIEW[view.type])
    if meant.slice:
        raise FieldErrors({"query": "A Smart View cannot be a slice."})
    return text, {"query": meant.s_query, "results_limit": None, "sort": meant.sort}


def _wrapped(query: object) -> dict[str, object]:
    """The query in its wrapper; a bare node gets one."""
    if query is None:
        raise FieldErrors({"s_query": "This field is required."})
    if not isinstance(query, dict):
        raise FieldErrors({"s_query": "Value must be an object."})
    is_wrapped = "query" in query and "type" not in query
    return {"results_limit": None, "sort": [], **(query if is_wrapped else {"query": query})}


def _check_query(view: SavedSearch, caller: Caller, tz: tzinfo) -> bool:
    """Whether the view's query means something else for each user; `FieldErrors` where the view cannot have it."""
    inside = () if view._state.adding else (view.pk,)  # it may not refer to itself
    resolve(query=view.s_query, sort=None, caller=caller, tz=tz, now=timezone.now(), for_bulk=False, inside=inside)
    if not _is_of_type(view):
        wanted = f'{{"type": "object_type", "object_type": "{TYPE_OF_VIEW[view.type]}"}}'
        raise FieldErrors({"s_query.query": f"A Smart View of the type '{view.type}' needs the node {wanted}."})
    nodes, used, find = list(_nodes(view.s_query["query"])), set[UUID](), views_of(caller, tz)
    while reached := {key for key in map(_referred, nodes) if key} - used:
        used |= reached
        nodes += [node for inner in map(find, reached) if inner for node in _nodes(inner.query)]
    return any(_is_about_caller(node) for node in nodes)


def _nodes(value: object) -> Iterator[Json]:
    """All nodes of a parsed query."""
    waiting = [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting.append(node.get("related_query"))
            waiting += node.get("queries") or ()


def _named_types(query: object) -> Iterator[object]:
    """What the `object_type` nodes on the first level name."""
    if isinstance(query, dict):
        for node in (query, *(query.get("queries") or ())):
            if node.get("type") == "object_type" and not node.get("negate"):
                yield node["object_type"]


def _referred(node: Json) -> UUID | None:
    """The view that a `saved_search` node names."""
    return parse_close_id("save", node.get("saved_search_id")) if node.get("type") == "saved_search" else None


def _is_about_caller(node: Json) -> bool:
    condition = node.get("condition")
    if not isinstance(condition, dict):
        return False
    return condition.get("type") == "current_user" or CURRENT_USER in (condition.get("object_ids") or ())
