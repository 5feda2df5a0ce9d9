"""What the page of one job shows."""

from uuid import UUID

from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from bulk_actions.actions import describe
from bulk_actions.admin.export_facts import facts_of_export, sentence_of_export
from bulk_actions.admin.figures import COLOUR_OF_STATUS, bar, duration, figures, number
from bulk_actions.admin.wording import pretty_json, reason_in_words, sentence_of, targets_of
from bulk_actions.models import BulkAction, Kind, OnChanged, Priority
from bulk_actions.progress import progress_of
from bulk_actions.waiting import queue_positions
from crm.models import User

_MOST_DESCENDANTS = 5
_LAST_TRANSITIONS = 50  # a script may pause and resume a job for days


def page_of_job(job: BulkAction) -> dict[str, object]:
    """The template's context: figures, facts, the filter and the transitions of `job`."""
    progress, targets = progress_of([job])[job.pk], targets_of(job)
    query = job.resolved_query if job.s_query is None else job.s_query
    sentence = _sentence(job, query)
    return {
        "title": describe(job),
        "job": job,
        "figures": figures(job, progress),
        "bar": bar(job, progress),
        "colour": COLOUR_OF_STATUS[job.status],
        "facts": _facts(job, targets),
        "targets": targets,
        "counted": "mails" if job.kind == Kind.EMAIL else targets,
        "sentence": sentence,
        # What was not sent says nothing that the sentence does not.
        "query_json": "" if job.s_query is None and sentence else pretty_json(query),
        "params_json": pretty_json(job.params) if job.params else "",
        "transitions": _transitions(job),
        "progress_url": reverse("admin:bulk_actions_bulkaction_progress", args=[job.pk]),
        "batches_url": reverse("admin:bulk_actions_bulkaction_batches", args=[job.pk]),
        "results_url": reverse("admin:bulk_actions_bulkaction_results", args=[job.pk]),
        "reason": reason_in_words(job) if job.error_code is None else "",
    }


def _sentence(job: BulkAction, query: object) -> str | None:
    if job.query:  # a text says more than its translation: a slice stands in no s_query
        return f"Leads found by: {job.query}"
    if job.is_of_file:
        return f"Every row of {job.params['file']} that can be read."
    if job.kind == Kind.EXPORT and (said := sentence_of_export(job)):
        return said
    return sentence_of(query) if query else "Those that the call named."


def _facts(job: BulkAction, targets: str) -> list[tuple[str, object]]:
    facts: list[tuple[str, object]] = [
        ("Id", job.pk),
        ("Id in the API", job.api_id),
        ("Organization", job.organization),
        ("Started by", _person(job.created_by)),
        ("Created", _moment(job.date_created)),
        ("Started", _moment(job.date_started)),
        ("Finished", _moment(job.date_finished)),
    ]
    if place := queue_positions([job]).get(job.pk):
        facts.append(("Place in the queue", number(place)))
    if job.date_started and job.date_finished:
        facts.append(("Took", duration((job.date_finished - job.date_started).total_seconds())))
    facts += _family(job)
    if job.is_of_file:
        upload = reverse("admin:bulk_actions_upload_change", args=[job.params["upload_id"]])
        facts.append(("File", format_html('<a class="job-link" href="{}">{}</a>', upload, job.params["file"])))
        if job.n_repeated is not None:
            facts.append(("Repeated", f"{number(job.n_repeated)} rows are about what an earlier row is about as well"))
    if job.kind == Kind.EXPORT:
        facts += facts_of_export(job)
    if job.run_at is not None:
        facts.append(("Not before", _moment(job.run_at)))
    if job.results_limit is not None:
        facts.append(("At most", f"{number(job.results_limit)} results"))
    if job.max_leads is not None:
        facts.append(("Refused above", f"{number(job.max_leads)} {targets}"))
    if job.canary_leads is not None:
        passed = ", passed" if job.canary_passed else ""
        facts.append(("Canary", f"pauses after {number(job.canary_leads)} {targets}{passed}"))
    facts.append(("Pauses itself", f"above {job.max_failure_ratio:.0%} failed {targets}"))
    if job.on_changed == OnChanged.SKIP:
        facts.append((f"Changed {targets}", "skipped when they no longer match"))
    if job.leads_per_minute is not None:
        facts.append(("Ceiling", f"{number(job.leads_per_minute)} {targets} a minute"))
    facts.append(("Priority", Priority(job.priority).label))
    facts.append(("Done mail", "yes" if job.send_done_email else "no"))
    if job.date_ledger_purged is not None:
        facts.append(("Ledger removed", _moment(job.date_ledger_purged)))
    return facts


def _person(user: User) -> str:
    return f"{user.full_name} ({user.email})" if user.full_name else user.email


def _family(job: BulkAction) -> list[tuple[str, object]]:
    """The jobs that this one came of, and those that came of it."""
    facts: list[tuple[str, object]] = []
    if job.retry_of_id is not None:
        facts.append(("Retry of", _link(job.retry_of_id)))
    if job.undo_of_id is not None:
        facts.append(("Undo of", _link(job.undo_of_id)))
    retries = BulkAction.objects.filter(retry_of=job.pk)
    undos = BulkAction.objects.filter(undo_of=job.pk, retry_of__isnull=True)
    for name, found in (("Retried by", retries), ("Undone by", undos)):
        keys = list(found.order_by("-pk").values_list("pk", flat=True)[:_MOST_DESCENDANTS])
        if keys:
            facts.append((name, format_html_join(", ", "{}", ((_link(key),) for key in keys))))
    return facts


def _link(key: UUID) -> SafeString:
    address = reverse("admin:bulk_actions_bulkaction_change", args=[key])
    return format_html('<a class="job-link" href="{}">{}</a>', address, key)


def _transitions(job: BulkAction) -> list[dict[str, object]]:
    """The latest first, with the names of who asked."""
    latest = list(job.transitions.order_by("-pk")[:_LAST_TRANSITIONS])
    people = User.objects.in_bulk({move.by_id for move in latest if move.by_id})
    return [
        {
            "moment": _moment(move.date_created),
            "old": move.old_status,
            "new": move.new_status,
            "colour": COLOUR_OF_STATUS[move.new_status],
            "by": people.get(move.by_id) or "the engine",
            "reason": move.reason,
        }
        for move in latest
    ]


def _moment(moment: object) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else "–"
