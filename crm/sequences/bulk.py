"""Sequences for leads by the thousand: statements for bulk jobs. What they do to one contact stands in `states`.

Each statement takes `%(leads)s`, the ids of leads of `%(organization)s` (uuid[]), and gives a row for each contact that
it looked at, and one without a contact for each lead where there was nobody:

    lead_id, contact_id, email, subscription_id, outcome, code, before

`outcome`: succeeded, unchanged, skipped; `code` says why not (`Code`). `before` (jsonb) is what an undo puts back; null
for a new subscription, which an undo deletes. Further parameters stand beside each. The caller holds the leads, and
runs the statement in the transaction that writes its ledger.

`before` is read from the rows as they are locked, so two jobs at once each tell what they changed themselves.
"""

from datetime import datetime, timedelta

from django.utils import timezone

from crm.models import Sequence
from crm.sequences.schedule import next_open
from crm.sequences.states import FOLLOWING_STEP, LET_GO, RESUMED, RUNNING, Reason

# lead_id, contact_id, email: the first address of the lead's first contact that has one; `email` null: nobody has.
CHOICES_OF_LEADS = """
    SELECT lead.id AS lead_id, found.contact_id, found.email
    FROM unnest(%(leads)s::uuid[]) AS lead (id) LEFT JOIN LATERAL (
        SELECT contact.id AS contact_id, email.email
        FROM crm_contact AS contact JOIN crm_contactemail AS email ON email.contact_id = contact.id
        WHERE contact.lead_id = lead.id
        ORDER BY contact.position, contact.id, email.position, email.id LIMIT 1) AS found ON true
"""
# The same of each contact; a lead without contacts has one row of nobody.
CHOICES_OF_CONTACTS = """
    SELECT lead.id AS lead_id, contact.id AS contact_id, found.email
    FROM unnest(%(leads)s::uuid[]) AS lead (id) LEFT JOIN crm_contact AS contact ON contact.lead_id = lead.id
    LEFT JOIN LATERAL (
        SELECT email.email FROM crm_contactemail AS email WHERE email.contact_id = contact.id
        ORDER BY email.position, email.id LIMIT 1) AS found ON true
"""
CHOICES = {"lead": CHOICES_OF_LEADS, "contact": CHOICES_OF_CONTACTS}  # by `contact_preference`

NO_ADDRESS = "no_address"
ALREADY_SUBSCRIBED = "already_subscribed"  # now, or once
SEQUENCE_NOT_ACTIVE = "sequence_not_active"
NOT_SUBSCRIBED = "not_subscribed"  # the lead has no subscription that was meant
WRONG_STATUS = "wrong_status"  # such as one to pause that is finished
NOTHING_TO_COME = "nothing_to_come"  # finished, and no step was added since

_BEFORE = """jsonb_build_object(
    'status', {0}.status, 'status_reason', {0}.status_reason, 'next_step_id', {0}.next_step_id, 'next_at', {0}.next_at,
    'waiting_task_id', {0}.waiting_task_id, 'sender_account_id', {0}.sender_account_id,
    'sender_name', {0}.sender_name, 'sender_email', {0}.sender_email, 'calls_assigned_to', {0}.calls_assigned_to)"""

# The subscriptions that are meant, locked: `%(sequence)s` null means those of every sequence.
_MEANT = f"""
    meant AS MATERIALIZED (
        SELECT subscription.*, {RUNNING.replace("= sequence_id", "= subscription.sequence_id")} AS is_running
        FROM crm_sequencesubscription AS subscription
        WHERE lead_id = ANY(%(leads)s) AND organization_id = %(organization)s
          AND (%(sequence)s::uuid IS NULL OR sequence_id = %(sequence)s)
        ORDER BY id FOR NO KEY UPDATE OF subscription)
"""
_NOBODY = f"""
    UNION ALL
    SELECT lead.id, NULL, NULL, NULL, 'skipped', '{NOT_SUBSCRIBED}', NULL
    FROM unnest(%(leads)s::uuid[]) AS lead (id) WHERE lead.id NOT IN (SELECT lead_id FROM meant)
"""


def _answer(skipped: str) -> str:
    """What a statement with `meant` and `changed` gives. `skipped`: SQL of the code of one that was not changed, or
    null for one that is as it should be."""
    return f"""
        SELECT meant.lead_id, meant.contact_id, meant.contact_email, meant.id,
            CASE WHEN changed.id IS NOT NULL THEN 'succeeded' WHEN ({skipped}) IS NULL THEN 'unchanged'
                 ELSE 'skipped' END,
            CASE WHEN changed.id IS NULL THEN {skipped} END,
            CASE WHEN changed.id IS NOT NULL THEN {_BEFORE.format("meant")} END
        FROM meant LEFT JOIN changed USING (id)
        {_NOBODY}
    """


# %(sequence)s (needed), %(next_step)s, %(next_at)s (see `first_step`), %(account)s, %(sender_name)s, %(sender_email)s,
# %(calls_assigned_to)s (uuid[] or null), %(by)s, %(job)s. By `contact_preference`.
SUBSCRIBE = {
    preference: f"""
    WITH choices AS MATERIALIZED ({choices}),
    made AS (
        INSERT INTO crm_sequencesubscription (
            organization_id, sequence_id, contact_id, lead_id, contact_email, sender_account_id, sender_name,
            sender_email, calls_assigned_to, status, start_date, next_step_id, next_at, steps_done, thread_message_ids,
            thread_subject, bulk_action_id, created_by_id, updated_by_id)
        SELECT %(organization)s, %(sequence)s, contact_id, lead_id, email, %(account)s, %(sender_name)s,
            %(sender_email)s, %(calls_assigned_to)s::uuid[], 'active', statement_timestamp(), %(next_step)s,
            %(next_at)s, 0, '{{}}', '', %(job)s, %(by)s, %(by)s
        FROM choices JOIN crm_sequence AS sequence
             ON sequence.id = %(sequence)s AND sequence.status = 'active' AND sequence.deleted_at IS NULL
        WHERE email IS NOT NULL
        ORDER BY contact_id
        ON CONFLICT (sequence_id, contact_id) DO NOTHING
        RETURNING id, contact_id)
    SELECT choices.lead_id, choices.contact_id, choices.email, made.id,
        CASE WHEN made.id IS NULL THEN 'skipped' ELSE 'succeeded' END,
        CASE WHEN made.id IS NOT NULL THEN NULL WHEN choices.email IS NULL THEN '{NO_ADDRESS}'
             WHEN NOT EXISTS (SELECT FROM crm_sequence WHERE id = %(sequence)s AND status = 'active'
                              AND deleted_at IS NULL) THEN '{SEQUENCE_NOT_ACTIVE}'
             ELSE '{ALREADY_SUBSCRIBED}' END,
        NULL::jsonb
    FROM choices LEFT JOIN made USING (contact_id)
    """
    for preference, choices in CHOICES.items()
}

# %(sequence)s (or null), %(by)s. Then, in the same transaction: `states.hold_back` with those that succeeded.
PAUSE = f"""
    WITH {_MEANT},
    changed AS (
        UPDATE crm_sequencesubscription AS subscription
        SET status = 'paused', status_reason = '{Reason.BULK_ACTION}', updated_by_id = %(by)s,
            date_updated = statement_timestamp()
        FROM meant WHERE subscription.id = meant.id AND meant.status = 'active'
        RETURNING subscription.id)
    {_answer(f"CASE WHEN meant.status <> 'paused' THEN '{WRONG_STATUS}' END")}
"""

# %(sequence)s (or null), %(by)s. Paused ones go on where they were. After the commit: `crm.mail.doorbell.ring`.
RESUME = f"""
    WITH {_MEANT},
    changed AS (
        UPDATE crm_sequencesubscription AS subscription SET {RESUMED}, updated_by_id = %(by)s
        WHERE id IN (SELECT id FROM meant WHERE status = 'paused' AND next_step_id IS NOT NULL AND is_running)
        RETURNING id),
    {LET_GO}
    {
    _answer(
        "CASE meant.status WHEN 'active' THEN NULL "
        f"WHEN 'paused' THEN '{SEQUENCE_NOT_ACTIVE}' ELSE '{WRONG_STATUS}' END"
    )
}
"""

# %(sequence)s (or null), %(by)s. Finished ones go on with the steps that were added since.
RESUME_FINISHED = f"""
    WITH {_MEANT},
    following AS (
        SELECT subscription.id, step.id AS step_id, step.delay
        FROM meant AS subscription CROSS JOIN LATERAL ({FOLLOWING_STEP}) AS step
        WHERE subscription.status = 'finished' AND subscription.is_running),
    changed AS (
        UPDATE crm_sequencesubscription AS subscription
        SET status = 'active', status_reason = NULL, next_step_id = following.step_id, updated_by_id = %(by)s,
            next_at = statement_timestamp() + following.delay * interval '1 second',
            date_updated = statement_timestamp()
        FROM following WHERE subscription.id = following.id
        RETURNING subscription.id),
    {LET_GO}
    {
    _answer(
        "CASE WHEN meant.status = 'active' THEN NULL "
        f"WHEN meant.status <> 'finished' THEN '{WRONG_STATUS}' "
        f"WHEN NOT meant.is_running THEN '{SEQUENCE_NOT_ACTIVE}' ELSE '{NOTHING_TO_COME}' END"
    )
}
"""

# %(sequence)s, %(account)s, %(sender_name)s, %(sender_email)s, %(calls_assigned_to)s: null leaves as it is. %(by)s.
# Another sender, or other callers, for those that are not over. Mail in the outbox keeps the sender that it has.
REASSIGN = f"""
    WITH {_MEANT},
    changed AS (
        UPDATE crm_sequencesubscription AS subscription
        SET sender_account_id = coalesce(%(account)s::uuid, subscription.sender_account_id),
            sender_name = coalesce(%(sender_name)s::text, subscription.sender_name),
            sender_email = coalesce(%(sender_email)s::text, subscription.sender_email),
            calls_assigned_to = coalesce(%(calls_assigned_to)s::uuid[], subscription.calls_assigned_to),
            updated_by_id = %(by)s, date_updated = statement_timestamp()
        FROM meant WHERE subscription.id = meant.id AND meant.status IN ('active', 'paused')
          AND (meant.sender_account_id, meant.sender_name, meant.sender_email, meant.calls_assigned_to)
              IS DISTINCT FROM (
                  coalesce(%(account)s::uuid, meant.sender_account_id),
                  coalesce(%(sender_name)s::text, meant.sender_name),
                  coalesce(%(sender_email)s::text, meant.sender_email),
                  coalesce(%(calls_assigned_to)s::uuid[], meant.calls_assigned_to))
        RETURNING subscription.id)
    {_answer(f"CASE WHEN meant.status NOT IN ('active', 'paused') THEN '{WRONG_STATUS}' END")}
"""


def first_step(sequence: Sequence, now: datetime | None = None) -> dict[str, object]:
    """`next_step` and `next_at` of a contact that is subscribed now. `LookupError` for a sequence without steps."""
    step = sequence.steps.first()
    if step is None:
        raise LookupError(f"The sequence {sequence.pk} has no steps.")
    due = (now or timezone.now()) + timedelta(seconds=step.delay)
    return {"next_step": step.pk, "next_at": next_open(sequence.schedule, sequence.timezone, due)}
