"""How a job is to run: the keys of ours on a create, each left out or null for its default. All raise `FieldErrors`."""

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import islice

from django.utils import timezone

from bulk_actions.models import DEFAULT_FAILURE_RATIO, OnChanged
from crm.errors import FieldErrors

_MAX_CANARY = 2_000_000_000  # what the column holds
_MAX_LEADS = 2**63 - 1
_MAX_TOLD = 20  # unknown keys of one object
_MAX_KEY = 100  # characters of one

Body = Mapping[str, object]


def flag_of(body: Body, key: str, *, default: bool = False) -> bool:
    value = body.get(key)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise FieldErrors({key: "Value must be true or false."})
    return value


def max_leads_of(body: Body) -> int | None:
    value = body.get("max_leads")
    return None if value is None else _whole_number(value, "max_leads", _MAX_LEADS)


def canary_of(body: Body) -> int | None:
    """The number of leads in `{"leads": n}`."""
    value = body.get("canary")
    if value is None:
        return None
    if not isinstance(value, dict):
        raise FieldErrors({"canary": 'Value must be an object: {"leads": 100}.'})
    unknown = {f"canary.{key[:_MAX_KEY]}": "Unknown key. Did you mean leads?" for key in value if key != "leads"}
    if unknown:
        raise FieldErrors(dict(islice(unknown.items(), _MAX_TOLD)))
    if "leads" not in value:
        raise FieldErrors({"canary.leads": "This field is required."})
    return _whole_number(value["leads"], "canary.leads", _MAX_CANARY)


def failure_ratio_of(body: Body) -> float:
    value = body.get("max_failure_ratio")
    if value is None:
        return DEFAULT_FAILURE_RATIO
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise FieldErrors({"max_failure_ratio": "Value must be a number from 0 to 1."})
    return float(value)


def on_changed_of(body: Body) -> OnChanged:
    value = body.get("on_changed")
    if value is None:
        return OnChanged.APPLY
    if not isinstance(value, str) or value not in OnChanged.values:
        raise FieldErrors({"on_changed": "Not a valid choice: send apply or skip."})
    return OnChanged(value)


def run_at_of(body: Body) -> datetime | None:
    """A moment to come, in UTC."""
    value = body.get("run_at")
    if value is None:
        return None
    wrong = "Value must be a moment with its zone in ISO 8601, such as 2031-03-16T09:30:00+00:00."
    if not isinstance(value, str):
        raise FieldErrors({"run_at": wrong})
    try:
        given = datetime.fromisoformat(value)
        moment = given.astimezone(UTC) if given.tzinfo else None
    except (ValueError, OverflowError):
        moment = None
    if moment is None:
        raise FieldErrors({"run_at": wrong})
    if moment <= timezone.now():
        raise FieldErrors({"run_at": "The moment must lie in the future. To start at once leave the key out."})
    return moment


def _whole_number(value: object, path: str, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise FieldErrors({path: f"Value must be a whole number of at least 1, and at most {most}."})
    return value
