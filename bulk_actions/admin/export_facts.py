"""What the page of an export shows besides what every job has: what a row is, and what became of the file."""

from datetime import timedelta

from django.conf import settings
from django.template.defaultfilters import filesizeformat

from bulk_actions.admin.figures import number
from bulk_actions.models import BulkAction, ExportFile

_ROW = {
    ("leads", "lead"): "a lead",
    ("contacts", "lead"): "a contact of the leads found",
    ("contacts", "contact"): "a contact",
    ("lead_opps", "lead"): "an opportunity of the leads found",
    ("lead_opps", "opportunity"): "an opportunity",
    ("opps", "opportunity"): "an opportunity",
}


def facts_of_export(job: BulkAction) -> list[tuple[str, object]]:
    facts: list[tuple[str, object]] = [("A row is", _ROW[str(job.params["type"]), job.target])]
    file = ExportFile.objects.filter(action=job.pk).first()
    if file is None:
        return [*facts, ("File", "none yet, or no longer kept")]
    facts.append(("Rows written", number(file.n_rows)))
    if file.date_finished is None or file.size is None:
        return [*facts, ("File", "not complete")]
    until = file.date_created + timedelta(days=settings.EXPORT_FILE_DAYS)
    return [*facts, ("File", f"{filesizeformat(file.size)}, kept until {until:%Y-%m-%d %H:%M} UTC")]


def sentence_of_export(job: BulkAction) -> str | None:
    """Of one by the filters of the list of opportunities: those; None for one by a query."""
    if job.params["type"] != "opps":
        return "Every lead." if job.s_query is None else None
    filters = ", ".join(f"{name} = {value}" for name, value in job.params["params"].items())
    return f"Opportunities where {filters}." if filters else "Every opportunity."
