"""Freezing a job's targets: one statement from the resolved query to stored batches."""

import time
from uuid import UUID

import structlog
from django.conf import settings
from django.db import DataError, OperationalError, connection, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from bulk_actions import doorbell, locks, seals, staging, undoing
from bulk_actions.actions import ACTIONS
from bulk_actions.export_filters import Filters, opportunities
from bulk_actions.export_targets import takes_filters
from bulk_actions.models import BulkAction
from bulk_actions.states import Status
from bulk_actions.transitions import move
from crm.collisions import sqlstate
from crm.models import Lead
from search.compiler import matching
from search.resolve import Resolved

log = structlog.get_logger(__name__)


TOO_MANY_LEADS = "too_many_leads"


class _TooManyLeads(Exception):
    def __init__(self, n_leads: int) -> None:
        super().__init__(n_leads)
        self.n_leads = n_leads


def load(action_id: UUID) -> None:
    """Write the batches and move the job on to `processing`, in one commit; nothing when somebody else loads it.

    Sets the job to `error` when the query runs into its time limit or cannot be computed, and when it finds more than
    `max_leads`. A pause or cancel stops the statement (`pg_cancel_backend`); then nothing has been written and the job
    stays as the person has set it.
    """
    began = time.monotonic()
    job = BulkAction.objects.filter(pk=action_id, status=Status.LOADING)
    action = job.first()
    if action is None:
        return
    # Before the transaction: a large query takes seconds to compile, and a transaction must not lie idle for long.
    sealed = seals.given_to(action)
    is_undo = action.undo_of_id is not None
    if action.is_of_file and not staging.stage(action):
        return
    targets, parameters = targets_of(action) if sealed is None and not is_undo else ("", ())
    try:
        with transaction.atomic():
            if not locks.become_loader(action_id) or not job.exists():
                return
            _lift_limits()
            if is_undo:
                n_leads = undoing.freeze(action)
            elif sealed is None:
                n_leads = freeze(action_id, targets, parameters)
            else:
                n_leads = sealed.n_leads
                seals.hand_over(sealed, action)
            if exceeds_limit(action, n_leads):
                raise _TooManyLeads(n_leads)
            moved = move(
                action_id, expected={Status.LOADING}, to=Status.PROCESSING, n_leads=n_leads, n_objects=n_leads,
                date_started=action.date_started or Now(),
            )  # fmt: skip
            if not moved:
                transaction.set_rollback(True)
                return
        log.info(
            "bulk_action.loaded", job_id=str(action_id), n_leads=n_leads, seconds=round(time.monotonic() - began, 3)
        )
    except _TooManyLeads as problem:
        _give_up(action_id, TOO_MANY_LEADS, too_many_leads(action, problem.n_leads))
    except OperationalError as problem:
        if sqlstate(problem) != "57014":  # query_canceled
            raise
        if time.monotonic() - began >= settings.LOADING_STATEMENT_TIMEOUT_SECONDS:
            _give_up(action_id, "query_too_slow", "Finding the leads took too long. Narrow the query down.")
    except DataError as problem:
        _give_up(action_id, "query_failed", f"The query could not be computed: {problem}")


def exceeds_limit(action: BulkAction, n_leads: int) -> bool:
    """Whether these are more than the job, or its kind, may have."""
    return any(most is not None and n_leads > most for most in (action.max_leads, ACTIONS[action.kind].max_leads))


def too_many_leads(action: BulkAction, n_leads: int) -> str:
    if action.max_leads is not None and n_leads > action.max_leads:
        return f"The query finds {n_leads:,} leads; max_leads allows {action.max_leads:,}."
    most = ACTIONS[action.kind].max_leads
    return f"The query finds {n_leads:,} leads; a bulk {action.kind} takes {most:,} at most."


def _lift_limits() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SET LOCAL transaction_timeout = 0; "
            f"SET LOCAL statement_timeout = '{settings.LOADING_STATEMENT_TIMEOUT_SECONDS}s'"
        )


def freeze(action_id: UUID, targets: str, parameters: tuple[object, ...]) -> int:
    """INSERT the batches of a job, or of a sealed preview; returns the number of leads. No id passes through Python."""
    size = int(settings.BULK_STORED_BATCH)
    with connection.cursor() as cursor:
        # One array of all ids, cut into slices: 16 bytes a lead in the server's memory, and half the time of numbering
        # the rows and grouping them by number (0.40 s against 0.81 s for a million).
        cursor.execute(
            f"""
            WITH stored AS (
                INSERT INTO bulk_actions_batch (action_id, rank, lead_ids, n_leads)
                SELECT %s::uuid, first, ids[first:first + {size} - 1], least({size}, cardinality(ids) - first + 1)
                FROM (SELECT array_agg(lead_id) AS ids FROM ({targets}) AS target(lead_id)) AS found,
                     generate_series(1, cardinality(ids), {size}) AS first
                RETURNING n_leads)
            SELECT coalesce(sum(n_leads), 0) FROM stored
            """,
            [action_id, *parameters],
        )
        return int(cursor.fetchone()[0])


def targets_of(action: BulkAction) -> tuple[str, tuple[object, ...]]:
    """A SELECT of the lead ids, each once, in the order of the job's sort; of an import from a file those of its rows.

    The limit counts what the query finds: the first N contacts, say, and then the leads of those (close-api.md 3.9).
    """
    if action.is_of_file:
        return staging.targets_of(action)
    queryset = target_queryset(action)
    if queryset.query.is_empty():
        return "SELECT NULL::uuid WHERE false", ()
    sql, parameters = queryset.query.sql_with_params()
    if action.results_limit is not None:
        sql += f" LIMIT {action.results_limit:d}"
    if queryset.model is not Lead and action.target == "lead":
        # the leads of the objects found, each at the place of its first object
        sql = (
            "SELECT lead_id FROM"
            f" (SELECT lead_id, row_number() OVER () AS rank FROM ({sql}) AS object(lead_id)) AS placed"
            " WHERE lead_id IS NOT NULL GROUP BY lead_id ORDER BY min(rank)"
        )
    return sql, parameters


def target_queryset(action: BulkAction) -> QuerySet:
    """The leads of the job, or of the other objects that its query finds: a queryset of their ids, in its order."""
    if takes_filters(action):
        return opportunities(Filters.of(action), action.organization_id).values_list("pk")
    queryset = matching(Resolved.from_json(action.resolved_query), action.organization_id)
    return queryset.values_list("lead" if queryset.model is not Lead and action.target == "lead" else "pk")


def _give_up(action_id: UUID, code: str, message: str) -> None:
    from bulk_actions.services import end_with_error

    end_with_error(action_id, code, message)
    doorbell.ring(action_id)
