"""A job's progress as people read it: in the list, on its page, and in the answers that keep the page moving."""

from django.utils.html import format_html
from django.utils.safestring import SafeString

from bulk_actions.models import BulkAction
from bulk_actions.progress import Progress
from bulk_actions.states import FINAL, Status

COLOUR_OF_STATUS = {
    Status.CREATED: "default",
    Status.LOADING: "info",
    Status.PROCESSING: "info",
    Status.PAUSED: "warning",
    Status.RESUMING: "info",
    Status.DONE: "success",
    Status.ERROR: "danger",
}


def number(value: float | None) -> str:
    """`1 234 567`, with thin spaces; `–` for None."""
    return "–" if value is None else f"{value:,.0f}".replace(",", "\u2009")


def duration(seconds: float | None) -> str:
    """`4 s`, `3 min 20 s`, `2 h 5 min`; `–` for None."""
    if seconds is None:
        return "–"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def rate(progress: Progress) -> str:
    return "–" if progress.leads_per_second is None else f"{number(progress.leads_per_second)}/s"


def pace(progress: Progress) -> str:
    """`520/s, about 3 min 20 s left`, as far as it is known."""
    if progress.leads_per_second is None:
        return ""
    left = "" if progress.eta_seconds is None else f", about {duration(progress.eta_seconds)} left"
    return rate(progress) + left


def done_of_total(progress: Progress) -> str:
    return f"{number(progress.n_processed)} / {number(progress.n_objects)}"


def percent(action: BulkAction, progress: Progress) -> float:
    """0 to 100. A job that is done is all done, also when it had nothing to do."""
    if progress.n_objects:
        return round(100 * progress.n_processed / progress.n_objects, 1)
    return 100.0 if action.status == Status.DONE else 0.0


def bar(action: BulkAction, progress: Progress) -> SafeString:
    value = percent(action, progress)
    return format_html(
        '<progress class="job-bar job-bar-{}" max="100" value="{}" title="{} %"></progress>',
        action.status,
        value,
        value,
    )


def figures(action: BulkAction, progress: Progress) -> dict[str, object]:
    """What the page shows of a job that moves; the keys are the `data-figure` names in its template."""
    return {
        "status": action.status,
        "is_final": action.status in FINAL,
        "percent": percent(action, progress),
        "done_of_total": done_of_total(progress),
        "pace": pace(progress),
        "succeeded": number(progress.n_succeeded),
        "unchanged": number(progress.n_unchanged),
        "skipped": number(progress.n_skipped),
        "failed": number(progress.n_failed),
        "unknown": number(progress.n_unknown),
        "pending": number(progress.n_pending) if progress.n_leads is not None else "–",
    }
