"""What a job would do, told before it exists. Reads leads; writes at most the frozen targets of the preview itself."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from django.db import connection
from django.db.models import Exists, F, OuterRef, Sum

from bulk_actions import subscription_previews
from bulk_actions.actions import ACTIONS, CHANGING, MAILING, SUBSCRIBING
from bulk_actions.actions.base import GONE, GONE_MESSAGE
from bulk_actions.loading import TOO_MANY_LEADS, exceeds_limit, freeze, targets_of, too_many_leads
from bulk_actions.mail_previews import MailForecast, forecast
from bulk_actions.models import BulkAction, Kind, Preview, Transition
from bulk_actions.services import Order
from bulk_actions.sql import named
from bulk_actions.states import Status
from bulk_actions.subscription_previews import SubscriptionForecast
from crm.auth import Caller
from search.limits import limited_in_time

MAX_SAMPLES = 20
# Leads per second where nothing has been measured: a tenth of what two workers on a small machine do
# (docs/performance.md), so that a first job is sooner done than was said.
DEFAULT_RATE = 10_000.0
_DEFAULT_MAIL_RATE = 100.0  # to a mail server that is neither near nor in a hurry
_DEFAULT_SUBSCRIPTION_RATE = 2_000.0
_JOBS_MEASURED = 20  # the latest ones
_LEADS_MEASURED = 1000  # at least, in one job: a smaller one is mostly its way to the worker and back


@dataclass(frozen=True)
class Sample:
    """A lead that would change: what it holds and what it would hold, as JSON in stored form."""

    lead_id: UUID
    name: str | None
    before: object
    after: object


@dataclass(frozen=True)
class Blocked:
    """Leads that the job would not touch, and why."""

    code: str
    message: str
    n_leads: int


@dataclass(frozen=True)
class Estimate:
    """How long the job would run once it has begun. `basis`: what the rate is: measured, default or ceiling."""

    seconds: float
    leads_per_second: float
    basis: str


@dataclass(frozen=True)
class Forecast:
    """`would_change`, `already_equal` and those of `blocked` add up to `n_leads`.

    Of a job that sends mail, `mails` says what would be sent, of one over subscriptions `subscriptions` what would
    become of them; where there are too many leads, that is empty.
    """

    n_leads: int
    would_change: int
    already_equal: int
    blocked: tuple[Blocked, ...]
    samples: tuple[Sample, ...]
    estimate: Estimate
    sealed: Preview | None
    mails: MailForecast | None = None
    subscriptions: SubscriptionForecast | None = None


def preview(*, order: Order, caller: Caller, seal: bool = False, asked: Mapping[str, str] | None = None) -> Forecast:
    """What a job with this order would do if nothing changed from now on: exact, by the SQL of the change itself.

    With `seal` the leads are frozen for `seals.LIFE`; `asked` tells what a create with them must repeat. Raises
    SearchTooSlow.
    """
    # Before the transaction: a large query takes seconds to compile, and a transaction must not lie idle for long.
    job = _job(order, caller)
    targets, parameters = targets_of(job)
    sealed = None
    with limited_in_time():
        if seal:
            sealed = _seal(order, caller, dict(asked or {}), targets, parameters)
            frozen = _FROZEN, {"preview": sealed.pk}
        else:
            sql, values = named(targets, parameters, "target")
            frozen = f"SELECT lead_id, row_number() OVER () AS place FROM ({sql}) AS found(lead_id)", values
        if order.kind in MAILING:
            return _of_mails(job, order, caller, sealed, *frozen)
        if order.kind in SUBSCRIBING:
            return _of_subscriptions(job, order, caller, sealed, *frozen)
        n_leads, n_gone, n_differing, samples = _judged(job, *frozen)
    return Forecast(
        n_leads=n_leads,
        **_outcomes(job, n_leads, n_gone, n_differing, samples),
        estimate=_estimate(order, caller, n_leads),
        sealed=sealed,
    )


def _of_mails(
    job: BulkAction,
    order: Order,
    caller: Caller,
    sealed: Preview | None,
    targets: str,
    parameters: Mapping[str, object],
) -> Forecast:
    most = ACTIONS[job.kind].max_leads
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH target AS MATERIALIZED ({targets}),
            first AS (SELECT lead_id, place FROM target ORDER BY place LIMIT {most:d})
            SELECT (SELECT count(*) FROM target), (SELECT array_agg(lead_id ORDER BY place) FROM first)
            """,
            parameters,
        )
        n_leads, lead_ids = cursor.fetchone()
    fits = not exceeds_limit(job, n_leads)
    return Forecast(
        n_leads=n_leads,
        **_outcomes(job, n_leads, 0, n_leads, []),
        estimate=_estimate(order, caller, n_leads),
        sealed=sealed,
        mails=forecast(job, lead_ids or []) if fits else None,
    )


def _of_subscriptions(
    job: BulkAction,
    order: Order,
    caller: Caller,
    sealed: Preview | None,
    targets: str,
    parameters: Mapping[str, object],
) -> Forecast:
    n_leads, told = subscription_previews.forecast(job, targets, parameters)
    return Forecast(
        n_leads=n_leads,
        **_outcomes(job, n_leads, 0, n_leads, []),
        estimate=_estimate(order, caller, n_leads),
        sealed=sealed,
        subscriptions=None if exceeds_limit(job, n_leads) else told,
    )


def _job(order: Order, caller: Caller) -> BulkAction:
    """The job that a create would make, not stored."""
    columns = {name: value for name, value in vars(order).items() if name != "preview_id"}
    return BulkAction(organization=caller.organization, created_by=caller.user, **columns)


def _seal(order: Order, caller: Caller, asked: dict[str, str], targets: str, parameters: tuple[object, ...]) -> Preview:
    kept = ("params", "query", "s_query", "resolved_query", "sort", "results_limit")
    sealed = Preview.objects.create(
        organization=caller.organization,
        kind=order.kind,
        created_by=caller.user,
        order={name: getattr(order, name) for name in kept},
        asked=asked,
        n_leads=0,
    )
    sealed.n_leads = freeze(sealed.pk, targets, parameters)
    sealed.save(update_fields=["n_leads"])
    sealed.refresh_from_db()
    return sealed


_FROZEN = """
    SELECT target.lead_id, batch.rank + target.place - 1 AS place
    FROM bulk_actions_batch AS batch, unnest(batch.lead_ids) WITH ORDINALITY AS target(lead_id, place)
    WHERE batch.action_id = %(preview)s
"""


def _judged(job: BulkAction, targets: str, parameters: Mapping[str, object]) -> tuple[int, int, int, list[Sample]]:
    """How many leads there are, how many of them are gone, how many would change; and the first of those."""
    effect = CHANGING[job.kind].effect(job.params)
    # Numbers and samples from one statement, so that they agree.
    statement = f"""
        WITH target AS MATERIALIZED ({targets}),
        judged AS MATERIALIZED (
            SELECT target.lead_id, target.place, ({GONE}) AS gone, ({effect.differs}) AS differs
            FROM target
            LEFT JOIN crm_lead AS lead ON lead.id = target.lead_id AND lead.organization_id = %(organization)s),
        sample AS (
            SELECT judged.place, jsonb_build_array(
                lead.id, lead.name, ({effect.held.format(row="lead")}), ({effect.becomes})) AS shown
            FROM (SELECT * FROM judged WHERE NOT gone AND differs ORDER BY place LIMIT {MAX_SAMPLES}) AS judged
            JOIN crm_lead AS lead ON lead.id = judged.lead_id)
        SELECT count(*), count(*) FILTER (WHERE gone), count(*) FILTER (WHERE NOT gone AND differs),
               (SELECT coalesce(jsonb_agg(shown ORDER BY place), '[]') FROM sample)
        FROM judged
    """
    with connection.cursor() as cursor:
        cursor.execute(statement, {**effect.parameters, **parameters, "organization": job.organization_id})
        *numbers, shown = cursor.fetchone()
    samples = [Sample(UUID(lead_id), name, before, after) for lead_id, name, before, after in json.loads(shown)]
    return numbers[0], numbers[1], numbers[2], samples


def _outcomes(job: BulkAction, n_leads: int, n_gone: int, n_differing: int, samples: list[Sample]) -> dict[str, object]:
    if exceeds_limit(job, n_leads):
        blocked = [Blocked(TOO_MANY_LEADS, too_many_leads(job, n_leads), n_leads)]
        return {"would_change": 0, "already_equal": 0, "blocked": tuple(blocked), "samples": ()}
    # Frozen a moment ago, and deleted since.
    blocked = [Blocked("lead_gone", GONE_MESSAGE, n_gone)] if n_gone else []
    return {
        "would_change": n_differing,
        "already_equal": n_leads - n_gone - n_differing,
        "blocked": tuple(blocked),
        "samples": tuple(samples),
    }


def _estimate(order: Order, caller: Caller, n_leads: int) -> Estimate:
    of_objects = {Kind.EMAIL: _DEFAULT_MAIL_RATE, Kind.SEQUENCE_SUBSCRIPTION: _DEFAULT_SUBSCRIPTION_RATE}
    default = of_objects.get(order.kind, DEFAULT_RATE)
    measured = _measured_rate(caller.organization.pk, order.kind)
    rate, basis = (measured, "measured") if measured else (default, "default")
    if order.leads_per_minute is not None and order.leads_per_minute / 60 < rate:
        rate, basis = order.leads_per_minute / 60, "ceiling"
    return Estimate(round(n_leads / rate, 1), round(rate, 1), basis)


def _measured_rate(organization_id: UUID, kind: Kind) -> float | None:
    """Leads per second of the organization's latest jobs of that kind that ran at full speed and without a pause."""
    paused = Transition.objects.filter(action=OuterRef("pk"), new_status=Status.PAUSED)
    jobs = BulkAction.objects.filter(
        ~Exists(paused), organization=organization_id, kind=kind, status=Status.DONE, leads_per_minute__isnull=True,
        n_leads__gte=_LEADS_MEASURED, date_finished__gt=F("date_started"),
    ).order_by("-pk")[:_JOBS_MEASURED]  # fmt: skip
    sums = jobs.aggregate(leads=Sum("n_leads"), time=Sum(F("date_finished") - F("date_started")))
    return sums["leads"] / sums["time"].total_seconds() if sums["time"] else None
