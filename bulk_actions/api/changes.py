"""From the body of a PUT to what it asks of a live job: all of it checked before anything is done."""

from collections.abc import Callable, Mapping
from functools import partial

from bulk_actions.api.orders import ceiling_of, priority_of, refuse_unknown_keys
from bulk_actions.api.problems import Problems
from bulk_actions.models import BulkAction
from bulk_actions.services import Changes, adjust, pause, resume
from bulk_actions.states import Status
from crm.errors import FieldErrors

_VERBS = {Status.PAUSED: pause, Status.RESUMING: resume}
_KEYS = ("leads_per_minute", "priority", "status")


def change_of(body: Mapping[str, object], action: BulkAction) -> Callable[..., BulkAction]:
    """The service to call with `action` and `by`. Raises `Invalid` with everything that is wrong with the body."""
    problems = Problems()
    problems.gather(lambda: refuse_unknown_keys(body, _KEYS))
    verb = problems.gather(lambda: _verb(body, action.status)) if "status" in body else adjust
    changes: Changes = {}
    if "leads_per_minute" in body:
        changes["leads_per_minute"] = problems.gather(lambda: ceiling_of(body))
    if "priority" in body and (priority := problems.gather(lambda: priority_of(body))) is not None:
        changes["priority"] = priority
    problems.raise_any()
    if not body:
        raise FieldErrors({"status": "Give status, leads_per_minute or priority."})
    assert verb is not None  # or there would have been a problem
    return partial(verb, **changes)


def _verb(body: Mapping[str, object], status: str) -> Callable[..., BulkAction]:
    word = body["status"]
    verb = _VERBS.get(word) if isinstance(word, str) else None
    if verb is None:
        raise FieldErrors({"status": f"Not a valid choice: send paused or resuming. The status is {status}."})
    return verb
