"""A glance at the engine, for the first page of the admin."""

from django.db.models import Min
from django.http import HttpRequest

from bulk_actions.admin.figures import COLOUR_OF_STATUS, bar, done_of_total, number, rate
from bulk_actions.admin.wording import title_of
from bulk_actions.models import BulkAction
from bulk_actions.progress import progress_of
from bulk_actions.states import ACTIVE, WAITING, Status
from crm.admin.base import age
from crm.models import MailState, OutboxMail

_RUNNING_SHOWN = 10
_DEEPEST_COUNT = 100_000  # mails; counting on would slow the first page down when it matters


def add_engine_state(request: HttpRequest, context: dict[str, object]) -> dict[str, object]:
    """Running jobs, who waits longest, and how much mail is to leave (unfold's DASHBOARD_CALLBACK)."""
    if not request.user.has_perm("bulk_actions.view_bulkaction"):
        return context
    active = BulkAction.objects.filter(status__in=ACTIVE)
    running = list(active.select_related("organization").order_by("-pk")[:_RUNNING_SHOWN])
    progress = progress_of(running)
    waiting = BulkAction.objects.filter(status__in=WAITING)
    depth = OutboxMail.objects.filter(state=MailState.RESERVED)[:_DEEPEST_COUNT].count()
    tiles = [
        ("Running jobs", number(active.count())),
        ("Waiting jobs", number(waiting.count())),
        ("Oldest waits since", age(waiting.aggregate(oldest=Min("date_updated"))["oldest"])),
        ("Paused jobs", number(BulkAction.objects.filter(status=Status.PAUSED).count())),
        ("Mails to leave", number(depth) + ("+" if depth == _DEEPEST_COUNT else "")),
    ]
    rows = [
        {
            "job": job,
            "title": title_of(job),
            "colour": COLOUR_OF_STATUS[job.status],
            "bar": bar(job, progress[job.pk]),
            "done": done_of_total(progress[job.pk]),
            "rate": rate(progress[job.pk]),
        }
        for job in running
    ]
    return {**context, "engine_tiles": tiles, "running": rows}
