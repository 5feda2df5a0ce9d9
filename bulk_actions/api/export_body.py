"""From the body of a POST to `/export/…/` to an `Order` (close-api.md 4.13)."""

from collections.abc import Mapping
from datetime import tzinfo

from django.utils import timezone

from bulk_actions.api.export_filters import read_filters
from bulk_actions.api.options import flag_of
from bulk_actions.api.orders import refuse_unknown_keys
from bulk_actions.api.problems import Problems
from bulk_actions.export_columns import known_columns
from bulk_actions.export_targets import target_of
from bulk_actions.models import Kind
from bulk_actions.services import Order
from crm.auth import Caller
from crm.errors import FieldErrors
from crm.files.values import DateFormat
from crm.files.writing import FORMATS
from search.resolve import Resolved, resolve

LEAD_TYPES = ("leads", "contacts", "lead_opps")
DATE_FORMATS = tuple(one.value for one in DateFormat)
INCLUDED = ("include_activities", "include_smart_fields", "include_custom_objects", "include_addresses")
_MOST_FIELDS = 2_000
_LONGEST_FIELD = 300  # characters
_OF_LEADS = (
    "format", "type", "s_query", "results_limit", "sort", "date_format", "fields", *INCLUDED, "raw", "bom",
    "send_done_email", "_fields",
)  # fmt: skip
_OF_OPPORTUNITIES = ("format", "params", "date_format", "fields", "raw", "bom", "send_done_email", "_fields")
_TABLES = ("csv", "xlsx")
_FORMATS_WITH = {"raw": _TABLES, "bom": ("csv",)}

Body = Mapping[str, object]


def lead_export(body: Body, *, caller: Caller, tz: tzinfo) -> Order:
    """The order for an export of leads, or of what belongs to them. Raises `Invalid` with all that is wrong."""
    problems = Problems()
    problems.gather(lambda: refuse_unknown_keys(body, _OF_LEADS))
    type_ = problems.gather(lambda: _one_of(body, "type", LEAD_TYPES))
    params = _shared(problems, body, type_, caller)
    for name in INCLUDED:
        params[name] = problems.gather(lambda name=name: flag_of(body, name))
    problems.gather(lambda: _check_included(params))
    send = problems.gather(lambda: flag_of(body, "send_done_email", default=True))
    s_query = body.get("s_query")
    resolved = problems.gather(
        lambda: resolve(
            query={"type": "match_all"} if s_query is None else s_query,
            caller=caller,
            tz=tz,
            now=timezone.now(),
            for_bulk=True,
            sort=body.get("sort"),
            results_limit=body.get("results_limit"),
        )
    )
    problems.raise_any()
    assert resolved is not None  # or there would have been a problem
    assert type_ is not None
    params["target"] = target_of(type_, resolved.object_type)
    wrapping = s_query if isinstance(s_query, dict) else {}
    sort = body.get("sort") or wrapping.get("sort") or []
    return _order(params, resolved, send=bool(send), s_query=s_query, sort=sort)


def opportunity_export(body: Body, *, caller: Caller, tz: tzinfo) -> Order:
    """The order for an export of opportunities. Raises `Invalid` with all that is wrong."""
    problems = Problems()
    problems.gather(lambda: refuse_unknown_keys(body, _OF_OPPORTUNITIES))
    params = _shared(problems, body, "opps", caller)
    params |= dict.fromkeys(INCLUDED, False)
    params["target"] = target_of("opps", "opportunity")
    filters = problems.gather(lambda: read_filters(body.get("params"), caller, tz))
    send = problems.gather(lambda: flag_of(body, "send_done_email", default=True))
    problems.raise_any()
    assert filters is not None  # or there would have been a problem
    return _order(params | filters.to_params(), filters.search, send=bool(send), s_query=None, sort=[])


def _order(params: dict[str, object], resolved: Resolved, *, send: bool, s_query: object, sort: list) -> Order:
    return Order(
        kind=Kind.EXPORT,
        params=params,
        s_query=s_query,
        resolved_query=resolved.to_json(),
        sort=sort,
        results_limit=resolved.results_limit,
        send_done_email=send,
        leads_per_minute=None,
    )


def _shared(problems: Problems, body: Body, type_: str | None, caller: Caller) -> dict[str, object]:
    """What both kinds of exports are told."""
    format_ = problems.gather(lambda: _one_of(body, "format", FORMATS))
    dates = problems.gather(lambda: _one_of(body, "date_format", DATE_FORMATS, default=DateFormat.ORIGINAL.value))
    fields = problems.gather(lambda: _fields_of(body))
    if fields is not None and type_ is not None and format_ in _TABLES:
        problems.gather(lambda: _check_columns(fields, type_, caller))
    marks = {name: problems.gather(lambda name=name: _mark(body, name, format_)) for name in _FORMATS_WITH}
    return {"type": type_, "format": format_, "date_format": dates, "fields": fields, **marks}


def _mark(body: Body, name: str, format_: str | None) -> bool:
    is_asked, formats = flag_of(body, name), _FORMATS_WITH[name]
    if is_asked and format_ is not None and format_ not in formats:
        raise FieldErrors({name: f"Only for {' and '.join(formats)}."})
    return is_asked


def _one_of(body: Body, key: str, known: tuple[str, ...], *, default: str | None = None) -> str:
    value = body.get(key)
    if value is None and default is not None:
        return default
    if value is None:
        raise FieldErrors({key: "This field is required."})
    if value not in known:
        raise FieldErrors({key: f"Not a valid choice. One of: {', '.join(known)}."})
    return str(value)


def _fields_of(body: Body) -> list[str] | None:
    value = body.get("fields")
    if value is None or value == []:
        return None
    if not isinstance(value, list) or not all(isinstance(name, str) and name for name in value):
        raise FieldErrors({"fields": "Value must be a list of names."})
    if len(value) > _MOST_FIELDS or any(len(name) > _LONGEST_FIELD for name in value):
        raise FieldErrors({"fields": f"At most {_MOST_FIELDS} names of {_LONGEST_FIELD} characters."})
    return list(dict.fromkeys(value))


def _check_columns(fields: list[str], type_: str, caller: Caller) -> None:
    known = known_columns(type_, caller.organization.pk)
    unknown = next((name for name in fields if name not in known), None)
    if unknown is not None:
        raise FieldErrors({"fields": f"There is no column {unknown}."})


def _check_included(params: Mapping[str, object]) -> None:
    if params["type"] == "leads" and params["format"] not in _TABLES:
        return
    asked = [name for name in ("include_activities", "include_smart_fields") if params[name]]
    if asked:
        raise FieldErrors(dict.fromkeys(asked, "Only for the type leads, as json or jsonl."))
