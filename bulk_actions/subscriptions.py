"""The ledger of jobs over subscriptions: doing what a statement of `crm.sequences.bulk` says, and writing it down."""

import json
from collections.abc import Mapping, Sequence

from django.db import connection, transaction

from bulk_actions import ledger, matches
from bulk_actions.actions.base import GONE, GONE_MESSAGE
from bulk_actions.models import BulkAction, OnChanged
from crm.mail.doorbell import ring
from crm.sequences.bulk import LOCK, MESSAGES, Statement
from crm.sequences.states import Reason, hold_back


def begin(action: BulkAction, batch_ids: Sequence[int]) -> None:
    """Hold the leads of these batches, before anything else is held."""
    with connection.cursor() as cursor:
        # As `ledger.apply`: the planner cannot know how long the arrays are.
        cursor.execute("SET LOCAL enable_bitmapscan = off; SET LOCAL enable_seqscan = off")
    ledger.hold_targets(action, batch_ids)


def work(action: BulkAction, batch_ids: Sequence[int], statement: Statement, parameters: Mapping[str, object]) -> None:
    """Do that to the subscriptions of these leads, which are held, and write down in the same statement what became of
    each."""
    messages = {**MESSAGES, "lead_gone": GONE_MESSAGE, matches.NO_LONGER_MATCHES: matches.MESSAGE}
    values = {**parameters, "batches": list(batch_ids), "action": action.pk, "messages": json.dumps(messages)}
    lost = "false"
    if action.on_changed == OnChanged.SKIP and action.undo_of_id is None:
        lost, more = matches.condition_of(action.pk)
        values |= more
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, values)
        parts = {"lost": lost, "lost_code": matches.NO_LONGER_MATCHES}
        cursor.execute(_WORK.format(**parts, looking=statement.looking, doing=statement.doing), values)
        if statement.stops:
            cursor.execute(_STOPPED, values)
            hold_back([key for (key,) in cursor.fetchall()], Reason.BULK_ACTION)
    if statement.wakes:
        transaction.on_commit(ring, robust=True)


_LOCK = LOCK.replace("%(leads)s", "ARRAY(SELECT unnest(lead_ids) FROM bulk_actions_batch WHERE id = ANY(%(batches)s))")

# In `tally` the changed ones come first: "succeeded" is before "unchanged".
_WORK = f"""
    WITH target AS MATERIALIZED (
        SELECT batch.id AS batch_id, target.lead_id, target.given, target.place::int AS place
        FROM bulk_actions_batch AS batch,
             unnest(batch.lead_ids, batch.given) WITH ORDINALITY AS target(lead_id, given, place)
        WHERE batch.id = ANY(%(batches)s)),
    refused AS MATERIALIZED (
        SELECT target.lead_id, CASE WHEN {GONE} THEN 'lead_gone' ELSE '{{lost_code}}' END AS code
        FROM target LEFT JOIN crm_lead AS lead
             ON lead.id = target.lead_id AND lead.organization_id = %(organization)s
        WHERE {GONE} OR {{lost}}),
    wanted AS MATERIALIZED (
        SELECT lead_id, given FROM target WHERE lead_id NOT IN (SELECT lead_id FROM refused)),
    {{looking}},
    {{doing}},
    placed AS MATERIALIZED (
        SELECT target.batch_id, target.place, told.*
        FROM target JOIN (
            SELECT lead_id, email, subscription_id, outcome, code, before FROM answer
            UNION ALL SELECT lead_id, NULL, NULL, 'skipped', code, NULL FROM refused) AS told USING (lead_id)),
    noted AS (
        INSERT INTO bulk_actions_leadoutcome
            (action_id, batch_id, lead_id, email, subscription_id, outcome, code, message)
        SELECT %(action)s, batch_id, lead_id, email, subscription_id, outcome, code, %(messages)s::jsonb->>code
        FROM placed WHERE outcome = 'skipped'),
    tally AS (
        SELECT batch_id, count(*) AS n, count(*) FILTER (WHERE outcome = 'succeeded') AS n_succeeded,
            count(*) FILTER (WHERE outcome = 'unchanged') AS n_unchanged,
            count(*) FILTER (WHERE outcome = 'skipped') AS n_skipped,
            array_agg(subscription_id ORDER BY outcome, place, subscription_id)
                FILTER (WHERE outcome <> 'skipped') AS ids,
            array_agg(place ORDER BY outcome, place, subscription_id) FILTER (WHERE outcome <> 'skipped') AS places,
            jsonb_agg(before ORDER BY place, subscription_id) FILTER (WHERE before IS NOT NULL) AS before
        FROM placed GROUP BY batch_id)
    UPDATE bulk_actions_batch AS batch
    SET subscription_ids = tally.ids, subscription_places = tally.places, before = tally.before,
        n_objects = coalesce(tally.n, 0), n_succeeded = coalesce(tally.n_succeeded, 0),
        n_unchanged = coalesce(tally.n_unchanged, 0), n_skipped = coalesce(tally.n_skipped, 0),
        date_done = clock_timestamp()
    FROM unnest(%(batches)s) AS mine(id) LEFT JOIN tally ON tally.batch_id = mine.id
    WHERE batch.id = mine.id
"""
_STOPPED = """
    SELECT one.id
    FROM bulk_actions_batch AS batch, unnest(batch.subscription_ids[:batch.n_succeeded]) AS mine(id)
    JOIN crm_sequencesubscription AS one ON one.id = mine.id
    WHERE batch.id = ANY(%(batches)s) AND one.status <> 'active'
"""


def changed_by(source: BulkAction, given: str) -> str:
    """A SELECT of the leads of whose contacts the job has changed subscriptions, each with the list of those for an
    undo. `given`: see `Subscribing.given`."""
    was_given = f"JOIN ({_GIVEN}) AS other USING (batch_id, subscription_id)" if source.undo_of_id else ""
    return f"""
        SELECT min(place) AS place, lead_id,
               jsonb_agg(jsonb_build_object('id', subscription_id) || ({given}) ORDER BY subscription_id) AS given
        FROM ({_CHANGED}) AS changed {was_given} GROUP BY lead_id
    """


_CHANGED = """
    SELECT batch.id AS batch_id, batch.rank + mine.place AS place, batch.lead_ids[mine.place] AS lead_id,
           mine.subscription_id, mine.was
    FROM bulk_actions_batch AS batch
    CROSS JOIN LATERAL ROWS FROM (
        unnest(batch.subscription_ids[:batch.n_succeeded]), unnest(batch.subscription_places[:batch.n_succeeded]),
        jsonb_array_elements(batch.before)) AS mine(subscription_id, place, was)
    WHERE batch.action_id = %(source)s AND batch.n_succeeded > 0
"""
_GIVEN = """
    SELECT batch.id AS batch_id, (item->>'id')::uuid AS subscription_id, item AS given
    FROM bulk_actions_batch AS batch, unnest(batch.given) AS target(list), jsonb_array_elements(target.list) AS item
    WHERE batch.action_id = %(source)s AND batch.n_succeeded > 0
"""
