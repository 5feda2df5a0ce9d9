"""`/metrics` for Prometheus. Every value comes from the database at the scrape: no process keeps any of its own.

There is nothing secret in it, and organizations appear by id. With `METRICS_TOKEN` only its bearer may read it.
"""

from collections.abc import Iterator, Sequence

import structlog
from django.conf import settings
from django.db import Error, connection, transaction
from django.db.backends.utils import CursorWrapper
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bulk_actions.models import PREFIX, BulkAction, Kind
from bulk_actions.runner import ROLLED_BACK
from bulk_actions.slots import at_work
from bulk_actions.states import ACTIVE, IDLE, WAITING
from bulk_actions.sweeper import RESCUES
from crm.ids import close_id
from crm.models import MailState
from crm.models.mail import SET_ASIDE

log = structlog.get_logger(__name__)

RATE_SECONDS = 60  # what a rate looks back on
_STATES = {"running": sorted(ACTIVE), "waiting": sorted(WAITING), "paused": sorted(IDLE)}
_DEPTHS = (MailState.RESERVED, MailState.SENDING, MailState.UNKNOWN)  # those that an index tells, however many are sent

# A job that is to begin later does not wait before that.
_JOBS = """
SELECT kind, status, count(*), extract(epoch FROM max(now() - greatest(date_created, run_at)))::float8
FROM bulk_actions_bulkaction
WHERE status = ANY(%(states)s) AND (status <> 'created' OR run_at IS NULL OR run_at <= now())
GROUP BY kind, status
"""
_RESUMING = """
SELECT extract(epoch FROM max(now() - date_updated))::float8
FROM bulk_actions_bulkaction WHERE status = 'resuming'
"""
_SINCE_COMMIT = """
SELECT kind, id, organization_id, extract(epoch FROM clock_timestamp() - greatest(date_updated, (
    SELECT max(date_done) FROM bulk_actions_batch WHERE action_id = action.id)))::float8
FROM bulk_actions_bulkaction AS action WHERE id = ANY(%(jobs)s) ORDER BY id
"""
_WAITING_ACCOUNTS = """
SELECT count(*) FILTER (WHERE paused_until > now() AND send_status = 'error'),
       count(*) FILTER (WHERE paused_until > now() AND send_status <> 'error'),
       count(*) FILTER (WHERE waits_until > now() AND (paused_until > now()) IS NOT TRUE)
FROM crm_emailaccount
"""
# Only jobs that may have done something in that time, so that each look-up is a short one.
_RATES = """
SELECT action.kind, sum(batch.n_leads) / %(seconds)s::float8
FROM bulk_actions_bulkaction AS action
JOIN bulk_actions_batch AS batch
  ON batch.action_id = action.id AND batch.date_done > now() - make_interval(secs => %(seconds)s)
WHERE action.status NOT IN ('done', 'error')
   OR action.date_finished > now() - make_interval(secs => %(seconds)s) AND action.date_ledger_purged IS NULL
GROUP BY action.kind
"""
# What is set aside is not due: its job stands still.
_OUTBOX = """
SELECT count(*), coalesce(greatest(0, extract(epoch FROM now() - min({since}))), 0)::float8
FROM crm_outboxmail WHERE state = '{state}' AND ('{state}' <> 'reserved' OR not_before <= '{set_aside}')
"""
_SET_ASIDE = "SELECT count(*) FROM crm_outboxmail WHERE state = 'reserved' AND not_before > '{set_aside}'"
_SINCE = {MailState.RESERVED: "not_before", MailState.SENDING: "claimed_at", MailState.UNKNOWN: "date_created"}


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """The metrics as text; 401 without the token where one is set, 503 when the database does not answer in time."""
    if settings.METRICS_TOKEN and not _has_token(request):
        return _plain("A bearer token is needed.", status=401, headers={"WWW-Authenticate": "Bearer"})
    registry = CollectorRegistry()
    registry.register(_FromDatabase())
    try:
        text = generate_latest(registry)
    except Error as problem:
        log.warning("metrics.database_away", problem=str(problem).strip())
        return _plain("The database does not answer in time.", status=503)
    return HttpResponse(text, content_type=CONTENT_TYPE_PLAIN_0_0_4)


def _has_token(request: HttpRequest) -> bool:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return scheme.lower() == "bearer" and constant_time_compare(token.strip(), settings.METRICS_TOKEN)


def _plain(text: str, **options: object) -> HttpResponse:
    return HttpResponse(f"{text}\n", content_type="text/plain; charset=utf-8", **options)


class _FromDatabase(Collector):
    """All metrics, read in one short transaction that writes nothing."""

    def describe(self) -> Sequence[Metric]:
        return []  # else registering would ask the database

    def collect(self) -> Iterator[Metric]:
        with transaction.atomic(), connection.cursor() as cursor:
            limit = f"{settings.METRICS_STATEMENT_TIMEOUT_SECONDS}s"
            cursor.execute("SET TRANSACTION READ ONLY")
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [limit])
            families = [*_jobs(cursor), *_running(cursor), *_mails(cursor), *_counters(cursor)]
        yield from families


def _jobs(cursor: CursorWrapper) -> Iterator[Metric]:
    cursor.execute(_JOBS, {"states": [status for statuses in _STATES.values() for status in statuses]})
    rows = cursor.fetchall()
    jobs = GaugeMetricFamily("drover_jobs", "Jobs that are running, waiting or paused.", labels=("kind", "state"))
    for kind in Kind.values:
        for state, statuses in _STATES.items():
            jobs.add_metric((kind, state), sum(n for of, status, n, _ in rows if of == kind and status in statuses))
    yield jobs
    cursor.execute(_RESUMING)
    ages = [age for _, status, _, age in rows if status == "created"]
    ages += [age for (age,) in cursor.fetchall() if age is not None]
    yield GaugeMetricFamily(
        "drover_oldest_waiting_job_seconds", "How long the job that waits longest has waited.", max(ages, default=0)
    )
    cursor.execute(_RATES, {"seconds": RATE_SECONDS})
    rates = dict(cursor.fetchall())
    speed = GaugeMetricFamily("drover_leads_per_second", "Leads done in the last minute.", labels=("kind",))
    for kind in Kind.values:
        speed.add_metric((kind,), rates.get(kind, 0))
    yield speed


def _running(cursor: CursorWrapper) -> Iterator[Metric]:
    jobs = list(at_work().values_list("pk", flat=True))
    cursor.execute(_SINCE_COMMIT, {"jobs": jobs})
    still = GaugeMetricFamily(
        "drover_running_job_seconds_since_commit",
        "How long ago a running job last committed something.",
        labels=("job", "kind", "organization"),
    )
    for kind, job, organization, seconds in cursor.fetchall():
        still.add_metric((close_id(PREFIX[Kind(kind)], job), kind, close_id("orga", organization)), max(0, seconds))
    yield still
    sending = BulkAction.objects.filter(status__in=ACTIVE).exclude(pk__in=jobs).count()
    yield GaugeMetricFamily("drover_sending_jobs", "Running jobs that only wait for their mails to leave.", sending)


def _mails(cursor: CursorWrapper) -> Iterator[Metric]:
    depth = GaugeMetricFamily("drover_outbox_mails", "Mails in the outbox, by state.", labels=("state",))
    age = GaugeMetricFamily("drover_outbox_oldest_seconds", "How long the oldest of them is due.", labels=("state",))
    far = SET_ASIDE.isoformat()
    for state in _DEPTHS:
        cursor.execute(_OUTBOX.format(since=_SINCE[state], state=state.value, set_aside=far))
        n, seconds = cursor.fetchone()
        depth.add_metric((state.value,), n)
        age.add_metric((state.value,), seconds)
    cursor.execute(_SET_ASIDE.format(set_aside=far))
    depth.add_metric(("set_aside",), cursor.fetchone()[0])
    yield depth
    yield age
    cursor.execute(_WAITING_ACCOUNTS)
    waiting = GaugeMetricFamily("drover_waiting_accounts", "Accounts that send nothing now.", labels=("reason",))
    for reason, n in zip(("account_error", "account_paused", "limit"), cursor.fetchone(), strict=True):
        waiting.add_metric((reason,), n)
    yield waiting


def _counters(cursor: CursorWrapper) -> Iterator[Metric]:
    cursor.execute("SELECT name, value FROM crm_counter")
    values = dict(cursor.fetchall())
    for name, counter, told in (
        ("drover_batches_rolled_back", ROLLED_BACK, "Batches that were rolled back and tried again."),
        ("drover_sweeper_rescues", RESCUES, "Standing jobs that the sweeper rang for, and endings it completed."),
    ):
        yield CounterMetricFamily(name, told, values.get(counter, 0))
