"""The `params` of an export of opportunities: what their list is narrowed by and sorted (close-api.md 4.3, 4.13)."""

from collections.abc import Mapping
from datetime import tzinfo

from django.utils import timezone

from bulk_actions.export_filters import Filters, opportunities
from crm.api.close.opportunity_filters import FILTERS
from crm.auth import Caller
from crm.errors import FieldErrors
from search.nodes import MatchAll
from search.resolve import Resolved, resolve
from search.text_query.resolve import resolve_text

_SEARCHES = ("query", "lead_query", "lead_saved_search_id")
_KNOWN = {*(parameter.name for parameter in FILTERS), *_SEARCHES, "_order_by"}
_SHOWN_NAME = 100  # characters of a filter that there is not


def read_filters(value: object, caller: Caller, tz: tzinfo) -> Filters:
    """What is asked for, fixed as of now. Raises `FieldErrors` below `params`."""
    if value is not None and not isinstance(value, dict):
        raise FieldErrors({"params": "Value must be an object of filters."})
    try:
        words = _texts(value or {})
        filters = Filters(words, tz, *_searches(words, caller, tz))
        opportunities(filters, caller.organization.pk)
    except FieldErrors as problem:
        raise FieldErrors({"params": problem.field_errors}) from problem
    return filters


def _texts(value: Mapping[str, object]) -> dict[str, str]:
    found = {}
    for name, given in value.items():
        if name not in _KNOWN:
            raise FieldErrors({name[:_SHOWN_NAME]: "There is no such filter."})
        words = given if isinstance(given, list) and name.endswith("__in") else [given]
        if not all(isinstance(word, str) for word in words):
            raise FieldErrors({name: "Value must be a text; of a filter with `__in` it may be a list of texts."})
        if isinstance(given, list) and any("," in word for word in words):
            raise FieldErrors({name: "Words with a comma cannot stand in a list."})
        found[name] = ",".join(words)
    return found


def _searches(words: dict[str, str], caller: Caller, tz: tzinfo) -> tuple[Resolved, tuple[Resolved, ...]]:
    """The search for opportunities, and those for the leads that they must be of."""
    text, of_leads, view = (words.get(name, "").strip() for name in _SEARCHES)
    now = timezone.now()
    mine = Resolved("opportunity", MatchAll())
    if text:
        _, mine = resolve_text(text, caller=caller, tz=tz, now=now, object_type="opportunity")
    leads = []
    if of_leads:
        leads.append(resolve_text(of_leads, caller=caller, tz=tz, now=now, path="lead_query")[1])
    if view:
        query = {"type": "saved_search", "saved_search_id": view}
        found = resolve(
            query=query, sort=None, caller=caller, tz=tz, now=now, path="lead_saved_search_id", for_bulk=False
        )
        if found.object_type != "lead":
            raise FieldErrors({"lead_saved_search_id": "It is not a Smart View of leads."})
        leads.append(found)
    return mine, tuple(leads)
