"""What staff may ask of a job: the same services as the API, their refusals told as messages."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from django.contrib import messages
from django.http import HttpRequest

from bulk_actions import services
from bulk_actions.actions import EXPORTING, MAILING
from bulk_actions.models import OVER_DEALS, BulkAction, Outcome, Priority
from bulk_actions.retrying import retry
from bulk_actions.states import ALLOWED, FINAL, Status
from bulk_actions.undoing import undo
from crm.auth import Caller
from crm.errors import Conflict, Invalid


@dataclass(frozen=True)
class Control:
    """One thing that a person may ask of a job, with what the dialog's form says."""

    ask: Callable[[HttpRequest, BulkAction, Mapping[str, object]], BulkAction]  # gives the job to look at next
    fits: Callable[[BulkAction], bool]  # whether a job, as it is now, can be asked for it
    done: str


def carry_out(control: Control, request: HttpRequest, action: BulkAction, form: Mapping[str, object]) -> BulkAction:
    """Ask for it in the name of the signed-in person, and tell them what came of it. The job to look at next."""
    try:
        following = control.ask(request, action, form)
    except Invalid as problem:
        said = [*problem.errors, *map(str, problem.field_errors.values())]
        messages.error(request, f"{_name(action)}: {' '.join(dict.fromkeys(said))}")
    except Conflict as problem:
        messages.error(request, f"{_name(action)}: {problem}")
    else:
        messages.success(request, f"{_name(action)}: {control.done}")
        return following
    return action


def _name(action: BulkAction) -> str:
    return f"{action.get_kind_display()} {str(action.pk)[:8]}"


def _move(service: Callable[..., BulkAction], to: Status, done: str) -> Control:
    return Control(
        lambda request, action, form: service(action=action, by=request.user, reason=form.get("reason", "")),
        lambda action: to in ALLOWED[Status(action.status)],
        done,
    )


def _caller(request: HttpRequest, action: BulkAction) -> Caller:
    """Staff act in every organization, by a permission of the admin: they need be no member, and have no key."""
    return Caller(action.organization, request.user, None, None)


def _has_ledger(action: BulkAction) -> bool:
    return action.status in FINAL and action.date_ledger_purged is None


def _can_be_retried(action: BulkAction) -> bool:
    is_repeated = action.kind not in (*OVER_DEALS, *EXPORTING) or action.undo_of_id is not None
    return _has_ledger(action) and is_repeated


def _retry(outcome: Outcome, request: HttpRequest, action: BulkAction, form: Mapping[str, object]) -> BulkAction:
    return retry(action=action, outcomes=(outcome.value,), caller=_caller(request, action))


def _undo(request: HttpRequest, action: BulkAction, form: Mapping[str, object]) -> BulkAction:
    return undo(action=action, caller=_caller(request, action), force=bool(form.get("force")))


def _adjust(request: HttpRequest, action: BulkAction, form: Mapping[str, object]) -> BulkAction:
    return services.adjust(
        action=action,
        by=request.user,
        leads_per_minute=form["leads_per_minute"],
        priority=Priority(int(form["priority"])),
    )


PAUSE = _move(services.pause, Status.PAUSED, "Paused: no lead changes any more until somebody resumes it.")
RESUME = _move(services.resume, Status.RESUMING, "Resuming: it goes on as soon as a worker is free.")
CANCEL = _move(services.cancel, Status.ERROR, "Cancelled: it will never go on. What it had done stays done.")
ADJUST = Control(_adjust, lambda action: action.status not in FINAL, "Changed: it counts within a second.")
RETRY_FAILED = Control(
    partial(_retry, Outcome.FAILED),
    lambda action: _can_be_retried(action) and bool(action.n_failed),
    "Tried again: this is the new job, over the leads that had failed.",
)
RETRY_SKIPPED = Control(
    partial(_retry, Outcome.SKIPPED),
    lambda action: _can_be_retried(action) and bool(action.n_skipped),
    "Tried again: this is the new job, over the leads that had been skipped.",
)
UNDO = Control(
    _undo,
    lambda action: _has_ledger(action) and bool(action.n_succeeded) and action.kind not in (*MAILING, *EXPORTING),
    "Being undone: this is the job that does it.",
)
