"""From the body of a POST to an `Order`: everything checked, and all that is wrong told at once (close-api.md 2.2 to 2.6)."""

import difflib
from collections.abc import Callable, Mapping
from datetime import tzinfo
from typing import TypeVar

from django.utils import timezone

from bulk_actions.api.edits import edit_params
from bulk_actions.models import Kind
from bulk_actions.services import Order
from crm.auth import Caller
from crm.errors import FieldErrors, Invalid
from crm.ids import parse_close_id

MAX_LEAD_IDS = 100_000
_SHARED_KEYS = {
    "s_query", "query", "lead_ids", "results_limit", "sort", "send_done_email", "leads_per_minute",
    "_fields", "limit", "_limit", "include_counts",
}  # fmt: skip
# A client may send one form for all kinds; a key of another kind is known, and does nothing.
_KEYS_OF_KINDS = {
    "type", "lead_status_id", "custom_field_id", "custom_field_name", "custom_field_value", "custom_field_values",
    "custom_field_operation", "bulk_object_type", "template_id", "contact_preference", "sender", "email_account_id",
    "action_type", "sequence_id", "sender_account_id", "sender_name", "sender_email", "calls_assigned_to",
    "from_phone_number_id",
}  # fmt: skip
_KNOWN_KEYS = sorted(_SHARED_KEYS | _KEYS_OF_KINDS)

Body = Mapping[str, object]
T = TypeVar("T")


class Problems:
    """Gathers what is wrong with a body, so that the caller hears all of it at once."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.field_errors: dict[str, object] = {}

    def gather(self, compute: Callable[[], T]) -> T | None:
        try:
            return compute()
        except Invalid as problem:
            self.errors += problem.errors
            self.field_errors.update(problem.field_errors)
            return None

    def raise_any(self) -> None:
        if self.errors or self.field_errors:
            raise Invalid(self.errors, self.field_errors)


def order_of(kind: Kind, body: Body, *, caller: Caller, tz: tzinfo) -> Order:
    """The order that `body` places. Raises `Invalid` with everything that is wrong with it."""
    problems = Problems()
    problems.gather(lambda: _refuse_unknown_keys(body))
    params = problems.gather(lambda: _PARAMS[kind](body, caller))
    query, path, wrapped = _unwrap(body.get("s_query"))
    limit = problems.gather(lambda: _results_limit(body, wrapped))
    sort = body["sort"] if body.get("sort") is not None else wrapped.get("sort")
    resolved = problems.gather(lambda: _resolved(kind, body, query, path, sort, caller, tz))
    send = problems.gather(lambda: _boolean(body, "send_done_email", default=True))
    ceiling = problems.gather(lambda: _ceiling(body))
    problems.raise_any()
    return Order(
        kind=kind,
        params=params or {},
        s_query=body.get("s_query"),
        resolved_query=resolved or {},
        sort=list(sort or []),
        results_limit=limit,
        send_done_email=bool(send),
        leads_per_minute=ceiling,
    )


def _refuse_unknown_keys(body: Body) -> None:
    unknown = {}
    for key in body:
        if key not in _KNOWN_KEYS:
            near = difflib.get_close_matches(key, _KNOWN_KEYS, n=1)
            unknown[key] = "Unknown key." + (f" Did you mean {near[0]}?" if near else "")
    if unknown:
        raise FieldErrors(unknown)


def _delete_params(body: Body, caller: Caller) -> dict[str, object]:
    value = body.get("bulk_object_type")
    if value not in (None, "lead"):
        known = value in ("contact", "call", "custom_activity", "form_submission")
        raise FieldErrors({"bulk_object_type": "Not supported yet." if known else "Not a valid choice."})
    return {}


_PARAMS: dict[str, Callable[[Body, Caller], dict[str, object]]] = {Kind.DELETE: _delete_params, Kind.EDIT: edit_params}


def _unwrap(s_query: object) -> tuple[object, str, Mapping[str, object]]:
    """The bare node of `s_query`, its path, and the wrapping that a Smart View puts around it."""
    if isinstance(s_query, dict) and "query" in s_query and "type" not in s_query:
        return s_query["query"], "s_query.query", s_query
    return s_query, "s_query", {}


def _resolved(
    kind: Kind, body: Body, query: object, path: str, sort: object, caller: Caller, tz: tzinfo
) -> dict[str, object]:
    if body.get("query") is not None:
        raise FieldErrors({"query": "Text queries are not supported yet. Use s_query."})
    if body.get("lead_ids") is not None:
        if query is not None:
            raise FieldErrors({"lead_ids": "Give either s_query or lead_ids, not both."})
        return {"lead_ids": _lead_ids(body["lead_ids"])}
    if query is None:
        raise FieldErrors({"s_query": 'This field is required. For every lead send {"type": "match_all"}.'})
    resolved = resolve(query=query, sort=sort, caller=caller, tz=tz, now=timezone.now(), path=path, for_bulk=True)
    if resolved.object_type != "lead" and (kind == Kind.DELETE or resolved.object_type != "contact"):
        raise FieldErrors({path: f"This action works on leads, the query finds objects of type {resolved.object_type}."})
    return resolved.to_json()


def _lead_ids(value: object) -> list[str]:
    if not isinstance(value, list) or not value:
        raise FieldErrors({"lead_ids": "Value must be a list of lead ids, not empty."})
    if len(value) > MAX_LEAD_IDS:
        raise FieldErrors({"lead_ids": f"List is too long: at most {MAX_LEAD_IDS} ids."})
    keys = [parse_close_id("lead", one) for one in value]
    wrong = {f"lead_ids[{index}]": "Not a lead id." for index, key in enumerate(keys) if key is None}
    if wrong:
        raise FieldErrors(dict(list(wrong.items())[:20]))
    return [str(key) for key in dict.fromkeys(keys)]


def _results_limit(body: Body, wrapped: Mapping[str, object]) -> int | None:
    value = body["results_limit"] if body.get("results_limit") is not None else wrapped.get("results_limit")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise FieldErrors({"results_limit": "Input should be a valid integer"})
    if value < 0:
        raise FieldErrors({"results_limit": "Input should be greater than or equal to 0"})
    return min(value, 2**62)


def _ceiling(body: Body) -> int | None:
    value = body.get("leads_per_minute")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 2_000_000_000:
        raise FieldErrors({"leads_per_minute": "Value must be a whole number of at least 1, or null for no ceiling."})
    return value


def _boolean(body: Body, key: str, *, default: bool) -> bool:
    value = body.get(key)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise FieldErrors({key: "Value must be true or false."})
    return value
