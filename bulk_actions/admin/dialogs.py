"""What a person is asked for before a button of a job's page does anything."""

from django import forms
from django.http import HttpRequest
from unfold.forms import BaseDialogForm
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from bulk_actions.models import BulkAction, Priority
from crm.admin.base import read_key


class ReasonForm(BaseDialogForm):
    reason = forms.CharField(
        required=False,
        max_length=200,
        widget=UnfoldAdminTextInputWidget,
        help_text="Optional; kept with the move, for whoever asks later.",
    )


class UndoForm(BaseDialogForm):
    force = forms.BooleanField(
        required=False,
        label="Also where the lead was changed since",
        widget=UnfoldBooleanWidget,
        help_text="Unless this is set, a lead that no longer holds what the job wrote is skipped.",
    )


class PaceForm(BaseDialogForm):
    leads_per_minute = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=2_000_000_000,
        label="Leads per minute, at most",
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="Empty: as fast as it can.",
    )
    priority = forms.TypedChoiceField(
        choices=Priority.choices,
        coerce=int,
        widget=UnfoldAdminSelectWidget,
        help_text="Among the jobs of its organization: the order in which they start, and how long their turns are.",
    )

    def __init__(self, request: HttpRequest, object_id: str | None = None, **kwargs: object) -> None:
        super().__init__(request, object_id, **kwargs)
        job = BulkAction.objects.filter(pk=read_key(str(object_id))).first()
        if job is not None:
            self.initial = {"leads_per_minute": job.leads_per_minute, "priority": job.priority}
