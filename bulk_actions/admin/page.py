"""What the page of one job shows."""

from django.urls import reverse

from bulk_actions.actions import ACTIONS
from bulk_actions.admin.figures import COLOUR_OF_STATUS, bar, duration, figures, number
from bulk_actions.admin.wording import pretty_json, sentence_of
from bulk_actions.models import BulkAction, Outcome
from bulk_actions.progress import progress_of
from bulk_actions.waiting import queue_positions
from crm.models import User

_LAST_TRANSITIONS = 50  # a script may pause and resume a job for days


def page_of_job(job: BulkAction) -> dict[str, object]:
    """The template's context: figures, facts, the filter and the transitions of `job`."""
    progress = progress_of([job])[job.pk]
    query = job.resolved_query if job.s_query is None else job.s_query
    return {
        "title": ACTIONS[job.kind].describe(job),
        "job": job,
        "figures": figures(job, progress),
        "bar": bar(job, progress),
        "colour": COLOUR_OF_STATUS[job.status],
        "facts": _facts(job),
        # A text says more than its translation: a slice stands in no s_query.
        "sentence": f"Leads found by: {job.query}" if job.query else sentence_of(query),
        "query_json": pretty_json(query),
        "params_json": pretty_json(job.params) if job.params else "",
        "transitions": _transitions(job),
        "progress_url": reverse("admin:bulk_actions_bulkaction_progress", args=[job.pk]),
        "batches_url": reverse("admin:bulk_actions_bulkaction_batches", args=[job.pk]),
        "skipped_url": reverse("admin:bulk_actions_bulkaction_leads", args=[job.pk, Outcome.SKIPPED.value]),
        "failed_url": reverse("admin:bulk_actions_bulkaction_leads", args=[job.pk, Outcome.FAILED.value]),
    }


def _facts(job: BulkAction) -> list[tuple[str, object]]:
    facts: list[tuple[str, object]] = [
        ("Id", job.pk),
        ("Id in the API", job.api_id),
        ("Organization", job.organization),
        ("Started by", f"{job.created_by.full_name} ({job.created_by.email})".strip()),
        ("Created", _moment(job.date_created)),
        ("Started", _moment(job.date_started)),
        ("Finished", _moment(job.date_finished)),
    ]
    if place := queue_positions([job]).get(job.pk):
        facts.append(("Place in the queue", number(place)))
    if job.date_started and job.date_finished:
        facts.append(("Took", duration((job.date_finished - job.date_started).total_seconds())))
    if job.results_limit is not None:
        facts.append(("At most", f"{number(job.results_limit)} results"))
    if job.leads_per_minute is not None:
        facts.append(("Ceiling", f"{number(job.leads_per_minute)} leads a minute"))
    facts.append(("Done mail", "yes" if job.send_done_email else "no"))
    return facts


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
