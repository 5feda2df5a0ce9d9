"""How far jobs are. The numbers of a live job are sums over its ledger; those of an ended one stand on its row."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Max, Q, Sum
from django.db.models.functions import Now

from bulk_actions.models import Batch, BulkAction
from bulk_actions.states import FINAL, Status

PACE_WINDOW_SECONDS = 10  # what "leads per second" of a running job looks back on


@dataclass(frozen=True)
class Progress:
    """Counts over the job's objects; `n_leads` is None until they have been counted."""

    n_leads: int | None
    n_succeeded: int
    n_unchanged: int
    n_skipped: int
    n_failed: int
    leads_per_second: float | None
    eta_seconds: float | None

    @property
    def n_processed(self) -> int:
        return self.n_succeeded + self.n_unchanged + self.n_skipped + self.n_failed

    @property
    def n_pending(self) -> int:
        return (self.n_leads or 0) - self.n_processed


def progress_of(actions: Sequence[BulkAction]) -> dict[UUID, Progress]:
    """The progress of each job, by one GROUP BY over the ledgers of those that still live."""
    live = {action.pk: action for action in actions if action.status not in FINAL}
    rows = {row["action"]: row for row in _sums(live.values())} if live else {}
    return {
        action.pk: _live(action, rows.get(action.pk)) if action.pk in live else _ended(action) for action in actions
    }


def sums_of(action_id: UUID) -> dict[str, int]:
    """The four outcome counts of one job's ledger, by the names of `BulkAction`'s columns."""
    names = ("n_succeeded", "n_unchanged", "n_skipped", "n_failed")
    done = Batch.objects.filter(action=action_id, date_done__isnull=False)
    row = done.aggregate(**{f"sum_{name}": Sum(name, default=0) for name in names})
    return {name: row[f"sum_{name}"] for name in names}


def _sums(actions: Collection[BulkAction]) -> Sequence[dict[str, object]]:
    # Each job looks back to its own last move, so that a pause does not count as slowness.
    recent = Q()
    for action in actions:
        recent |= Q(action=action.pk, date_done__gte=action.date_updated)
    recent &= Q(date_done__gte=Now() - timedelta(seconds=PACE_WINDOW_SECONDS))
    return (
        Batch.objects.filter(action__in=[action.pk for action in actions], date_done__isnull=False)
        .values("action")
        .annotate(
            succeeded=Sum("n_succeeded"),
            unchanged=Sum("n_unchanged"),
            skipped=Sum("n_skipped"),
            failed=Sum("n_failed"),
            recently=Sum("n_leads", filter=recent, default=0),
            now=Max(Now()),
        )
    )


def _live(action: BulkAction, row: dict[str, object] | None) -> Progress:
    if row is None:
        return Progress(action.n_leads, 0, 0, 0, 0, None, None)
    counts = (row["succeeded"], row["unchanged"], row["skipped"], row["failed"])
    rate = None
    if action.status == Status.PROCESSING and row["recently"]:
        seconds = min((row["now"] - action.date_updated).total_seconds(), PACE_WINDOW_SECONDS)
        rate = round(row["recently"] / seconds, 1) if seconds > 0 else None
    left = (action.n_leads or 0) - sum(counts)
    return Progress(action.n_leads, *counts, rate, round(left / rate, 1) if rate else None)


def _ended(action: BulkAction) -> Progress:
    counts = [n or 0 for n in (action.n_succeeded, action.n_unchanged, action.n_skipped, action.n_failed)]
    seconds = _seconds_between(action.date_started, action.date_finished)
    rate = round(sum(counts) / seconds, 1) if seconds else None
    return Progress(action.n_leads, *counts, rate, None)


def _seconds_between(start: datetime | None, end: datetime | None) -> float | None:
    return (end - start).total_seconds() if start and end else None
