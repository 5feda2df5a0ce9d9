"""Whether leads still match the filter that chose them."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from uuid import UUID

from django.db import connection
from django.db.models import F
from django.db.models.expressions import RawSQL

from bulk_actions.actions.base import GONE, Change
from bulk_actions.errors import LedgerPurged
from bulk_actions.models import BulkAction
from bulk_actions.nodes import jobs_in
from bulk_actions.sql import named
from crm.models import Lead
from search.compiler import found
from search.expressions import IsAnyOf
from search.resolve import Resolved

NO_LONGER_MATCHES = "no_longer_matches"
MESSAGE = "The lead no longer matched the filter when its turn came."

Condition = tuple[str, dict[str, object]]


def no_longer_matches(resolved: Resolved, organization_id: UUID) -> Condition:
    """A condition over `target` (lead_id), and its parameters: the lead is not one that the query would find now.

    Of a query for contacts or opportunities: none of the lead's own is found. `results_limit` and `sort` do not count.
    The query is narrowed to the leads of `target` and computed once for all of them.
    """
    queryset = found(resolved, organization_id)
    if queryset.query.is_empty():
        return "true", {}
    column = "pk" if queryset.model is Lead else "lead"
    these = IsAnyOf(F(column), RawSQL("ARRAY(SELECT lead_id FROM target)", ()))
    sql, parameters = named(*queryset.filter(these).values_list(column).query.sql_with_params(), "match")
    return f"target.lead_id NOT IN ({sql})", parameters


def condition_of(action_id: UUID) -> Condition:
    """`no_longer_matches` of a job. Raises `LedgerPurged` when it speaks of the leads of a job whose ledger is gone;
    one that is there stays until the transaction at hand ends."""
    condition, others = _compiled(action_id)
    if others:
        with connection.cursor() as cursor:
            # FOR SHARE: the purge sets its mark before it removes anything.
            cursor.execute(
                "SELECT FROM bulk_actions_bulkaction WHERE id = ANY(%s) AND date_ledger_purged IS NULL FOR SHARE",
                [list(others)],
            )
            if cursor.rowcount < len(others):
                raise LedgerPurged
    return condition


@lru_cache(maxsize=16)
def _compiled(action_id: UUID) -> tuple[Condition, frozenset[UUID]]:
    """The condition, and the other jobs that it speaks of. Kept, since a large query takes seconds to compile, and what
    it means is fixed."""
    action = BulkAction.objects.only("resolved_query", "organization").get(pk=action_id)
    resolved = Resolved.from_json(action.resolved_query)
    return no_longer_matches(resolved, action.organization_id), frozenset(jobs_in(resolved.node))


def lost(action: BulkAction, lead_ids: Sequence[UUID]) -> set[UUID]:
    """Those of these leads that no longer match the job's filter."""
    condition, parameters = condition_of(action.pk)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH target AS MATERIALIZED (SELECT unnest(%(leads)s::uuid[]) AS lead_id)
            SELECT lead_id FROM target WHERE {condition}
            """,
            {**parameters, "leads": list(lead_ids)},
        )
        return {key for (key,) in cursor.fetchall()}


def skipping(action: BulkAction, change: Change) -> Change:
    """The change, with leads skipped that no longer match the job's filter."""
    condition, parameters = condition_of(action.pk)
    own = f"CASE WHEN {GONE} THEN 'lead_gone' WHEN {condition} THEN '{NO_LONGER_MATCHES}' END"
    return replace(
        change,
        skip_code=own if change.skip_code is None else f"coalesce({own}, {change.skip_code})",
        parameters={**change.parameters, **parameters},
        messages={**change.messages, NO_LONGER_MATCHES: MESSAGE},
    )
