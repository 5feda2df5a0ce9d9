"""The ledger of a job, page by page: what became of its leads, and its batches.

The pages go by place or by id, so that page 10,000 costs what page 1 does.
"""

from collections.abc import Callable
from urllib.parse import urlencode

from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from bulk_actions.actions import WITH_OBJECTS
from bulk_actions.admin.figures import number
from bulk_actions.errors import LedgerPurged
from bulk_actions.models import Batch, BulkAction, spelled_target
from bulk_actions.results import page_of
from bulk_actions.targets import OUTCOMES
from crm.models import Contact, Lead, Opportunity

ROWS_PER_PAGE = 100
# What a person calls the targets of a job, and where their names stand; rows of files have a page of their own.
_TARGETS: dict[str, tuple[str, Callable[[], QuerySet]]] = {
    "lead": ("Lead", lambda: Lead.all_objects.only("name")),
    "contact": ("Contact", lambda: Contact.objects.only("name")),
    "opportunity": ("Deal", lambda: Opportunity.all_objects.select_related("lead").only("name", "lead__name")),
}


def outcomes_in(request: HttpRequest) -> tuple[str, ...]:
    """The one that `?outcome=` asks for; all of them for anything else."""
    asked = request.GET.get("outcome")
    return (asked,) if asked in OUTCOMES else OUTCOMES


def results_page(request: HttpRequest, job: BulkAction) -> dict[str, object]:
    """What became of each lead, in the job's order, behind the place `?after=`; with links to choose an outcome."""
    outcomes, after = outcomes_in(request), _id(request.GET.get("after")) or 0
    try:
        found = page_of(job, outcomes, after=after, size=ROWS_PER_PAGE + 1)
    except LedgerPurged as purged:
        return {"headers": [], "rows": [], "nothing": purged.message}
    rows = found[:ROWS_PER_PAGE]
    target, named = _TARGETS[job.target]
    targets = named().in_bulk([row.lead_id for row in rows])
    has_address = job.kind in WITH_OBJECTS
    chosen = {"outcome": outcomes[0]} if len(outcomes) == 1 else {}
    return {
        "choices": [("All", "?", not chosen)]
        + [(word.capitalize(), f"?outcome={word}", chosen.get("outcome") == word) for word in OUTCOMES],
        "csv_link": f"{reverse('admin:bulk_actions_bulkaction_results_csv', args=[job.pk])}?{urlencode(chosen)}",
        "first_link": f"?{urlencode(chosen)}" if after else None,
        "next_link": f"?{urlencode({**chosen, 'after': rows[-1].key})}" if len(found) > ROWS_PER_PAGE else None,
        "headers": [
            "Place",
            target,
            "Id",
            "Outcome",
            "Why",
            "Code",
            *(["Address"] if has_address else []),
        ],
        "rows": [
            [
                number(row.place),
                _link(targets.get(row.lead_id)),
                spelled_target(job, row.lead_id),
                row.outcome,
                row.message or "",
                row.code or "",
                *([row.email or ""] if has_address else []),
            ]
            for row in rows
        ],
        "nothing": f"No {target.lower()} {'is ' + outcomes[0] if chosen else 'yet, or none at all'}.",
    }


def batches_page(request: HttpRequest, job: BulkAction) -> dict[str, object]:
    """Batches in the order they were made, with what became of their leads."""
    columns = ("n_leads", "n_succeeded", "n_unchanged", "n_skipped", "n_failed", "date_done")
    rows, links = _page(request, Batch.objects.filter(action=job.pk).only(*columns))
    return {
        **links,
        "headers": ["Batch", "Leads", "Succeeded", "Unchanged", "Skipped", "Failed", "Done"],
        "rows": [
            [
                row.pk,
                number(row.n_leads),
                number(row.n_succeeded),
                number(row.n_unchanged),
                number(row.n_skipped),
                number(row.n_failed),
                f"{row.date_done:%Y-%m-%d %H:%M:%S} UTC" if row.date_done else "pending",
            ]
            for row in rows
        ],
        "nothing": "No batch yet: the leads have not been looked up.",
    }


def _page(request: HttpRequest, queryset: QuerySet[Model]) -> tuple[list[Model], dict[str, str | None]]:
    """The rows after `?after=` or before `?before=` (ids; anything else counts as absent), and the links to go on."""
    after, before = (_id(request.GET.get(name)) for name in ("after", "before"))
    if before is not None:
        found = list(queryset.filter(pk__lt=before).order_by("-pk")[: ROWS_PER_PAGE + 1])
        more_before, more_after = len(found) > ROWS_PER_PAGE, True
        rows = found[:ROWS_PER_PAGE][::-1]
    else:
        found = list(queryset.filter(pk__gt=after or 0).order_by("pk")[: ROWS_PER_PAGE + 1])
        more_before, more_after = after is not None, len(found) > ROWS_PER_PAGE
        rows = found[:ROWS_PER_PAGE]
    return rows, {
        "previous_link": f"?before={rows[0].pk}" if rows and more_before else None,
        "next_link": f"?after={rows[-1].pk}" if rows and more_after else None,
        "first_link": "?" if more_before else None,
    }


def _id(text: str | None) -> int | None:
    """A number that fits a bigint, or None."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else None


def _link(target: Lead | Contact | Opportunity | None) -> str:
    if target is None:
        return "(purged)"
    address = reverse(f"admin:crm_{target._meta.model_name}_change", args=[target.pk])
    return format_html('<a class="job-link" href="{}">{}</a>', address, _name(target) or "(no name)")


def _name(target: Lead | Contact | Opportunity) -> str | None:
    """A deal that nobody has named goes by its lead."""
    if isinstance(target, Opportunity) and not target.name and target.lead:
        return target.lead.name
    return target.name
