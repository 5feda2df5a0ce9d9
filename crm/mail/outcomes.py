"""What became of mails, written down: in the outbox and on the email activities that show them, in one statement."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import connection

from crm.mail import answers, suppression
from crm.models import MailState, OutboxMail, Suppression


@dataclass(frozen=True)
class Outcome:
    """What became of a mail in one chunk.

    `wait_seconds`: how much later one that is reserved again may be taken. `address_is_dead`: nobody will ever read
    mail there. `may_pass`: given up, but for something that another mail may not meet.
    """

    state: MailState
    code: str | None = None
    text: str | None = None
    wait_seconds: float | None = None
    tried: bool = True
    address_is_dead: bool = False
    may_pass: bool = False


# What follows `mails`: the activity of a mail is in its outbox until its mail has left, or will not. One that may have
# left is an error too: a person has to look at it. Every try is kept. A single mail has a row for each recipient, some
# of them in this statement: what went wrong with one stays to be seen when the others leave.
SHOW_ON_ACTIVITIES = """
    UPDATE crm_activity AS activity
    SET status = CASE WHEN done.failed THEN 'error'
                      WHEN done.sent AND activity.status IS DISTINCT FROM 'error' THEN 'sent'
                      ELSE activity.status END,
        date_sent = coalesce(done.date_sent, activity.date_sent),
        activity_at = coalesce(done.date_sent, activity.activity_at),
        date_updated = clock_timestamp(),
        details = activity.details || jsonb_build_object(
            'send_attempts', coalesce(activity.details -> 'send_attempts', '[]') || done.attempts)
    FROM (
        SELECT activity_id, bool_or(state = 'sent') AS sent, bool_or(state NOT IN ('sent', 'reserved')) AS failed,
            max(date_sent) FILTER (WHERE state = 'sent') AS date_sent,
            jsonb_agg(jsonb_build_object(
                'date', to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'),
                'status', state, 'error_code', error_code, 'error_message', error_message)) AS attempts
        FROM mails WHERE tried OR state <> 'reserved' GROUP BY activity_id) AS done
    WHERE activity.id = done.activity_id
"""

_RECORD = f"""
WITH mails AS (
    UPDATE crm_outboxmail AS mail
    SET state = done.state,
        error_code = coalesce(done.code, CASE WHEN done.state = 'reserved' THEN mail.error_code END),
        error_message = coalesce(done.text, CASE WHEN done.state = 'reserved' THEN mail.error_message END),
        attempts = mail.attempts + done.tried::int,
        not_before = coalesce(clock_timestamp() + done.wait * interval '1 second', mail.not_before),
        date_sent = CASE WHEN done.state IN ('sent', 'unknown') THEN clock_timestamp() END,
        claim = NULL,
        claimed_at = NULL
    FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::float8[], %s::bool[])
        AS done (id, state, code, text, wait, tried)
    WHERE mail.id = done.id
    RETURNING mail.activity_id, mail.state, mail.date_sent, mail.error_code, mail.error_message, done.tried)
{SHOW_ON_ACTIVITIES}
"""

_OFTEN_REFUSED = """
SELECT organization_id, address
FROM crm_outboxmail
WHERE state = 'error' AND (error_code LIKE 'smtp\\_4%%' OR error_message LIKE '5.7.1 %%' OR error_code = 'soft_bounce')
  AND (organization_id, address) IN (SELECT * FROM unnest(%s::uuid[], %s::text[]))
GROUP BY 1, 2 HAVING count(*) >= %s
"""


def record(outcomes: Mapping[UUID, Outcome]) -> None:
    """Write all outcomes of a chunk in one statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            _RECORD,
            [
                list(outcomes),
                [str(outcome.state) for outcome in outcomes.values()],
                [outcome.code for outcome in outcomes.values()],
                [outcome.text for outcome in outcomes.values()],
                [outcome.wait_seconds for outcome in outcomes.values()],
                [outcome.tried for outcome in outcomes.values()],
            ],
        )


def suppress_refused(mails: Sequence[OutboxMail], outcomes: Mapping[UUID, Outcome]) -> None:
    """Suppress the addresses that are dead, and those that had their third mail given up.

    Call it after the commit of `record`: it waits for locks and runs what others registered, and neither may cost us
    the evidence of what was sent.
    """
    refused = {mail.pk: mail for mail in mails if outcomes[mail.pk].address_is_dead}
    doubtful = {(mail.organization_id, mail.address): mail for mail in mails if outcomes[mail.pk].may_pass}
    refused |= {doubtful[key].pk: doubtful[key] for key in often_refused(list(doubtful))}
    for mail in refused.values():
        text = outcomes[mail.pk].text or ""
        suppression.suppress(mail.organization_id, mail.address, Suppression.Reason.BOUNCED, text, mail=mail)


def often_refused(addresses: Sequence[tuple[UUID, str]]) -> list[tuple[UUID, str]]:
    """Those of (organization, address) to which BOUNCES_THAT_SUPPRESS mails were given up, or came back."""
    if not addresses:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            _OFTEN_REFUSED,
            [
                [organization_id for organization_id, _ in addresses],
                [address for _, address in addresses],
                answers.BOUNCES_THAT_SUPPRESS,
            ],
        )
        return cursor.fetchall()
