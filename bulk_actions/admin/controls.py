"""Pause, resume and cancel, asked for by staff: the same services as the API, their refusals told as messages."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django import forms
from django.contrib import messages
from django.http import HttpRequest
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextInputWidget

from bulk_actions import services
from bulk_actions.models import BulkAction
from bulk_actions.states import ALLOWED, Status
from crm.errors import Conflict, Invalid


@dataclass(frozen=True)
class Control:
    """One thing that a person may ask of a job."""

    service: Callable[..., object]
    to: Status
    done: str

    def fits(self, status: str) -> bool:
        """Whether a job in this status can be asked for it."""
        return self.to in ALLOWED[Status(status)]


PAUSE = Control(services.pause, Status.PAUSED, "Paused: no lead changes any more until somebody resumes it.")
RESUME = Control(services.resume, Status.RESUMING, "Resuming: it goes on as soon as a worker is free.")
CANCEL = Control(services.cancel, Status.ERROR, "Cancelled: it will never go on. What it had done stays done.")


class ReasonForm(BaseDialogForm):
    reason = forms.CharField(
        required=False,
        max_length=200,
        widget=UnfoldAdminTextInputWidget,
        help_text="Optional; kept with the move, for whoever asks later.",
    )


@contextmanager
def report_problem(request: HttpRequest, action: BulkAction) -> Iterator[None]:
    """Turn a refusal into a message that names the job; anything else is a bug and passes through."""
    try:
        yield
    except Invalid as problem:
        said = [*problem.errors, *map(str, problem.field_errors.values())]
        messages.error(request, f"{_name(action)}: {' '.join(said)}")
    except Conflict as problem:
        messages.error(request, f"{_name(action)}: {problem}")


def carry_out(control: Control, request: HttpRequest, action: BulkAction, reason: str = "") -> None:
    """Ask the service for it in the name of the signed-in person, and tell them what came of it."""
    with report_problem(request, action):
        control.service(action=action, by=request.user, reason=reason)
        messages.success(request, f"{_name(action)}: {control.done}")


def _name(action: BulkAction) -> str:
    return f"{action.get_kind_display()} {str(action.pk)[:8]}"
