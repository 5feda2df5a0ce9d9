"""From the body of a POST to an `Order`: all of it checked, all that is wrong told at once (close-api.md 2.2-2.6)."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from itertools import islice
from typing import TypeVar
from uuid import UUID

from django.utils import timezone

from bulk_actions.api.edits import edit_params
from bulk_actions.api.emails import email_params
from bulk_actions.api.options import (
    canary_of,
    failure_ratio_of,
    flag_of,
    max_leads_of,
    on_changed_of,
    run_at_of,
)
from bulk_actions.api.problems import Problems
from bulk_actions.api.sequences import sequence_params
from bulk_actions.models import DEFAULT_FAILURE_RATIO, Kind, OnChanged, Preview, Priority
from bulk_actions.seals import sealed_preview
from bulk_actions.services import Order
from crm.auth import Caller
from crm.errors import FieldErrors
from crm.ids import parse_close_id
from search.nodes import Ids
from search.paging import binding_of
from search.resolve import Resolved, resolve
from search.text_query.resolve import resolve_text

MAX_LEAD_IDS = 100_000
MAX_UNKNOWN_KEYS = 20  # of one body that are told: finding what was meant takes its time
_MAX_KEY = 100  # characters of an unknown key that are told
_SHARED_KEYS = {
    "s_query", "query", "lead_ids", "results_limit", "sort", "send_done_email", "leads_per_minute",
    "priority", "max_leads", "canary", "max_failure_ratio", "on_changed", "run_at",
    "_fields", "limit", "_limit", "include_counts",
}  # fmt: skip
# A client may send one form for all kinds; a key of another kind is known, and does nothing.
_KEYS_OF_KINDS = {
    "type", "lead_status_id", "custom_field_id", "custom_field_name", "custom_field_value", "custom_field_values",
    "custom_field_operation", "bulk_object_type", "template_id", "contact_preference", "sender", "email_account_id",
    "action_type", "sequence_id", "sender_account_id", "sender_name", "sender_email", "calls_assigned_to",
    "from_phone_number_id",
}  # fmt: skip
_KNOWN_KEYS = sorted(_SHARED_KEYS | _KEYS_OF_KINDS | {"preview_token"})
_KEYS_OF_PREVIEWS = sorted(_SHARED_KEYS | _KEYS_OF_KINDS | {"seal"})

Body = Mapping[str, object]
T = TypeVar("T")


def order_of(kind: Kind, body: Body, *, caller: Caller, tz: tzinfo, is_preview: bool = False) -> Order:
    """The order that `body` places. Raises `Invalid` with everything that is wrong with it."""
    problems = Problems()
    problems.gather(lambda: refuse_unknown_keys(body, _KEYS_OF_PREVIEWS if is_preview else _KNOWN_KEYS))
    params = problems.gather(lambda: _PARAMS[kind](body, caller))
    if is_preview or body.get("preview_token") is None:
        preview = None
        target = problems.gather(lambda: _target(kind, body, caller, tz))
    else:
        preview = problems.gather(lambda: sealed_preview(body["preview_token"], kind, caller))
        target = problems.gather(lambda: preview and _sealed_target(preview, body, params))
    send = problems.gather(lambda: flag_of(body, "send_done_email", default=True))
    ceiling = problems.gather(lambda: ceiling_of(body))
    priority = problems.gather(lambda: priority_of(body))
    run_at = problems.gather(lambda: run_at_of(body))
    max_leads = problems.gather(lambda: max_leads_of(body))
    canary_leads = problems.gather(lambda: canary_of(body))
    failure_ratio = problems.gather(lambda: failure_ratio_of(body))
    on_changed = problems.gather(lambda: on_changed_of(body))
    problems.raise_any()
    assert target is not None  # or there would have been a problem
    return Order(
        kind=kind,
        params=params or {},
        query=target.query,
        s_query=target.s_query,
        resolved_query=target.resolved.to_json(),
        sort=target.sort,
        results_limit=target.resolved.results_limit,
        send_done_email=bool(send),
        leads_per_minute=ceiling,
        priority=priority or Priority.NORMAL,
        run_at=run_at,
        max_leads=max_leads,
        canary_leads=canary_leads,
        max_failure_ratio=DEFAULT_FAILURE_RATIO if failure_ratio is None else failure_ratio,
        on_changed=on_changed or OnChanged.APPLY,
        preview_id=preview.pk if preview else None,
    )


def asked_of(body: Body) -> dict[str, str]:
    """A digest of each key that chooses the leads, where it is given: what a create must repeat, or leave out."""
    keys = ("s_query", "query", "lead_ids", "sort", "results_limit")
    return {key: binding_of(body[key]) for key in keys if body.get(key) is not None}


def seal_of(body: Body) -> bool:
    """Whether a preview is to freeze its leads. Raises `FieldErrors`."""
    return flag_of(body, "seal")


def refuse_unknown_keys(body: Body, known: Sequence[str]) -> None:
    """Raises FieldErrors with the nearest known key for each unknown one."""
    unknown = {}
    for key in islice((key for key in body if key not in known), MAX_UNKNOWN_KEYS):
        shown = key[:_MAX_KEY]
        near = difflib.get_close_matches(shown, known, n=1)
        unknown[shown] = "Unknown key." + (f" Did you mean {near[0]}?" if near else "")
    if unknown:
        raise FieldErrors(unknown)


def _delete_params(body: Body, caller: Caller) -> dict[str, object]:
    value = body.get("bulk_object_type")
    if value not in (None, "lead"):
        known = value in ("contact", "call", "custom_activity", "form_submission")
        raise FieldErrors({"bulk_object_type": "Not supported yet." if known else "Not a valid choice."})
    return {}


_PARAMS: dict[str, Callable[[Body, Caller], dict[str, object]]] = {
    Kind.DELETE: _delete_params,
    Kind.EDIT: edit_params,
    Kind.EMAIL: email_params,
    Kind.SEQUENCE_SUBSCRIPTION: sequence_params,
}


@dataclass(frozen=True)
class _Target:
    """The leads that are meant: what the job shows of that, and what it works by."""

    resolved: Resolved
    sort: list[object]
    s_query: dict[str, object] | None = None
    query: str | None = None


def _target(kind: Kind, body: Body, caller: Caller, tz: tzinfo) -> _Target:
    given = [name for name in ("s_query", "query", "lead_ids") if body.get(name) is not None]
    if not given:
        raise FieldErrors({"s_query": 'This field is required. For every lead send {"type": "match_all"}.'})
    if len(given) > 1:
        raise FieldErrors({given[-1]: f"Give either {' or '.join(given)}, not both."})
    common = {
        "caller": caller, "tz": tz, "now": timezone.now(), "for_bulk": True,
        "sort": body.get("sort"), "results_limit": body.get("results_limit"),
    }  # fmt: skip
    if given == ["query"]:
        text, resolved = resolve_text(body["query"], **common)
        return _Target(resolved, text.sort or body.get("sort") or [], text.s_query, str(body["query"]))
    if given == ["lead_ids"]:
        ids = _lead_ids(body["lead_ids"])
        resolved = resolve(query={"type": "match_all"}, **common)
        return _Target(replace(resolved, node=Ids(ids)), body.get("sort") or [])
    resolved = resolve(query=body["s_query"], **common)
    if kind == Kind.DELETE and resolved.object_type != "lead":
        # Elsewhere other objects mean their leads; whoever wants some contacts gone must not lose whole leads.
        problem = f"A bulk delete deletes leads, but the query finds objects of the type {resolved.object_type}."
        raise FieldErrors({"s_query": f"{problem} For the leads that have such an object use `has_related`."})
    wrapping = body["s_query"] if isinstance(body["s_query"], dict) else {}
    return _Target(resolved, body.get("sort") or wrapping.get("sort") or [], body["s_query"])


def _sealed_target(preview: Preview, body: Body, params: Mapping[str, object] | None) -> _Target:
    """The leads of the preview, where the body places the same order."""
    given = asked_of(body)
    # Without a query the preview's own is meant; one that is given must be given whole.
    missing = preview.asked.keys() - given.keys() if given.keys() & {"s_query", "query", "lead_ids"} else set()
    wrong = missing | {key for key in given if given[key] != preview.asked.get(key)}
    if wrong:
        problem = "This differs from the preview. Send what was previewed, or leave the query out."
        raise FieldErrors(dict.fromkeys(sorted(wrong), problem))
    if params is not None and params != preview.order["params"]:
        raise FieldErrors({"preview_token": "The preview was of another change to the leads. Make a new one."})
    order = preview.order
    return _Target(Resolved.from_json(order["resolved_query"]), order["sort"], order["s_query"], order["query"])


def _lead_ids(value: object) -> tuple[UUID, ...]:
    if not isinstance(value, list) or not value:
        raise FieldErrors({"lead_ids": "Value must be a list of lead ids, not empty."})
    if len(value) > MAX_LEAD_IDS:
        raise FieldErrors({"lead_ids": f"List is too long: at most {MAX_LEAD_IDS} ids."})
    keys = [parse_close_id("lead", one) for one in value]
    wrong = {f"lead_ids[{index}]": "Not a lead id." for index, key in enumerate(keys) if key is None}
    if wrong:
        raise FieldErrors(dict(list(wrong.items())[:20]))
    return tuple(dict.fromkeys(key for key in keys if key is not None))


def priority_of(body: Body) -> Priority:
    """`low`, `normal` (also when it is left out or null) or `high`. Raises FieldErrors."""
    value = body.get("priority")
    if value is None:
        return Priority.NORMAL
    for priority in Priority:
        if priority.label == value:
            return priority
    raise FieldErrors({"priority": "Not a valid choice: send low, normal or high."})


def ceiling_of(body: Body) -> int | None:
    """Leads per minute; None, for no ceiling, when it is left out or null. Raises FieldErrors."""
    value = body.get("leads_per_minute")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 2_000_000_000:
        raise FieldErrors({"leads_per_minute": "Value must be a whole number of at least 1, or null for no ceiling."})
    return value
