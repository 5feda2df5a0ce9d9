"""The buttons of the list and of a job's page. A dialog answers GET with its form; only its POST does anything."""

from collections.abc import Callable

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from unfold.dataclasses import UnfoldAction
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm

from bulk_actions.admin.controls import (
    ADJUST,
    CANCEL,
    PAUSE,
    RESUME,
    RETRY_FAILED,
    RETRY_SKIPPED,
    UNDO,
    Control,
    carry_out,
)
from bulk_actions.admin.dialogs import PaceForm, ReasonForm, UndoForm
from bulk_actions.models import BulkAction

_CONTROLS = {
    "pause_job": PAUSE,
    "resume_job": RESUME,
    "pace_job": ADJUST,
    "retry_failed_job": RETRY_FAILED,
    "retry_skipped_job": RETRY_SKIPPED,
    "undo_job": UNDO,
    "cancel_job": CANCEL,
}


def _button(
    name: str,
    *,
    icon: str,
    title: str,
    description: str,
    submit: str,
    form_class: type[BaseDialogForm] = BaseDialogForm,
    variant: ActionVariant = ActionVariant.DEFAULT,
) -> Callable[[Callable[..., HttpResponse]], Callable[..., HttpResponse]]:
    return action(
        description=name,
        icon=icon,
        permissions=("control",),
        variant=variant,
        dialog={"title": title, "description": description, "form_class": form_class, "form_submit_text": submit},
    )


class JobButtons:
    """Mixed into the admin of jobs, which tells `_job(request, id)` and what a person may see."""

    actions = ("pause", "resume", "cancel")
    actions_detail = tuple(_CONTROLS)
    actions_detail_hide_default = True  # Django's own history: of a job that nobody edits it knows nothing

    def has_control_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        """Nobody edits a job; who could, may steer it."""
        return request.user.has_perm("bulk_actions.change_bulkaction")

    @action(description="Pause selected jobs", permissions=("control",))
    def pause(self, request: HttpRequest, queryset: QuerySet[BulkAction]) -> None:
        self._carry_out_all(PAUSE, request, queryset)

    @action(description="Resume selected jobs", permissions=("control",))
    def resume(self, request: HttpRequest, queryset: QuerySet[BulkAction]) -> None:
        self._carry_out_all(RESUME, request, queryset)

    @action(description="Cancel selected jobs", permissions=("control",))
    def cancel(self, request: HttpRequest, queryset: QuerySet[BulkAction]) -> None:
        self._carry_out_all(CANCEL, request, queryset)

    def _carry_out_all(self, control: Control, request: HttpRequest, queryset: QuerySet[BulkAction]) -> None:
        for job in queryset:
            carry_out(control, request, job, {})

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[UnfoldAction]:
        """The buttons that fit the job as it is."""
        job = self.get_object(request, object_id)
        return [
            button
            for button in super().get_actions_detail(request, object_id)
            if job and _CONTROLS[button.method.original_function_name].fits(job)
        ]

    @_button(
        "Pause",
        icon="pause",
        title="Pause this job",
        description="Once it says paused, no lead changes any more. It can be resumed within 7 days.",
        submit="Pause",
        form_class=ReasonForm,
        variant=ActionVariant.PRIMARY,
    )
    def pause_job(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        return self._carry_out_one(PAUSE, request, form, object_id)

    @_button(
        "Resume",
        icon="play_arrow",
        title="Resume this job",
        description="It goes on with the leads that are left.",
        submit="Resume",
        form_class=ReasonForm,
        variant=ActionVariant.PRIMARY,
    )
    def resume_job(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        return self._carry_out_one(RESUME, request, form, object_id)

    @_button(
        "Pace",
        icon="speed",
        title="Change the pace of this job",
        description="It counts within a second.",
        submit="Change",
        form_class=PaceForm,
    )
    def pace_job(self, request: HttpRequest, form: PaceForm, object_id: str) -> HttpResponse:
        return self._carry_out_one(ADJUST, request, form, object_id)

    @_button(
        "Retry failed",
        icon="replay",
        title="Try the failed leads again",
        description="A new job does the same to every lead that failed in this one.",
        submit="Retry",
    )
    def retry_failed_job(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self._carry_out_one(RETRY_FAILED, request, form, object_id)

    @_button(
        "Retry skipped",
        icon="replay",
        title="Try the skipped leads again",
        description="A new job does the same to every lead that this one skipped, and that is not deleted.",
        submit="Retry",
    )
    def retry_skipped_job(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self._carry_out_one(RETRY_SKIPPED, request, form, object_id)

    @_button(
        "Undo",
        icon="undo",
        title="Undo this job",
        description="A new job gives each lead that this one changed what it held before.",
        submit="Undo the job",
        form_class=UndoForm,
        variant=ActionVariant.DANGER,
    )
    def undo_job(self, request: HttpRequest, form: UndoForm, object_id: str) -> HttpResponse:
        return self._carry_out_one(UNDO, request, form, object_id)

    @_button(
        "Cancel",
        icon="stop",
        title="Cancel this job for good",
        description="It stops at once and can never go on. What it has done so far stays done.",
        submit="Cancel the job",
        form_class=ReasonForm,
        variant=ActionVariant.DANGER,
    )
    def cancel_job(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        return self._carry_out_one(CANCEL, request, form, object_id)

    def _carry_out_one(
        self, control: Control, request: HttpRequest, form: BaseDialogForm, object_id: str
    ) -> HttpResponse:
        following = carry_out(control, request, self._job(request, object_id), form.cleaned_data)
        page = reverse("admin:bulk_actions_bulkaction_change", args=[following.pk])
        if "HX-Request" in request.headers:
            return HttpResponse(headers={"HX-Redirect": page})
        return HttpResponseRedirect(page)
