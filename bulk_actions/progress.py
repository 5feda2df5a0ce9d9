"""How far jobs are. The numbers of a live job are sums over its ledger; those of an ended one stand on its row."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection
from django.db.models import F, Max, Q, Sum
from django.db.models.functions import Coalesce, Now

from bulk_actions.actions import MAILING
from bulk_actions.models import Batch, BulkAction
from bulk_actions.states import FINAL, Status

PACE_WINDOW_SECONDS = 10  # what "leads per second" of a running job looks back on


@dataclass(frozen=True)
class Progress:
    """Counts over the job's objects; `n_leads` and `n_objects` are None until they have been counted.

    In a job that sends mail a lead is processed once no mail to it is left to be sent. Where a lead may have several
    mails, `n_leads_processed` may be too low until that is so for all of them. There `leads_per_second` and
    `eta_seconds` are of the mails that leave; both are None while none does.
    """

    n_leads: int | None
    n_objects: int | None
    n_leads_processed: int
    n_succeeded: int
    n_unchanged: int
    n_skipped: int
    n_failed: int
    n_unknown: int
    leads_per_second: float | None
    eta_seconds: float | None

    @property
    def n_processed(self) -> int:
        return self.n_succeeded + self.n_unchanged + self.n_skipped + self.n_failed + self.n_unknown

    @property
    def n_pending(self) -> int:
        return (self.n_objects or 0) - self.n_processed


def progress_of(actions: Sequence[BulkAction]) -> dict[UUID, Progress]:
    """The progress of each job, by one GROUP BY over the ledgers of those that still live, and one over their mails."""
    live = {action.pk: action for action in actions if action.status not in FINAL or action.n_succeeded is None}
    changing = [action for action in live.values() if action.kind not in MAILING]
    sending = [action for action in live.values() if action.kind in MAILING]
    rows = {row["action"]: row for row in _sums(changing)} if changing else {}
    mails = _mail_sums([action.pk for action in sending]) if sending else {}
    rates = _mail_rates([action for action in sending if action.status == Status.PROCESSING])
    found = {}
    for action in actions:
        if action.pk not in live:
            found[action.pk] = _ended(action)
        elif action.kind in MAILING:
            found[action.pk] = _live_mails(action, mails[action.pk], rates.get(action.pk))
        else:
            found[action.pk] = _live(action, rows.get(action.pk))
    return found


def sums_of(action: BulkAction) -> dict[str, int | None]:
    """The final counts of one job's ledger, by the names of `BulkAction`'s columns."""
    if action.kind in MAILING:
        progress = _live_mails(action, _mail_sums([action.pk])[action.pk], None)
        names = ("n_objects", "n_succeeded", "n_unchanged", "n_skipped", "n_failed", "n_unknown")
        return {name: getattr(progress, name) for name in names}
    names = ("n_succeeded", "n_unchanged", "n_skipped", "n_failed")
    done = Batch.objects.filter(action=action.pk, date_done__isnull=False)
    sums = {f"sum_{name}": Sum(name, default=0) for name in names}
    row = done.aggregate(**sums, more=Sum(Coalesce("n_objects", "n_leads") - F("n_leads"), default=0))
    n_objects = None if action.n_leads is None else action.n_leads + row["more"]
    return {**{name: row[f"sum_{name}"] for name in names}, "n_objects": n_objects, "n_unknown": 0}


# One statement, so that ledger and outbox are seen at one moment. Of the mails only an index is read.
_MAIL_SUMS = """
    SELECT job.id, coalesce(done.leads, 0), coalesce(done.objects, 0), coalesce(done.skipped, 0),
           coalesce(done.failed, 0), mails.sent, mails.withheld, mails.error, mails.unknown, mails.waiting
    FROM unnest(%s::uuid[]) AS job(id)
    CROSS JOIN LATERAL (
        SELECT sum(n_leads)::bigint AS leads, sum(coalesce(n_objects, n_leads))::bigint AS objects,
               sum(n_skipped)::bigint AS skipped, sum(n_failed)::bigint AS failed
        FROM bulk_actions_batch WHERE action_id = job.id AND date_done IS NOT NULL) AS done
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE state = 'sent') AS sent, count(*) FILTER (WHERE state = 'withheld') AS withheld,
               count(*) FILTER (WHERE state = 'error') AS error, count(*) FILTER (WHERE state = 'unknown') AS unknown,
               count(*) FILTER (WHERE state IN ('reserved', 'sending')) AS waiting
        FROM crm_outboxmail WHERE source_id = job.id AND purpose <> 'notice') AS mails
"""


@dataclass(frozen=True)
class _MailSums:
    """Of the batches that are done: leads, objects, and what was decided at once; of the mails: what became of them."""

    leads: int
    objects: int
    skipped: int
    failed: int
    sent: int
    withheld: int
    error: int
    unknown: int
    waiting: int


def _mail_sums(action_ids: Sequence[UUID]) -> dict[UUID, _MailSums]:
    with connection.cursor() as cursor:
        cursor.execute(_MAIL_SUMS, [list(action_ids)])
        return {key: _MailSums(*numbers) for key, *numbers in cursor.fetchall()}


# By the account, since its index tells what left lately, however much has left before.
_MAIL_RATES = """
    SELECT job.id, sent.n / least(%(window)s, extract(epoch FROM statement_timestamp() - job.since))::float8
    FROM unnest(%(jobs)s::uuid[], %(accounts)s::uuid[], %(since)s::timestamptz[]) AS job(id, account_id, since)
    CROSS JOIN LATERAL (
        SELECT count(*) AS n FROM (
            SELECT source_id, date_sent FROM crm_outboxmail WHERE account_id = job.account_id AND date_sent IS NOT NULL
            UNION ALL
            SELECT source_id, date_sent FROM crm_outboxmail
            WHERE job.account_id IS NULL AND account_id IS NULL AND date_sent IS NOT NULL) AS mail
        WHERE source_id = job.id
          AND date_sent > greatest(job.since, statement_timestamp() - %(window)s * interval '1 second')) AS sent
    WHERE sent.n > 0
"""


def _mail_rates(actions: Sequence[BulkAction]) -> dict[UUID, float]:
    """Mails per second of those of which some left in the last PACE_WINDOW_SECONDS, and since their last move."""
    if not actions:
        return {}
    asked = {
        "window": PACE_WINDOW_SECONDS,
        "jobs": [action.pk for action in actions],
        "accounts": [action.params.get("email_account_id") for action in actions],
        "since": [action.date_updated for action in actions],
    }
    with connection.cursor() as cursor:
        cursor.execute(_MAIL_RATES, asked)
        return {key: round(rate, 1) for key, rate in cursor.fetchall()}


def _live_mails(action: BulkAction, sums: _MailSums, rate: float | None) -> Progress:
    n_objects = None if action.n_leads is None else action.n_leads - sums.leads + sums.objects
    n_pending = (action.n_leads or 0) - sums.leads + sums.waiting
    return Progress(
        n_leads=action.n_leads,
        n_objects=n_objects,
        n_leads_processed=max(0, sums.leads - sums.waiting),
        n_succeeded=sums.sent,
        n_unchanged=0,
        n_skipped=sums.skipped + sums.withheld,
        n_failed=sums.failed + sums.error,
        n_unknown=sums.unknown,
        leads_per_second=rate,
        eta_seconds=round(n_pending / rate, 1) if rate else None,
    )


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
            leads=Sum("n_leads"),
            objects=Sum(Coalesce("n_objects", "n_leads")),
            recently=Sum("n_leads", filter=recent, default=0),
            now=Max(Now()),
        )
    )


def _live(action: BulkAction, row: dict[str, object] | None) -> Progress:
    if row is None:
        return Progress(action.n_leads, action.n_objects, 0, 0, 0, 0, 0, 0, None, None)
    counts = (row["succeeded"], row["unchanged"], row["skipped"], row["failed"])
    rate = None
    if action.status == Status.PROCESSING and row["recently"]:
        seconds = min((row["now"] - action.date_updated).total_seconds(), PACE_WINDOW_SECONDS)
        rate = round(row["recently"] / seconds, 1) if seconds > 0 else None
    left = (action.n_leads or 0) - row["leads"]
    eta = round(left / rate, 1) if rate else None
    return Progress(action.n_leads, left + row["objects"], row["leads"], *counts, 0, rate, eta)


def _ended(action: BulkAction) -> Progress:
    columns = (action.n_succeeded, action.n_unchanged, action.n_skipped, action.n_failed, action.n_unknown)
    counts = [n or 0 for n in columns]
    seconds = _seconds_between(action.date_started, action.date_finished)
    rate = round(sum(counts) / seconds, 1) if seconds else None
    # What a cancelled job left undone are leads whose mails were never counted: each stands for one object.
    left = (action.n_objects or 0) - sum(counts)
    n_leads_processed = max(0, (action.n_leads or 0) - left)
    return Progress(action.n_leads, action.n_objects, n_leads_processed, *counts, rate, None)


def _seconds_between(start: datetime | None, end: datetime | None) -> float | None:
    return (end - start).total_seconds() if start and end else None
