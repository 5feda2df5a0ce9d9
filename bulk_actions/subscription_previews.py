"""What a job over subscriptions would do, by the SQL of the job itself."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from django.db import connection

from bulk_actions.actions import SUBSCRIBING
from bulk_actions.actions.base import GONE, GONE_MESSAGE
from bulk_actions.models import BulkAction
from crm.sequences.bulk import JOINED, MESSAGES, WANTED

MAX_SAMPLES = 20


@dataclass(frozen=True)
class SubscriptionSample:
    """A contact whose subscription would change: what of it is as what now, and then; `before` None: it has none."""

    lead_id: UUID
    contact_id: UUID
    email: str
    before: dict[str, object] | None
    after: dict[str, object]


@dataclass(frozen=True)
class SubscriptionForecast:
    """`would_change`, `already_equal` and those of `blocked` (code, message, number) add up to `n_objects`."""

    n_objects: int
    would_change: int
    already_equal: int
    blocked: tuple[tuple[str, str, int], ...]
    samples: tuple[SubscriptionSample, ...]


def forecast(job: BulkAction, targets: str, parameters: Mapping[str, object]) -> tuple[int, SubscriptionForecast]:
    """The number of leads, and what a job over these `targets` (lead_id, place) would do if nothing changed."""
    statement, own = SUBSCRIBING[job.kind].look(job.params)
    looking = statement.looking.replace(WANTED, JOINED)
    with connection.cursor() as cursor:
        cursor.execute(
            _FORECAST.format(targets=targets, looking=looking, becomes=statement.becomes),
            {**parameters, **own, "organization": job.organization_id},
        )
        n_leads, n_gone, would_change, already_equal, codes, shown = cursor.fetchone()
    blocked = json.loads(codes) | ({"lead_gone": n_gone} if n_gone else {})
    told = {**MESSAGES, "lead_gone": GONE_MESSAGE}
    return n_leads, SubscriptionForecast(
        n_objects=would_change + already_equal + sum(blocked.values()),
        would_change=would_change,
        already_equal=already_equal,
        blocked=tuple((code, told[code], number) for code, number in sorted(blocked.items())),
        samples=tuple(_sample(*one) for one in json.loads(shown)),
    )


def _sample(
    lead_id: str, contact_id: str, email: str, held: dict[str, object] | None, after: dict[str, object]
) -> SubscriptionSample:
    before = None if held is None else {key: held[key] for key in after}
    return SubscriptionSample(UUID(lead_id), UUID(contact_id), email, before, after)


_FORECAST = f"""
    WITH target AS MATERIALIZED ({{targets}}),
    gone AS MATERIALIZED (
        SELECT target.lead_id
        FROM target LEFT JOIN crm_lead AS lead
             ON lead.id = target.lead_id AND lead.organization_id = %(organization)s
        WHERE {GONE}),
    wanted AS MATERIALIZED (SELECT lead_id FROM target WHERE lead_id NOT IN (SELECT lead_id FROM gone)),
    {{looking}},
    sample AS (
        SELECT target.place, judged.email, jsonb_build_array(
            judged.lead_id, judged.contact_id, judged.email, judged.held, {{becomes}}) AS shown
        FROM judged JOIN target USING (lead_id) WHERE judged.code IS NULL AND judged.differs
        ORDER BY target.place, judged.email, judged.subscription_id LIMIT {MAX_SAMPLES}),
    codes AS (SELECT code, count(*) AS n FROM judged WHERE code IS NOT NULL GROUP BY code)
    SELECT (SELECT count(*) FROM target), (SELECT count(*) FROM gone),
           count(*) FILTER (WHERE code IS NULL AND differs), count(*) FILTER (WHERE code IS NULL AND NOT differs),
           (SELECT coalesce(jsonb_object_agg(code, n), '{{{{}}}}') FROM codes),
           (SELECT coalesce(jsonb_agg(shown ORDER BY place, email), '[]') FROM sample)
    FROM judged
"""
