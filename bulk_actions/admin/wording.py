"""Saying in plain words what a job does and which leads it takes."""

import json
from uuid import UUID

from bulk_actions.actions import describe
from bulk_actions.breaker import TOO_MANY_FAILURES
from bulk_actions.canary import CANARY
from bulk_actions.models import BulkAction, Kind, Priority
from bulk_actions.nodes import NODE
from bulk_actions.states import Status
from crm.ids import parse_close_id
from crm.models import CustomField, LeadStatus, User

_TEXT_MODES = {
    "full_words": "has the words",
    "phrase": "has the phrase",
    "exact_value": "is exactly",
    "beginning_of_words": "has words that begin with",
}
_SIGNS = {"gt": ">", "gte": "≥", "lt": "<", "lte": "≤"}
_LONGEST_NOTE = 80
_REASONS = {
    CANARY: "its first leads are done: look at them, then resume it",
    TOO_MANY_FAILURES: "too many leads failed",
}
_TARGETS = {"lead": "leads", "contact": "contacts", "opportunity": "deals", "row": "rows"}
_LONGEST_SENTENCE = 300  # characters; a longer one is no easier to read than the JSON


def sentence_of(query: object) -> str | None:
    """One sentence for a simple `s_query` (close-api.md 3.3 to 3.6); None for one that only its JSON can tell."""
    names = _names_of_ids_in(query)
    try:
        said = _say(query, names)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        return None
    sentence = f"Leads where {said}." if said else "Every lead."
    return sentence if len(sentence) <= _LONGEST_SENTENCE else None


def pretty_json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def targets_of(action: BulkAction) -> str:
    """What the job works on: `leads`, `deals`, `rows` of a file."""
    return _TARGETS[action.target]


def title_of(action: BulkAction) -> str:
    """`Edit: set lead status`, `Sequence subscription: pause`, `Delete`; of data in and out what its page says."""
    if action.kind in (Kind.IMPORT, Kind.EXPORT) and action.undo_of_id is None:
        return describe(action)
    kind = action.get_kind_display().capitalize()
    step = action.params.get("type") or action.params.get("action_type", "")
    return f"{kind}: {step.replace('_', ' ')}" if step else kind


def notes_on(action: BulkAction, queue_position: int | None) -> str:
    """What a list should tell of the job beside its status: why it stands, what it waits for, what it came of."""
    notes = []
    if action.status == Status.PAUSED and action.status_reason:
        notes.append(reason_in_words(action))
    if action.status == Status.ERROR and action.error_code:
        notes.append(action.error_code.replace("_", " "))
    if queue_position is not None:
        notes.append(f"place {queue_position} in the queue")
    elif action.status == Status.CREATED and action.run_at is not None:
        notes.append(f"not before {action.run_at:%Y-%m-%d %H:%M} UTC")
    if action.priority != Priority.NORMAL:
        notes.append(f"{Priority(action.priority).label} priority")
    if action.retry_of_id is not None:
        notes.append("a retry")
    elif action.undo_of_id is not None:
        notes.append("an undo")
    said = ", ".join(notes)
    return said if len(said) <= _LONGEST_NOTE else f"{said[: _LONGEST_NOTE - 1]}…"


def reason_in_words(action: BulkAction) -> str:
    """Why the job has its status: what a person said, or what a reason of the engine means."""
    return _REASONS.get(action.status_reason, action.status_reason)


def _say(node: dict, names: dict[str, str]) -> str:
    """What the node demands; empty where it demands nothing. Raises KeyError and its like where it has no words."""
    if "type" not in node:
        node = node.get("query", {**node, "type": "and"})
    kind = node["type"]
    said = _SAYERS[kind](node, names)
    if not node.get("negate"):
        return said
    if not said:
        raise ValueError("what would be nothing at all")
    return f"not ({said})"


def _say_all(node: dict, names: dict[str, str]) -> str:
    parts = [part for part in (_say(child, names) for child in node["queries"]) if part]
    return " and ".join(parts)


def _say_any(node: dict, names: dict[str, str]) -> str:
    parts = [_say(child, names) for child in node["queries"]]
    if not parts:
        raise ValueError("any of nothing")
    if not all(parts):
        return ""
    return parts[0] if len(parts) == 1 else f"({' or '.join(parts)})"


def _say_condition(node: dict, names: dict[str, str]) -> str:
    field, condition = node["field"], node["condition"]
    if field["type"] == "custom_field":
        name = names[field["custom_field_id"]]
    else:
        name = field["field_name"].removesuffix("_id").replace("_", " ")
    kind = condition["type"]
    if kind == "exists":
        return f"{name} has a value"
    if kind == "boolean":
        return f"{name} is {'true' if condition['value'] else 'false'}"
    if kind == "current_user":
        return f"{name} is who started the job"
    if kind == "text":
        return f"{name} {_TEXT_MODES[condition['mode']]} “{condition['value']}”"
    if kind == "number_range":
        limits = [f"{sign} {condition[key]}" for key, sign in _SIGNS.items() if condition.get(key) is not None]
        return f"{name} {' and '.join(limits)}"
    if kind in ("term", "reference"):
        values = condition["values"] if kind == "term" else condition["object_ids"]
        return f"{name} is {_one_of([names.get(value, value) for value in values])}"
    if kind == "moment_range":
        return f"{name} is {_say_window(condition)}"
    raise KeyError(kind)


def _say_window(condition: dict) -> str:
    edges = [
        f"{word} {_say_moment(condition[key])}"
        for key, word in (("on_or_after", "on or after"), ("before", "before"))
        if condition.get(key)
    ]
    return " and ".join(edges)


def _say_moment(moment: dict) -> str:
    if moment["type"] == "now":
        return "now"
    if moment["type"] == "fixed_local_date":
        return f"the {moment.get('which', 'start')} of {moment['value']}"
    if moment["type"] == "fixed_utc":
        return f"{moment['value']} UTC"
    raise KeyError(moment["type"])


def _say_related(node: dict, names: dict[str, str]) -> str:
    related = node["related_object_type"].replace("_", " ")
    said = _say(node["related_query"], names)
    return f"a {related} exists" + (f" whose {said}" if said else "")


def _say_outcome(node: dict, names: dict[str, str]) -> str:
    return f"the outcome in {node['bulk_action_id']} is {_one_of(node['outcome'])}"


def _one_of(values: list[str]) -> str:
    return str(values[0]) if len(values) == 1 else f"one of {', '.join(map(str, values))}"


_SAYERS = {
    "match_all": lambda node, names: "",
    "object_type": lambda node, names: {"lead": ""}[node["object_type"]],  # what finds others is no "leads where"
    "and": _say_all,
    "or": _say_any,
    "id": lambda node, names: f"the id is {node['value']}",
    "text": lambda node, names: f"any text {_TEXT_MODES[node.get('mode', 'full_words')]} “{node['value']}”",
    "field_condition": _say_condition,
    "has_related": _say_related,
    NODE: _say_outcome,
}


def _names_of_ids_in(query: object) -> dict[str, str]:
    """The names of the fields, statuses and users that the query speaks of, by the ids as it spells them."""
    found: dict[str, dict[UUID, str]] = {"cf": {}, "stat": {}, "user": {}}
    waiting = [query]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, str):
            for prefix, spellings in found.items():
                if key := parse_close_id(prefix, value):
                    spellings[key] = value
    names = {found["cf"][pk]: name for pk, name in _pairs(CustomField, "name", found["cf"])}
    names |= {found["stat"][pk]: label for pk, label in _pairs(LeadStatus, "label", found["stat"])}
    return names | {found["user"][pk]: email for pk, email in _pairs(User, "email", found["user"])}


def _pairs(model: type, column: str, keys: dict[UUID, str]) -> list[tuple[UUID, str]]:
    return list(model.objects.filter(pk__in=keys).values_list("pk", column)) if keys else []
