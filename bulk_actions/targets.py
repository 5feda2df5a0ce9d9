"""What became of each target of a job: as rows, and as a node of queries."""

from collections.abc import Collection
from uuid import UUID

from django.db.models import BooleanField, Expression, F, Func
from django.db.models.expressions import RawSQL

from bulk_actions.actions import MAILING, WITH_OBJECTS
from bulk_actions.errors import LedgerPurged
from bulk_actions.models import OVER_DEALS, PREFIX, BulkAction
from bulk_actions.nodes import NODE
from crm.ids import parse_close_id
from search.external import Arguments, NodeType
from search.nodes import External
from search.reading import Reader
from search.resolve import Resolved

# Each outcome with how many targets of a done batch have it; all targets of another one are pending.
_COUNTED = {
    "succeeded": "batch.n_succeeded",
    "unchanged": "batch.n_unchanged",
    "skipped": "batch.n_skipped",
    "failed": "batch.n_failed",
    "unknown": "0",  # only mails are; they are not counted here
    "pending": "CASE WHEN batch.date_done IS NULL THEN batch.n_leads ELSE 0 END",
}
OUTCOMES = tuple(_COUNTED)


def n_with(outcomes: Collection[str]) -> str:
    """SQL over a row `batch`: how many of its leads have one of these outcomes."""
    return f"({' + '.join(_COUNTED[outcome] for outcome in outcomes)})"


def rows_of(batches: str) -> str:
    """A SELECT of the targets in `batches` (rows of the ledger, by that name), each with its place and outcome."""
    # One list of what is known of leads, since the planner joins that by a hash: it takes the rows that a batch has in
    # another table for few, and would go through all of them for each of its leads.
    return f"""
        SELECT batch.rank + target.place - 1 AS place, target.lead_id,
               CASE WHEN batch.date_done IS NULL THEN 'pending'
                    ELSE coalesce(known.outcome, 'unchanged') END AS outcome,
               known.code, known.message
        FROM {batches} AS batch
        CROSS JOIN LATERAL unnest(batch.lead_ids) WITH ORDINALITY AS target(lead_id, place)
        LEFT JOIN (
            SELECT batch.id AS batch_id, unnest(batch.changed_ids) AS lead_id, 'succeeded' AS outcome,
                   NULL AS code, NULL AS message FROM {batches} AS batch
            UNION ALL
            SELECT noted.batch_id, noted.lead_id, noted.outcome, noted.code, noted.message
            FROM {batches} AS batch JOIN bulk_actions_leadoutcome AS noted ON noted.batch_id = batch.id) AS known
            ON known.batch_id = batch.id AND known.lead_id = target.lead_id
    """


def objects_of(kind: str, batches: str) -> str:
    """The same for a job over mails or subscriptions: a row for each, and for each lead that has none, with its
    `email`. `object_id`: of the mail that was reserved, or of the subscription.
    """
    made = _MAILS if kind in MAILING else _SUBSCRIPTIONS
    return f"""
        SELECT batch.rank + target.place - 1 AS place, target.lead_id, known.email, known.object_id,
               CASE WHEN batch.date_done IS NULL THEN 'pending' ELSE known.outcome END AS outcome,
               known.code, known.message
        FROM {batches} AS batch
        CROSS JOIN LATERAL unnest(batch.lead_ids) WITH ORDINALITY AS target(lead_id, place)
        LEFT JOIN (
            SELECT noted.batch_id, noted.lead_id, noted.email, noted.subscription_id AS object_id, noted.outcome,
                   noted.code, noted.message
            FROM {batches} AS batch JOIN bulk_actions_leadoutcome AS noted ON noted.batch_id = batch.id
            UNION ALL
            {made.format(batches=batches)}) AS known
            ON known.batch_id = batch.id AND known.lead_id = target.lead_id
    """


# What is known of mails says the outbox, as far as they are the job's own still: a mail that another job sends again
# has a `LeadOutcome` here.
_MAILS = """
            SELECT batch.id, batch.lead_ids[mine.place],
                   CASE WHEN mail.address <> 'erased-' || mail.id THEN mail.address END, mail.id,
                   CASE mail.state WHEN 'sent' THEN 'succeeded' WHEN 'error' THEN 'failed' WHEN 'unknown' THEN 'unknown'
                        WHEN 'withheld' THEN 'skipped' ELSE 'pending' END,
                   CASE WHEN mail.state NOT IN ('withheld', 'error', 'unknown') THEN NULL
                        WHEN mail.error_code = 'suppressed' THEN coalesce(mail.error_message, mail.error_code)
                        WHEN mail.state = 'withheld' THEN coalesce(mail.error_code, 'lead_gone')
                        ELSE mail.error_code END,
                   CASE WHEN mail.state IN ('withheld', 'error', 'unknown')
                             AND mail.error_code IS DISTINCT FROM 'suppressed' THEN mail.error_message END
            FROM {batches} AS batch
            CROSS JOIN LATERAL unnest(batch.mail_ids, batch.mail_places) AS mine(mail_id, place)
            JOIN crm_outboxmail AS mail ON mail.id = mine.mail_id AND mail.source_id = batch.action_id
"""
_SUBSCRIPTIONS = """
            SELECT batch.id, batch.lead_ids[mine.place], one.contact_email, mine.subscription_id,
                   CASE WHEN mine.nth <= batch.n_succeeded THEN 'succeeded' ELSE 'unchanged' END, NULL, NULL
            FROM {batches} AS batch
            CROSS JOIN LATERAL unnest(batch.subscription_ids, batch.subscription_places) WITH ORDINALITY
                AS mine(subscription_id, place, nth)
            LEFT JOIN crm_sequencesubscription AS one ON one.id = mine.subscription_id
"""


def refuse_purged(action: BulkAction) -> None:
    """Raises `LedgerPurged` once the job's ledger is gone, or going."""
    if action.date_ledger_purged is not None:
        raise LedgerPurged


def node_of(action: BulkAction, outcomes: Collection[str]) -> External:
    """The node that finds the live leads of the job with one of these outcomes."""
    return External(NODE, (str(action.pk), *outcomes))


def outcomes_of(action: BulkAction) -> list[str]:
    """The outcomes of the other job whose leads this one, whose whole query is such a node, is for."""
    node = Resolved.from_json(action.resolved_query).node
    assert isinstance(node, External)
    return list(node.arguments[1:])


def spelled(action: BulkAction, outcomes: Collection[str]) -> dict[str, object]:
    """The same node as a caller would write it."""
    return {"type": NODE, "bulk_action_id": action.api_id, "outcome": list(outcomes)}


def _read(reader: Reader, data: dict[str, object], path: str, organization_id: UUID | None) -> Arguments | None:
    action = _action(reader, data, path, organization_id)
    outcomes = reader.texts(data, "outcome", path)
    if outcomes is not None and (not outcomes or not set(outcomes) <= set(OUTCOMES)):
        reader.problem(f"{path}.outcome", f"Value must be a list of one or more of: {', '.join(OUTCOMES)}.")
        return None
    return (str(action.pk), *dict.fromkeys(outcomes)) if action and outcomes else None


def _action(reader: Reader, data: dict[str, object], path: str, organization_id: UUID | None) -> BulkAction | None:
    text = reader.text(data, "bulk_action_id", path)
    if text is None:
        return None
    found = [
        action
        for kind, prefix in PREFIX.items()
        if kind not in OVER_DEALS and (key := parse_close_id(prefix, text))
        for action in BulkAction.objects.filter(organization=organization_id, kind=kind, pk=key)
    ]
    found = [action for action in found if action.target in ("lead", "row")]
    if found and found[0].date_ledger_purged is None:
        return found[0]
    reader.problem(f"{path}.bulk_action_id", LedgerPurged().message if found else "Object does not exist.")
    return None


def _condition(arguments: Arguments) -> Expression:
    action_id, *outcomes = arguments
    # A query is kept for as long as people like, and negated it would mean every lead once the ledger is gone.
    action = BulkAction.objects.filter(pk=action_id, date_ledger_purged__isnull=True).first()
    if action is None:
        raise LedgerPurged
    if action.is_of_file:
        lead_ids = _LEADS_OF_ROWS
    else:
        lead_ids = _lead_ids(outcomes) if action.kind not in WITH_OBJECTS else _leads_with_objects(action.kind)
    return _IsAmong(F("pk"), RawSQL(lead_ids, (action_id, outcomes)))


# A lead that several rows are about counts with each of them.
_LEADS_OF_ROWS = """
    SELECT lead_id FROM bulk_actions_importrow
    WHERE action_id = %s::uuid AND lead_id IS NOT NULL
      AND CASE WHEN outcome IN ('created', 'updated') THEN 'succeeded' ELSE outcome END = ANY(%s)
"""


def _lead_ids(outcomes: Collection[str]) -> str:
    return f"""
        WITH chosen AS MATERIALIZED (
            SELECT * FROM bulk_actions_batch AS batch WHERE batch.action_id = %s::uuid AND {n_with(outcomes)} > 0)
        SELECT lead_id FROM ({rows_of("chosen")}) AS found WHERE outcome = ANY(%s)"""


def _leads_with_objects(kind: str) -> str:
    """Those that have some mail or subscription with such an outcome, or have none with it."""
    return f"""
        WITH chosen AS MATERIALIZED (SELECT * FROM bulk_actions_batch AS batch WHERE batch.action_id = %s::uuid)
        SELECT lead_id FROM ({objects_of(kind, "chosen")}) AS found WHERE outcome = ANY(%s)"""


class _IsAmong(Func):
    """Through an array, so that the planner, who cannot know how many there are, always looks them up in a hash."""

    output_field = BooleanField()
    template = "(%(expressions)s)))"
    arg_joiner = " IN (SELECT unnest(ARRAY"


BULK_ACTION_NODE = NodeType(NODE, "lead", ("bulk_action_id", "outcome"), _read, _condition)
