"""Imports in the admin: the files, their rows, and what became of the rows of one import."""

from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import display

from bulk_actions import import_results
from bulk_actions.admin.figures import number
from bulk_actions.admin.wording import pretty_json
from bulk_actions.errors import LedgerPurged
from bulk_actions.models import BulkAction, ImportRow, Upload
from bulk_actions.uploads import earlier_imports
from crm.admin.base import LargeTableAdmin, ReadOnlyAdmin
from crm.models import Contact, Lead

ROWS_PER_PAGE = 100
_CHOICES = ("created", "updated", "skipped", "failed", "pending")
_COLOURS = {"created": "success", "updated": "info", "skipped": "warning", "failed": "danger"}


@admin.register(Upload)
class UploadAdmin(ReadOnlyAdmin):
    class Media:
        css = {"all": ["bulk_actions/jobs.css"]}

    list_display = ("name", "size_in_words", "organization", "created_by", "created_ago")
    list_select_related = ("organization", "created_by")
    search_fields = ("name", "created_by__email", "organization__name")
    search_help_text = "Id, name, person or organization"
    id_lookups = ("pk", "organization")
    ordering = ("-pk",)
    show_full_result_count = False
    fieldsets = (
        (None, {"fields": ("name", "size_in_words", "content_type", "sha256", "organization")}),
        ("Imports of this content", {"fields": ("imports",)}),
        ("Storage", {"fields": ("path",)}),
        ("History", {"fields": ("date_created", "created_by")}),
    )

    @admin.display(description="Size")
    def size_in_words(self, upload: Upload) -> str:
        return filesizeformat(upload.size)

    @admin.display(description="Jobs")
    def imports(self, upload: Upload) -> SafeString | str:
        jobs = [(job_link(job),) for job in earlier_imports(upload)]
        return format_html_join(", ", "{}", jobs) if jobs else "none"


@admin.register(ImportRow)
class ImportRowAdmin(LargeTableAdmin):
    """Reached from its job. What it refers to may be gone, and is never joined."""

    class Media:
        css = {"all": ["bulk_actions/jobs.css"]}

    list_display = ("number", "line", "outcome_label", "message", "column_name", "value", "job")
    search_fields = ("code",)
    search_help_text = "Id of a row or of its job"
    id_lookups = ("pk", "action")
    fieldsets = (
        (None, {"fields": ("job", "number", "line", "said")}),
        ("What became of it", {"fields": ("outcome_label", "lead", "contact")}),
        ("What is wrong with it", {"fields": ("code", "message", "column_name", "value")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[ImportRow]:
        return super().get_queryset(request).defer("data").prefetch_related("action")

    @display(description="Outcome", label=_COLOURS)
    def outcome_label(self, row: ImportRow) -> str:
        return row.outcome or "pending"

    @admin.display(description="Import")
    def job(self, row: ImportRow) -> SafeString | str:
        try:
            return job_link(row.action)
        except BulkAction.DoesNotExist:
            return "-"

    @admin.display(description="What it says")
    def said(self, row: ImportRow) -> SafeString | str:
        return format_html("<pre>{}</pre>", pretty_json(row.data)) if row.data else "-"

    @admin.display(description="Lead")
    def lead(self, row: ImportRow) -> str:
        return _record_link(Lead.all_objects.filter(pk=row.lead_id).first()) if row.lead_id else "-"

    @admin.display(description="Contact")
    def contact(self, row: ImportRow) -> str:
        return _record_link(Contact.objects.filter(pk=row.contact_id).first()) if row.contact_id else "-"


def job_link(job: BulkAction) -> SafeString:
    address = reverse("admin:bulk_actions_bulkaction_change", args=[job.pk])
    return format_html('<a class="job-link" href="{}">{}</a>', address, job.api_id)


def rows_page(request: HttpRequest, job: BulkAction) -> dict[str, object]:
    """What became of each row of the file behind the number `?after=`, with links to choose an outcome."""
    outcomes, after = asked_outcomes(request), request.GET.get("after", "")
    start = int(after) if after.isascii() and after.isdigit() and len(after) < 10 else 0
    try:
        found = import_results.page_of(job, outcomes, after=start, size=ROWS_PER_PAGE + 1)
    except LedgerPurged as purged:
        return {"headers": [], "rows": [], "nothing": purged.message}
    rows = found[:ROWS_PER_PAGE]
    leads = Lead.all_objects.only("name").in_bulk([row.lead_id for row in rows if row.lead_id])
    chosen = {"outcome": outcomes[0]} if len(outcomes) == 1 else {}
    return {
        "choices": [("All", "?", not chosen)]
        + [(word.capitalize(), f"?outcome={word}", chosen.get("outcome") == word) for word in _CHOICES],
        "csv_link": f"{reverse('admin:bulk_actions_bulkaction_results_csv', args=[job.pk])}?{urlencode(chosen)}",
        "first_link": f"?{urlencode(chosen)}" if start else None,
        "next_link": f"?{urlencode({**chosen, 'after': rows[-1].number})}" if len(found) > ROWS_PER_PAGE else None,
        "headers": ["Row", "Line", "Outcome", "Lead", "Column", "Value", "Why"],
        "rows": [
            [
                _row_link(row),
                number(row.line),
                row.outcome or "pending",
                _record_link(leads.get(row.lead_id)) if row.lead_id else "",
                row.column_name or "",
                row.value or "",
                row.message or "",
            ]
            for row in rows
        ],
        "nothing": _nothing(chosen.get("outcome")),
    }


def _nothing(outcome: str | None) -> str:
    if outcome == "unchanged":
        return "Rows that changed nothing are among the updated ones."
    return f"No row is {outcome}." if outcome else "No row has been read yet."


def asked_outcomes(request: HttpRequest) -> tuple[str, ...]:
    """The one that `?outcome=` asks for; all of them for anything else."""
    asked = request.GET.get("outcome")
    return (asked,) if asked in import_results.OUTCOMES else _CHOICES


def _row_link(row: ImportRow) -> SafeString:
    address = reverse("admin:bulk_actions_importrow_change", args=[row.pk])
    return format_html('<a class="job-link" href="{}">{}</a>', address, number(row.number))


def _record_link(record: Lead | Contact | None) -> str:
    if record is None:
        return "(purged)"
    address = reverse(f"admin:crm_{record._meta.model_name}_change", args=[record.pk])
    return format_html('<a class="job-link" href="{}">{}</a>', address, record.name or "(no name)")
