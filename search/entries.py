"""Whom mail number N of a bulk email would go to (close-api.md 2.7). The view that shows that mail is `crm`'s own."""

import json
from collections.abc import Mapping

from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from crm.api.close.conventions import CloseRequest
from crm.errors import FieldErrors
from crm.mail.recipients import Addressee, Preference, of_contacts, of_leads
from crm.models import ContactEmail
from search.compiler import found, matching, order_of
from search.limits import limited_in_time
from search.resolve import Resolved, resolve
from search.text_query.resolve import resolve_text

LAST_ENTRY = 100
_TYPES = ("lead", "contact")


def find_entry(request: CloseRequest) -> Addressee:
    """The addressee with the number `entry` among those of what the request's search finds. `Invalid` without one."""
    given = request.query_params
    entry = _whole_number(given, "entry", LAST_ENTRY) or 0
    preference = given.get("contact_preference") or Preference.LEAD
    if preference not in Preference.values:
        raise FieldErrors({"contact_preference": f"Not a valid choice. One of: {', '.join(Preference.values)}."})
    resolved = _search(request)
    with limited_in_time():
        keys = list(_with_address(resolved, request)[: entry + 1])  # each of them has one addressee at least
        addressees = (of_leads if resolved.object_type == "lead" else of_contacts)(keys, preference)
    if len(addressees) <= entry:
        raise FieldErrors({"entry": f"The search gives {len(addressees)} mails, so there is none with this number."})
    return addressees[entry]


def _search(request: CloseRequest) -> Resolved:
    given = request.query_params
    if given.get("s_query") and given.get("query"):
        raise FieldErrors({"query": "Give either s_query or query, not both."})
    common = {
        "caller": request.caller, "tz": request.tz, "now": timezone.now(), "for_bulk": True,
        "sort": _json(given, "sort"), "results_limit": _whole_number(given, "results_limit", 2**31 - 1),
    }  # fmt: skip
    if given.get("query"):
        resolved = resolve_text(given["query"], **common)[1]
    else:
        resolved = resolve(query=_json(given, "s_query"), **common)
    if resolved.object_type not in _TYPES:
        raise FieldErrors({"s_query": f"Mails go to leads or contacts, not to the type {resolved.object_type}."})
    if given.get("bulk_object_type", resolved.object_type) not in ("", resolved.object_type):
        raise FieldErrors({"bulk_object_type": f"The search finds objects of the type {resolved.object_type}."})
    return resolved


def _with_address(resolved: Resolved, request: CloseRequest) -> QuerySet:
    """The keys of what is found and has an address, in the order of the search."""
    organization_id = request.caller.organization.pk
    rows = matching(resolved, organization_id)
    if resolved.results_limit is not None:
        limited = matching(resolved, organization_id)[: resolved.results_limit].values("pk")
        rows = found(resolved, organization_id).filter(pk__in=limited).order_by(*order_of(resolved))
    owner = "contact__lead" if resolved.object_type == "lead" else "contact"
    return rows.filter(Exists(ContactEmail.objects.filter(**{owner: OuterRef("pk")}))).values_list("pk", flat=True)


def _json(given: Mapping[str, str], name: str) -> object:
    text = given.get(name)
    if not text:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise FieldErrors({name: "Value must be JSON."}) from None


def _whole_number(given: Mapping[str, str], name: str, maximum: int) -> int | None:
    text = given.get(name, "").strip()
    if not text:
        return None
    if not text.isdecimal() or not text.isascii() or len(text) > 10 or int(text) > maximum:
        raise FieldErrors({name: f"Input should be a whole number from 0 to {maximum}"})
    return int(text)
