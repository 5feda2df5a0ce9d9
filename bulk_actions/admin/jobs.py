"""The list of jobs and the page of one: read-only, with Pause, Resume and Cancel."""

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.forms import Media
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.dataclasses import UnfoldAction
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.views import ChangeList

from bulk_actions.admin.controls import CANCEL, PAUSE, RESUME, Control, ReasonForm, carry_out
from bulk_actions.admin.figures import COLOUR_OF_STATUS, bar, done_of_total, figures, rate
from bulk_actions.admin.ledger_pages import batches_page, exceptions_page
from bulk_actions.admin.page import page_of_job
from bulk_actions.admin.wording import title_of
from bulk_actions.models import BulkAction, Outcome
from bulk_actions.progress import progress_of
from crm.admin.base import ReadOnlyAdmin, age, read_key

_CONTROLS = {"pause_job": PAUSE, "resume_job": RESUME, "cancel_job": CANCEL}


class JobsWithProgress(ChangeList):
    """Fetches the progress of the jobs on the page together, so that no row asks for its own."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        progress = progress_of(self.result_list)
        for job in self.result_list:
            job.progress = progress[job.pk]


@admin.register(BulkAction)
class BulkActionAdmin(ReadOnlyAdmin):
    list_display = ("title", "status_label", "bar", "done", "rate", "created_ago", "who", "organization")
    list_filter = ("status", "kind")
    list_select_related = ("created_by", "organization")
    search_fields = ("created_by__email", "organization__name")
    search_help_text = "Id, person or organization"
    id_lookups = ("pk", "organization")
    ordering = ("-pk",)
    sortable_by = ()
    show_full_result_count = False
    actions = ("pause", "resume", "cancel")
    actions_detail = ("pause_job", "resume_job", "cancel_job")
    actions_detail_hide_default = True  # Django's own history: of a job that nobody edits it knows nothing
    change_form_template = "admin/bulk_actions/bulkaction/page.html"

    @property
    def media(self) -> Media:
        return super().media + Media(css={"all": ["bulk_actions/jobs.css"]}, js=["bulk_actions/job.js"])

    # --- the list -----------------------------------------------------------------------------------------------------

    def get_queryset(self, request: HttpRequest) -> QuerySet[BulkAction]:
        return super().get_queryset(request).defer("query", "s_query", "resolved_query", "sort")

    def get_changelist(self, request: HttpRequest, **kwargs: object) -> type[ChangeList]:
        return JobsWithProgress

    @admin.display(description="Job")
    def title(self, job: BulkAction) -> str:
        return title_of(job)

    @display(description="Status", label=COLOUR_OF_STATUS)
    def status_label(self, job: BulkAction) -> str:
        return job.status

    @admin.display(description="Progress")
    def bar(self, job: BulkAction) -> str:
        return bar(job, job.progress)

    @admin.display(description="Done / total")
    def done(self, job: BulkAction) -> str:
        return done_of_total(job.progress)

    @admin.display(description="Rate")
    def rate(self, job: BulkAction) -> str:
        return rate(job.progress)

    @admin.display(description="Age")
    def created_ago(self, job: BulkAction) -> str:
        return age(job.date_created)

    @admin.display(description="Who")
    def who(self, job: BulkAction) -> str:
        return job.created_by.full_name or job.created_by.email

    # --- pause, resume, cancel ----------------------------------------------------------------------------------------

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
            carry_out(control, request, job)

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[UnfoldAction]:
        """The buttons that fit the job's status."""
        job = self.get_object(request, object_id)
        return [
            button
            for button in super().get_actions_detail(request, object_id)
            if job and _CONTROLS[button.method.original_function_name].fits(job.status)
        ]

    # A dialog answers GET with its form; only the form's POST, with its token, does anything.
    @action(
        description="Pause",
        icon="pause",
        permissions=("control",),
        variant=ActionVariant.PRIMARY,
        dialog={
            "title": "Pause this job",
            "description": "Once it says paused, no lead changes any more. It can be resumed within 7 days.",
            "form_class": ReasonForm,
            "form_submit_text": "Pause",
        },
    )
    def pause_job(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        return self._carry_out_one(PAUSE, request, form, object_id)

    @action(
        description="Resume",
        icon="play_arrow",
        permissions=("control",),
        variant=ActionVariant.PRIMARY,
        dialog={
            "title": "Resume this job",
            "description": "It goes on with the leads that are left.",
            "form_class": ReasonForm,
            "form_submit_text": "Resume",
        },
    )
    def resume_job(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        return self._carry_out_one(RESUME, request, form, object_id)

    @action(
        description="Cancel",
        icon="stop",
        permissions=("control",),
        variant=ActionVariant.DANGER,
        dialog={
            "title": "Cancel this job for good",
            "description": "It stops at once and can never go on. What it has done so far stays done.",
            "form_class": ReasonForm,
            "form_submit_text": "Cancel the job",
        },
    )
    def cancel_job(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        return self._carry_out_one(CANCEL, request, form, object_id)

    def _carry_out_one(self, control: Control, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        job = self._job(request, object_id)
        carry_out(control, request, job, form.cleaned_data["reason"])
        page = reverse("admin:bulk_actions_bulkaction_change", args=[job.pk])
        if "HX-Request" in request.headers:
            return HttpResponse(headers={"HX-Redirect": page})
        return HttpResponseRedirect(page)

    # --- the page of one job, and what lies under it ------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        under = {
            "progress": ("progress/", self.progress_view),
            "batches": ("batches/", self.batches_view),
            "leads": ("leads/<str:outcome>/", self.exceptions_view),
        }
        own = [
            path(f"<uuid:job_id>/{route}", self.admin_site.admin_view(view), name=f"bulk_actions_bulkaction_{name}")
            for name, (route, view) in under.items()
        ]
        return own + super().get_urls()

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, object] | None = None
    ) -> HttpResponse:
        job = self.get_object(request, object_id)
        page = page_of_job(job) if job and self.has_view_permission(request, job) else {}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **page})

    def progress_view(self, request: HttpRequest, job_id: object) -> JsonResponse:
        """The figures of a job that moves; the page asks once a second."""
        job = self._job(request, job_id)
        return JsonResponse(figures(job, progress_of([job])[job.pk]), headers={"Cache-Control": "no-store"})

    def batches_view(self, request: HttpRequest, job_id: object) -> TemplateResponse:
        job = self._job(request, job_id)
        return self._ledger(request, job, "Batches", batches_page(request, job))

    def exceptions_view(self, request: HttpRequest, job_id: object, outcome: str) -> TemplateResponse:
        job = self._job(request, job_id)
        if outcome not in Outcome.values:
            raise Http404
        return self._ledger(request, job, f"{outcome.capitalize()} leads", exceptions_page(request, job, outcome))

    def _ledger(self, request: HttpRequest, job: BulkAction, title: str, page: dict[str, object]) -> TemplateResponse:
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "media": self.media,
            "title": title,
            "job": job,
            "job_title": title_of(job),
            **page,
        }
        return TemplateResponse(request, "admin/bulk_actions/bulkaction/ledger.html", context)

    def _job(self, request: HttpRequest, job_id: object) -> BulkAction:
        """The job, if there is one and this person may see it (else 403, as everywhere in the admin)."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return get_object_or_404(BulkAction, pk=read_key(str(job_id)))
