"""Dry runs of imports: rows that lie in different batches, and are about one record that is not there yet.

A dry run writes no lead, so a later batch would not find what an earlier one would have made. What its rows would be
known again by is kept beside, as digests, until the job is done. What a row would have overwritten still counts: that
alone can make a dry run differ from the import.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from django.db import connection

from bulk_actions.models import BulkAction
from crm.merging import Key, Merged, OnDuplicate, Outcome, Row, RowResult, Rules, keys_of
from crm.merging.known import RowKeys

_LATER = {OnDuplicate.UPDATE: Outcome.UPDATED, OnDuplicate.SKIP: Outcome.SKIPPED, OnDuplicate.FAIL: Outcome.FAILED}
_KNOWN = "SELECT digest, lead_id FROM bulk_actions_triedkey WHERE action_id = %s AND digest = ANY(%s)"
_KEEP = """
    INSERT INTO bulk_actions_triedkey (action_id, digest, lead_id)
    SELECT %s, digest, lead_id FROM unnest(%s::uuid[], %s::uuid[]) AS said (digest, lead_id)
    ON CONFLICT (action_id, digest) DO NOTHING
"""
_FORGET = """
    DELETE FROM bulk_actions_triedkey WHERE action_id = %(action)s AND NOT EXISTS (
        SELECT FROM bulk_actions_batch WHERE action_id = %(action)s AND date_done IS NULL)
"""


def met_earlier_rows(action: BulkAction, rows: Sequence[Row], merged: Merged, rules: Rules) -> Merged:
    """`merged` of a dry run over `rows`, where rows about what an earlier batch would have made are told as such."""
    if rules.on_duplicate is OnDuplicate.CREATE:
        return merged
    said = [list(_digests(keys, rules)) for keys in keys_of(rows, rules)]
    known = _known(action, {digest for digests in said for _, digest in digests})
    results = [_told(result, digests, known, rules) for result, digests in zip(merged.results, said, strict=True)]
    _keep(action, zip(results, said, strict=True))
    return replace(merged, results=results)


def forget(action: BulkAction) -> None:
    """Once every batch of the job is done, nobody asks any more."""
    with connection.cursor() as cursor:
        cursor.execute(_FORGET, {"action": action.pk})


def _digests(keys: RowKeys, rules: Rules) -> Iterator[tuple[Key, UUID]]:
    """What a row may be known again by, in the order in which it counts."""
    for kind in rules.match:
        for one in (keys, *keys.contacts):
            for key in one.all_of(kind):
                yield kind, UUID(bytes=hashlib.sha256(f"{kind.value}:{key}".encode()).digest()[:16])


def _known(action: BulkAction, digests: set[UUID]) -> Mapping[UUID, UUID | None]:
    with connection.cursor() as cursor:
        cursor.execute(_KNOWN, [action.pk, list(digests)])
        return dict(cursor.fetchall())


def _told(
    result: RowResult, digests: Sequence[tuple[Key, UUID]], known: Mapping[UUID, UUID | None], rules: Rules
) -> RowResult:
    if result.outcome is not Outcome.CREATED:
        return result
    for kind, digest in digests:
        if digest in known:
            problem = "duplicate" if rules.on_duplicate is OnDuplicate.FAIL else None
            return RowResult(_LATER[rules.on_duplicate], known[digest], None, kind, problem)
    return result


def _keep(action: BulkAction, told: Iterator[tuple[RowResult, Sequence[tuple[Key, UUID]]]]) -> None:
    carried_out = [
        (digest, result.lead_id)
        for result, digests in told
        if result.outcome in (Outcome.CREATED, Outcome.UPDATED)
        for _, digest in digests
    ]
    with connection.cursor() as cursor:
        cursor.execute(_KEEP, [action.pk, [digest for digest, _ in carried_out], [lead for _, lead in carried_out]])
