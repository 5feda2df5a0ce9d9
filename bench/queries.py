"""The queries that the search is measured by, over leads as `crm.demo_data` makes them."""

from collections.abc import Mapping
from dataclasses import dataclass

Json = dict[str, object]


@dataclass(frozen=True)
class Ids:
    """Close ids of one organization: what the queries name. `fields` by the name of the custom field of leads."""

    lead_status: str
    opportunity_status: str
    fields: Mapping[str, str]


@dataclass(frozen=True)
class Query:
    """`is_indexed`: few leads match and an index leads to them, so that the stricter bar holds."""

    name: str
    query: Json
    is_indexed: bool = False
    sort: tuple[Json, ...] = ()


def queries(ids: Ids, *, email: str) -> list[Query]:
    """All of them; `email` is the whole address of one contact."""
    domain = email.partition("@")[2]
    deal_value = _number("primary_opportunity_value", gte=4_900_000)
    return [
        Query("a word", _text("4711"), is_indexed=True),
        Query("a frequent word", _text("Oakvale")),
        Query("a phrase", _text("Mills 4711", "phrase"), is_indexed=True),
        Query("an e-mail address", _of_contact("contact_email", "email", _is(email)), is_indexed=True),
        Query("an e-mail domain", _of_contact("contact_email", "email", _words(domain, "phrase")), is_indexed=True),
        Query("a Japanese substring", _text("見製作所 471号店"), is_indexed=True),
        Query("a status", _where(_field("lead", "status_id"), _one_of("status.lead", ids.lead_status))),
        Query("a choice", _where(_custom(ids, "Industry"), {"type": "term", "values": ["Software"]})),
        Query("a number range", _where(_custom(ids, "Employees"), {"type": "number_range", "gte": 3000})),
        Query("made in 2 days", _where(_field("lead", "date_created"), _within(2)), is_indexed=True),
        Query("changed in 2 days", _where(_field("lead", "date_updated"), _within(2))),
        Query("a contact's title", _related("contact", _where(_field("contact", "title"), _words("Engineer")))),
        Query(
            "a deal in a status",
            _related(
                "opportunity",
                _where(_field("opportunity", "status_id"), _one_of("status.opportunity", ids.opportunity_status)),
            ),
        ),
        Query(
            "a call in 2 days",
            _related("activity.call", _where(_field("activity.call", "date"), _within(2))),
            is_indexed=True,
        ),
        Query("a call in 30 days", _related("activity.call", _where(_field("activity.call", "date"), _within(30)))),
        Query("num_contacts > 1", _number("num_contacts", gt=1)),
        Query(
            "last_communication_date in 2 days",
            _where(_field("lead", "last_communication_date"), _within(2)),
            is_indexed=True,
        ),
        Query("last_communication_date in 30 days", _where(_field("lead", "last_communication_date"), _within(30))),
        Query("primary_opportunity_value", deal_value),
        Query("no deal, not that status", _all(_no(_related("opportunity", _ALL)), _no(_status(ids)))),
        Query("not the word", _all(_no(_text("Oakvale")), _status(ids))),
        Query("all, sorted by name", _ALL, sort=(_by("name", "asc"),)),
        Query("all, newest first", _ALL, sort=(_by("date_created", "desc"),)),
        Query("a status, newest first", _status(ids), sort=(_by("date_created", "desc"),)),
    ]


_ALL: Json = {"type": "match_all"}


def _status(ids: Ids) -> Json:
    return _where(_field("lead", "status_id"), _one_of("status.lead", ids.lead_status))


def _all(*parts: Json) -> Json:
    return {"type": "and", "queries": list(parts)}


def _no(query: Json) -> Json:
    return {**query, "negate": True}


def _text(value: str, mode: str = "full_words") -> Json:
    return {"type": "text", "mode": mode, "value": value}


def _words(value: str, mode: str = "full_words") -> Json:
    return {"type": "text", "mode": mode, "value": value}


def _is(value: str) -> Json:
    return _words(value, "exact_value")


def _one_of(reference_type: str, *ids: str) -> Json:
    return {"type": "reference", "reference_type": reference_type, "object_ids": list(ids)}


def _within(days: int) -> Json:
    """The last `days` days, up to now."""
    ago = {"type": "offset", "direction": "past", "moment": {"type": "now"}, "offset": {"days": days}}
    return {"type": "moment_range", "on_or_after": ago, "before": None}


def _field(object_type: str, name: str) -> Json:
    return {"type": "regular_field", "object_type": object_type, "field_name": name}


def _custom(ids: Ids, name: str) -> Json:
    return {"type": "custom_field", "custom_field_id": ids.fields[name]}


def _where(field: Json, condition: Json) -> Json:
    return {"type": "field_condition", "field": field, "condition": condition}


def _number(name: str, **bounds: int) -> Json:
    return _where(_field("lead", name), {"type": "number_range", **bounds})


def _related(object_type: str, query: Json, this: str = "lead") -> Json:
    return {"type": "has_related", "this_object_type": this, "related_object_type": object_type, "related_query": query}


def _of_contact(object_type: str, name: str, condition: Json) -> Json:
    return _related("contact", _related(object_type, _where(_field(object_type, name), condition), this="contact"))


def _by(name: str, direction: str) -> Json:
    return {"direction": direction, "field": _field("lead", name)}
