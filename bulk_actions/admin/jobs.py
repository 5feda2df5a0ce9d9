"""The list of jobs, the page of one, and what lies under it: read-only, but for the buttons."""

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.forms import Media
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from unfold.decorators import display
from unfold.views import ChangeList

from bulk_actions.admin.buttons import JobButtons
from bulk_actions.admin.figures import COLOUR_OF_STATUS, bar, done_of_total, figures, rate
from bulk_actions.admin.import_pages import asked_outcomes, rows_page
from bulk_actions.admin.ledger_pages import batches_page, outcomes_in, results_page
from bulk_actions.admin.page import page_of_job
from bulk_actions.admin.wording import notes_on, title_of
from bulk_actions.api.listings import CSV, stream
from bulk_actions.models import BulkAction
from bulk_actions.progress import progress_of
from bulk_actions.waiting import queue_positions
from crm.admin.base import ReadOnlyAdmin, age, read_key


class JobsWithProgress(ChangeList):
    """Fetches the progress of the jobs on the page together, so that no row asks for its own."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        progress, positions = progress_of(self.result_list), queue_positions(self.result_list)
        for job in self.result_list:
            job.progress, job.queue_position = progress[job.pk], positions.get(job.pk)


@admin.register(BulkAction)
class BulkActionAdmin(JobButtons, ReadOnlyAdmin):
    list_display = ("title", "status_label", "notes", "bar", "done", "rate", "created_ago", "who", "organization")
    list_filter = ("status", "kind", "priority")
    list_select_related = ("created_by", "organization")
    search_fields = ("created_by__email", "organization__name")
    search_help_text = "Id, person or organization"
    id_lookups = ("pk", "organization")
    ordering = ("-pk",)
    sortable_by = ()
    show_full_result_count = False
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

    @admin.display(description="Notes")
    def notes(self, job: BulkAction) -> str:
        return notes_on(job, job.queue_position)

    @admin.display(description="Progress")
    def bar(self, job: BulkAction) -> str:
        return bar(job, job.progress)

    @admin.display(description="Done / total")
    def done(self, job: BulkAction) -> str:
        return format_html('<span class="job-number">{}</span>', done_of_total(job.progress))

    @admin.display(description="Rate")
    def rate(self, job: BulkAction) -> str:
        return rate(job.progress)

    @admin.display(description="Age")
    def created_ago(self, job: BulkAction) -> str:
        return age(job.date_created)

    @admin.display(description="Who")
    def who(self, job: BulkAction) -> str:
        return job.created_by.full_name or job.created_by.email

    # --- the page of one job, and what lies under it ------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        under = {
            "progress": ("progress/", self.progress_view),
            "batches": ("batches/", self.batches_view),
            "results": ("results/", self.results_view),
            "results_csv": ("results.csv", self.results_csv_view),
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

    def results_view(self, request: HttpRequest, job_id: object) -> TemplateResponse:
        job = self._job(request, job_id)
        page = rows_page(request, job) if job.is_of_file else results_page(request, job)
        return self._ledger(request, job, "Results", page)

    def results_csv_view(self, request: HttpRequest, job_id: object) -> StreamingHttpResponse:
        job = self._job(request, job_id)
        if job.date_ledger_purged is not None:
            raise Http404
        outcomes = asked_outcomes(request) if job.is_of_file else outcomes_in(request)
        return stream(job, outcomes, CSV)

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
