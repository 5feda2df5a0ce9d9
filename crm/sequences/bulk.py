"""Sequences for leads by the thousand: parts of the statements of bulk jobs. What they do to one contact stands in
`states`.

Each `Statement` is put behind a CTE `wanted (lead_id)`, the leads of `%(organization)s` that are meant (of a restore:
with `given`). The caller holds those leads, the sequences, and in an earlier statement the subscriptions (`LOCK`): what
is judged here is then what is changed, and `before` is what was there, whoever else is at work.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from crm.models import Sequence
from crm.sequences.schedule import next_open
from crm.sequences.states import FOLLOWING_STEP, LET_GO, RESUMED, RUNNING, Reason


@dataclass(frozen=True)
class Statement:
    """CTEs in two parts, so that a preview may look without doing anything.

    `looking` ends in `judged`: a row for each contact that is looked at, and one without a contact for a lead where
    there is nobody: lead_id, contact_id, email, subscription_id (null: none yet), held (jsonb, null: nothing yet), code
    (why it is skipped, or null) and differs (whether it would change). `doing` reads that and ends in `answer`:
    lead_id, contact_id, email, subscription_id, outcome (succeeded, unchanged, skipped), code, before (`held` of what
    was changed). `becomes`: jsonb of what it writes, by the keys of `held`. With `stops`, the caller then holds back
    the mail of what was stopped (`states.hold_back`); with `wakes`, it rings `crm.mail.doorbell` after the commit.
    """

    looking: str
    doing: str
    becomes: str = "NULL::jsonb"
    stops: bool = False
    wakes: bool = False


NO_ADDRESS = "no_address"
ALREADY_SUBSCRIBED = "already_subscribed"
SEQUENCE_NOT_ACTIVE = "sequence_not_active"
NOT_SUBSCRIBED = "not_subscribed"
WRONG_STATUS = "wrong_status"
NOTHING_TO_COME = "nothing_to_come"
SUBSCRIPTION_GONE = "subscription_gone"
CHANGED_SINCE = "changed_since"
VALUE_GONE = "value_gone"
MESSAGES: Mapping[str, str] = {
    NO_ADDRESS: "The lead has no contact with an e-mail address.",
    ALREADY_SUBSCRIBED: "The contact is in this sequence, or was once.",
    SEQUENCE_NOT_ACTIVE: "The sequence is not active.",
    NOT_SUBSCRIBED: "The lead has no such subscription.",
    WRONG_STATUS: "The status of the subscription is another one.",
    NOTHING_TO_COME: "The sequence has no further step for it.",
    SUBSCRIPTION_GONE: "The subscription was deleted, or its contact has another lead now.",
    CHANGED_SINCE: "The subscription is no longer as the job had left it.",
    VALUE_GONE: "The account that sent before has been deleted.",
}

# %(leads)s, %(sequence)s (null: of every sequence). In key order, so that two jobs wait for each other.
LOCK = """
    SELECT FROM crm_sequencesubscription
    WHERE lead_id = ANY(%(leads)s) AND organization_id = %(organization)s
      AND (%(sequence)s::uuid IS NULL OR sequence_id = %(sequence)s)
    ORDER BY id FOR NO KEY UPDATE
"""

# By an array, for the index: with statistics from before, a join compared each subscription with each lead (5,000 leads
# took 4.5 s of 4.9 s). Whoever looks at a number of leads that the planner knows has `JOINED` instead.
WANTED = "= ANY(ARRAY(SELECT lead_id FROM wanted))"
JOINED = "IN (SELECT lead_id FROM wanted)"

_HELD = """jsonb_build_object(
    'status', one.status, 'status_reason', one.status_reason, 'next_step_id', one.next_step_id, 'next_at', one.next_at,
    'waiting_task_id', one.waiting_task_id, 'sender_account_id', one.sender_account_id,
    'sender_name', one.sender_name, 'sender_email', one.sender_email, 'calls_assigned_to', one.calls_assigned_to)"""
_ACTIVE = "jsonb_build_object('status', 'active', 'status_reason', NULL)"
_PAUSED = f"jsonb_build_object('status', 'paused', 'status_reason', '{Reason.BULK_ACTION}')"
# What becomes of a new subscription when it is taken back. It stays: nobody gets the first mail of a sequence twice.
SUBSCRIPTION_TAKEN_BACK = _PAUSED
_THESE = "id IN (SELECT subscription_id FROM judged WHERE code IS NULL AND differs)"
_STAMPED = "updated_by_id = %(by)s, date_updated = statement_timestamp()"


def _answer(match: str, lost: str, changed: str = "changed") -> str:
    """`match`: how `changed` (id, ...) belongs to `judged`; `lost`: SQL of the code of what differed and was left."""
    return f"""
    answer AS MATERIALIZED (
        SELECT judged.lead_id, judged.contact_id, judged.email,
            coalesce(judged.subscription_id, {changed}.id) AS subscription_id,
            CASE WHEN {changed}.id IS NOT NULL THEN 'succeeded' WHEN judged.code IS NULL AND NOT judged.differs
                 THEN 'unchanged' ELSE 'skipped' END AS outcome,
            CASE WHEN {changed}.id IS NULL AND (judged.differs OR judged.code IS NOT NULL)
                 THEN coalesce(judged.code, {lost}) END AS code,
            CASE WHEN {changed}.id IS NOT NULL THEN judged.held END AS before
        FROM judged LEFT JOIN {changed} ON {match})
    """


_ANSWER = _answer("changed.id = judged.subscription_id", f"'{WRONG_STATUS}'")


def _looking(code: str, differs: str, following: str = "NULL::uuid") -> str:
    """At the subscriptions of these leads, `one` each; %(sequence)s null means those of every sequence."""
    return f"""
    meant AS MATERIALIZED (
        SELECT one.*, {RUNNING} AS is_running, {following} AS following_id
        FROM crm_sequencesubscription AS one
        WHERE one.lead_id {WANTED} AND one.organization_id = %(organization)s
          AND (%(sequence)s::uuid IS NULL OR one.sequence_id = %(sequence)s)),
    judged AS MATERIALIZED (
        SELECT one.lead_id, one.contact_id, one.contact_email AS email, one.id AS subscription_id, {_HELD} AS held,
            ({code}) AS code, ({differs}) AS differs, one.following_id
        FROM meant AS one
        UNION ALL
        SELECT lead_id, NULL, NULL, NULL, NULL, '{NOT_SUBSCRIBED}', false, NULL
        FROM wanted WHERE lead_id NOT IN (SELECT lead_id FROM meant))
    """


# By `contact_preference`, what there is one of: the first address of the lead's first contact that has one, or the
# first address of each contact.
_ONE_FOR_EACH = {"lead": "contact.lead_id", "contact": "contact.lead_id, contact.position, contact.id"}

# %(sequence)s, %(next_step)s, %(next_at)s (see `first_step`), %(account)s, %(sender_name)s, %(sender_email)s,
# %(calls_assigned_to)s (uuid[] or null), %(by)s, %(job)s. By `contact_preference`.
SUBSCRIBE = {
    preference: Statement(
        looking=f"""
    chosen AS MATERIALIZED (
        SELECT DISTINCT ON ({columns}) contact.lead_id, contact.id AS contact_id, email.email
        FROM crm_contact AS contact JOIN crm_contactemail AS email ON email.contact_id = contact.id
        WHERE contact.lead_id {WANTED} AND contact.organization_id = %(organization)s
        ORDER BY contact.lead_id, contact.position, contact.id, email.position, email.id),
    judged AS MATERIALIZED (
        SELECT chosen.lead_id, chosen.contact_id, chosen.email, NULL::uuid AS subscription_id, NULL::jsonb AS held,
            CASE WHEN had.id IS NOT NULL THEN '{ALREADY_SUBSCRIBED}' END AS code, true AS differs
        FROM chosen LEFT JOIN crm_sequencesubscription AS had
             ON had.sequence_id = %(sequence)s AND had.contact_id = chosen.contact_id
        UNION ALL
        SELECT lead_id, NULL, NULL, NULL, NULL, '{NO_ADDRESS}', false
        FROM wanted WHERE lead_id NOT IN (SELECT lead_id FROM chosen))
        """,
        doing=f"""
    changed AS (
        INSERT INTO crm_sequencesubscription (
            organization_id, sequence_id, contact_id, lead_id, contact_email, sender_account_id, sender_name,
            sender_email, calls_assigned_to, status, start_date, next_step_id, next_at, steps_done, thread_message_ids,
            thread_subject, bulk_action_id, created_by_id, updated_by_id)
        SELECT %(organization)s, %(sequence)s, contact_id, lead_id, email, %(account)s, %(sender_name)s,
            %(sender_email)s, %(calls_assigned_to)s::uuid[], 'active', statement_timestamp(), %(next_step)s,
            %(next_at)s, 0, '{{}}', '', %(job)s, %(by)s, %(by)s
        FROM judged WHERE code IS NULL
        ORDER BY contact_id
        ON CONFLICT (sequence_id, contact_id) DO NOTHING
        RETURNING id, contact_id),
    {_answer("changed.contact_id = judged.contact_id", f"'{ALREADY_SUBSCRIBED}'")}
        """,
        becomes=_ACTIVE,
    )
    for preference, columns in _ONE_FOR_EACH.items()
}

# %(sequence)s (or null), %(by)s.
PAUSE = Statement(
    looking=_looking(
        code=f"CASE WHEN one.status NOT IN ('active', 'paused') THEN '{WRONG_STATUS}' END",
        differs="one.status = 'active'",
    ),
    doing=f"""
    changed AS (
        UPDATE crm_sequencesubscription
        SET status = 'paused', status_reason = '{Reason.BULK_ACTION}', {_STAMPED}
        WHERE {_THESE} RETURNING id),
    {_ANSWER}
    """,
    becomes=_PAUSED,
    stops=True,
)

# %(sequence)s (or null), %(by)s. Paused ones go on where they were.
RESUME = Statement(
    looking=_looking(
        code=f"""
            CASE WHEN one.status = 'active' THEN NULL WHEN one.status <> 'paused' THEN '{WRONG_STATUS}'
                 WHEN NOT one.is_running THEN '{SEQUENCE_NOT_ACTIVE}'
                 WHEN one.next_step_id IS NULL THEN '{NOTHING_TO_COME}' END""",
        differs="one.status = 'paused'",
    ),
    doing=f"""
    changed AS (
        UPDATE crm_sequencesubscription SET {RESUMED}, updated_by_id = %(by)s WHERE {_THESE} RETURNING id),
    {LET_GO},
    {_ANSWER}
    """,
    becomes=_ACTIVE,
    wakes=True,
)

# %(sequence)s (or null), %(by)s. Finished ones go on with the steps that were added since.
RESUME_FINISHED = Statement(
    looking=_looking(
        code=f"""
            CASE WHEN one.status = 'active' THEN NULL WHEN one.status <> 'finished' THEN '{WRONG_STATUS}'
                 WHEN NOT one.is_running THEN '{SEQUENCE_NOT_ACTIVE}'
                 WHEN one.following_id IS NULL THEN '{NOTHING_TO_COME}' END""",
        differs="one.status = 'finished'",
        following=f"""
            CASE WHEN one.status = 'finished' THEN
                (SELECT step.id FROM ({FOLLOWING_STEP.replace("subscription.", "one.")}) AS step) END""",
    ),
    doing=f"""
    changed AS (
        UPDATE crm_sequencesubscription AS one
        SET status = 'active', status_reason = NULL, next_step_id = step.id,
            next_at = statement_timestamp() + step.delay * interval '1 second', {_STAMPED}
        FROM judged JOIN crm_sequencestep AS step ON step.id = judged.following_id
        WHERE one.id = judged.subscription_id AND judged.code IS NULL AND judged.differs
        RETURNING one.id),
    {LET_GO},
    {_ANSWER}
    """,
    becomes=_ACTIVE,
    wakes=True,
)

# %(sequence)s, %(account)s, %(sender_name)s, %(sender_email)s, %(calls_assigned_to)s: null leaves as it is. %(by)s.
# Another sender, or other callers, for those that are not over. Mail in the outbox keeps the sender that it has.
REASSIGN = Statement(
    looking=_looking(
        code=f"CASE WHEN one.status NOT IN ('active', 'paused') THEN '{WRONG_STATUS}' END",
        differs="""
            (one.sender_account_id, one.sender_name, one.sender_email, one.calls_assigned_to) IS DISTINCT FROM (
                coalesce(%(account)s::uuid, one.sender_account_id), coalesce(%(sender_name)s::text, one.sender_name),
                coalesce(%(sender_email)s::text, one.sender_email),
                coalesce(%(calls_assigned_to)s::uuid[], one.calls_assigned_to))""",
    ),
    doing=f"""
    changed AS (
        UPDATE crm_sequencesubscription AS one
        SET sender_account_id = coalesce(%(account)s::uuid, one.sender_account_id),
            sender_name = coalesce(%(sender_name)s::text, one.sender_name),
            sender_email = coalesce(%(sender_email)s::text, one.sender_email),
            calls_assigned_to = coalesce(%(calls_assigned_to)s::uuid[], one.calls_assigned_to), {_STAMPED}
        WHERE {_THESE} RETURNING id),
    {_ANSWER}
    """,
    becomes="""
        jsonb_strip_nulls(jsonb_build_object(
            'sender_account_id', %(account)s::uuid, 'sender_name', %(sender_name)s::text,
            'sender_email', %(sender_email)s::text, 'calls_assigned_to', to_jsonb(%(calls_assigned_to)s::uuid[])))""",
)


# --- taking back ------------------------------------------------------------------------------------------------------
def _restoring(differs: str, code: str, columns: str) -> tuple[str, str]:
    """At the subscriptions of `wanted.given`: a list of `{"id", "from", "to"}` for each lead. `from` is as the job left
    it, `to` what it held before; both by the keys of `held`."""
    looking = f"""
    asked AS MATERIALIZED (
        SELECT wanted.lead_id, (item->>'id')::uuid AS asked_id, item->'from' AS was, item->'to' AS goal
        FROM wanted, jsonb_array_elements(wanted.given) AS item),
    seen AS MATERIALIZED (
        SELECT one.*, {RUNNING} AS is_running, asked.lead_id AS asked_lead_id, asked_id, was, goal, {_HELD} AS held,
            coalesce(one.next_step_id, (
                SELECT step.id FROM crm_sequencestep AS step
                WHERE step.id = (goal->>'next_step_id')::uuid AND step.sequence_id = one.sequence_id)) AS step_id
        FROM asked LEFT JOIN crm_sequencesubscription AS one
             ON one.id = asked_id AND one.lead_id = asked.lead_id AND one.organization_id = %(organization)s),
    judged AS MATERIALIZED (
        SELECT asked_lead_id AS lead_id, contact_id, contact_email AS email, asked_id AS subscription_id, held, goal,
            step_id, CASE WHEN one.id IS NULL THEN '{SUBSCRIPTION_GONE}' WHEN {differs} THEN {code} END AS code,
            one.id IS NOT NULL AND ({differs}) AS differs
        FROM seen AS one)
    """
    doing = f"""
    restored AS (
        UPDATE crm_sequencesubscription AS one SET {columns}, {_STAMPED}
        FROM judged WHERE one.id = judged.subscription_id AND judged.code IS NULL AND judged.differs
        RETURNING one.id, one.status),
    changed AS (SELECT id FROM restored WHERE status = 'active'),
    {LET_GO},
    {_answer("restored.id = judged.subscription_id", f"'{CHANGED_SINCE}'", "restored")}
    """
    return looking, doing


_STATUS_IS = "(one.status = {0}->>'status' AND one.status_reason IS NOT DISTINCT FROM {0}->>'status_reason')"

# %(force)s, %(by)s. Also with `force` nothing that has ended for its contact is begun anew.
_LOOKING, _DOING = _restoring(
    differs=f"NOT {_STATUS_IS.format('goal')}",
    code=f"""
        CASE WHEN NOT {_STATUS_IS.format("was")} AND (NOT %(force)s OR one.status NOT IN ('active', 'paused'))
             THEN '{CHANGED_SINCE}'
             WHEN goal->>'status' = 'active' AND NOT one.is_running THEN '{SEQUENCE_NOT_ACTIVE}'
             WHEN goal->>'status' = 'active' AND one.step_id IS NULL THEN '{NOTHING_TO_COME}' END""",
    columns="""
        status = goal->>'status', status_reason = goal->>'status_reason',
        next_step_id = CASE WHEN goal->>'status' <> 'finished' THEN judged.step_id END,
        next_at = CASE goal->>'status' WHEN 'paused' THEN one.next_at WHEN 'active'
                       THEN coalesce(one.next_at, (goal->>'next_at')::timestamptz, statement_timestamp()) END,
        waiting_task_id = CASE WHEN goal->>'status' = 'finished' THEN NULL
                               WHEN one.waiting_task_id IS NULL AND judged.step_id = (goal->>'next_step_id')::uuid
                               THEN (goal->>'waiting_task_id')::uuid ELSE one.waiting_task_id END""",
)
RESTORE_STATUS = Statement(_LOOKING, _DOING, stops=True, wakes=True)

_SENDER_OF = "({0}->'sender_account_id', {0}->'sender_name', {0}->'sender_email', {0}->'calls_assigned_to')"

# %(force)s, %(by)s.
_LOOKING, _DOING = _restoring(
    differs=f"{_SENDER_OF.format('held')} <> {_SENDER_OF.format('goal')}",
    code=f"""
        CASE WHEN NOT %(force)s AND {_SENDER_OF.format("held")} <> {_SENDER_OF.format("was")} THEN '{CHANGED_SINCE}'
             WHEN NOT EXISTS (
                 SELECT FROM crm_emailaccount AS account
                 WHERE account.id = (goal->>'sender_account_id')::uuid AND account.organization_id = %(organization)s)
             THEN '{VALUE_GONE}' END""",
    columns="""
        sender_account_id = (goal->>'sender_account_id')::uuid, sender_name = goal->>'sender_name',
        sender_email = goal->>'sender_email',
        calls_assigned_to = CASE jsonb_typeof(goal->'calls_assigned_to') WHEN 'array' THEN
            ARRAY(SELECT jsonb_array_elements_text(goal->'calls_assigned_to')::uuid) END""",
)
RESTORE_SENDER = Statement(_LOOKING, _DOING)


def first_step(sequence: Sequence, now: datetime | None = None) -> dict[str, object]:
    """`next_step` and `next_at` of a contact that is subscribed now. `LookupError` for a sequence without steps."""
    step = sequence.steps.first()
    if step is None:
        raise LookupError(f"The sequence {sequence.pk} has no steps.")
    due = (now or timezone.now()) + timedelta(seconds=step.delay)
    return {"next_step": step.pk, "next_at": next_open(sequence.schedule, sequence.timezone, due)}
