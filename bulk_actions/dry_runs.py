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
from crm.merging import Key, Merged, OnDuplicate, Outcome, Row, RowResult, Rules, Subject, keys_of, merge_rows
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


def merge_tried(action: BulkAction, rows: Sequence[Row], rules: Rules) -> Merged:
    """What the import would do with these rows, behind all that it would have made of the rows before them."""
    merged = _merged(action, rows, rules)
    if rules.on_duplicate is OnDuplicate.CREATE:
        return merged
    said = [list(_digests(keys, rules)) for keys in keys_of(rows, rules)]
    known = _known(action, {digest for digests in said for _, digest in digests})
    met: dict[int, RowResult] = {}
    for place, (result, digests) in enumerate(zip(merged.results, said, strict=True)):
        first = next(((key, digest) for key, digest in digests if digest in known), None)
        if first is not None and not _is_settled(result, rules):
            met[place] = _met(first[0], known[first[1]], rules)
    rest = [place for place in range(len(rows)) if place not in met]
    if met and rules.on_duplicate is not OnDuplicate.UPDATE:
        # They make nothing, so no row behind them may meet what they say.
        others = _merged(action, [rows[place] for place in rest], rules).results
    else:
        others = [merged.results[place] for place in rest]
    found = met | dict(zip(rest, others, strict=True))
    results = [found[place] for place in range(len(rows))]
    _keep(action, zip(results, said, strict=True))
    return replace(merged, results=results)


def _merged(action: BulkAction, rows: Sequence[Row], rules: Rules) -> Merged:
    return merge_rows(organization=action.organization, by=action.created_by, rows=rows, rules=rules, dry_run=True)


def _is_settled(result: RowResult, rules: Rules) -> bool:
    """Whether the row fails by itself, or is about a record that is there: neither depends on earlier rows."""
    if result.outcome is Outcome.FAILED and result.problem != "duplicate":
        return True
    return (result.lead_id if rules.subject is Subject.LEAD else result.contact_id) is not None


def _met(key: Key, lead_id: UUID | None, rules: Rules) -> RowResult:
    problem = "duplicate" if rules.on_duplicate is OnDuplicate.FAIL else None
    return RowResult(_LATER[rules.on_duplicate], lead_id, None, key, problem)


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


def _keep(action: BulkAction, told: Iterator[tuple[RowResult, Sequence[tuple[Key, UUID]]]]) -> None:
    carried_out = [
        (digest, result.lead_id)
        for result, digests in told
        if result.outcome in (Outcome.CREATED, Outcome.UPDATED)
        for _, digest in digests
    ]
    with connection.cursor() as cursor:
        cursor.execute(_KEEP, [action.pk, [digest for digest, _ in carried_out], [lead for _, lead in carried_out]])
