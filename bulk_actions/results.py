"""What became of each target, in pages. A target keeps its place in the job's order, so none is missed or repeated,
whatever is done or split meanwhile."""

from collections.abc import Collection, Iterator
from typing import NamedTuple
from uuid import UUID

from django.core import signing
from django.db import connection

from bulk_actions.models import BulkAction
from bulk_actions.targets import n_with, refuse_purged, rows_of
from crm.errors import FieldErrors

_SALT = "bulk_actions.results"
_STREAMED_PAGE = 5_000  # targets in one statement of a stream


class Result(NamedTuple):
    """`place`: in the job's order, from 1 on. `code` and `message` of what was skipped or failed."""

    place: int
    lead_id: UUID
    outcome: str
    code: str | None
    message: str | None


def page_of(action: BulkAction, outcomes: Collection[str], *, after: int, size: int) -> list[Result]:
    """At most `size` targets with one of these outcomes, behind the place `after`. Raises `LedgerPurged`."""
    refuse_purged(action)
    with connection.cursor() as cursor:
        cursor.execute(
            _PAGE.format(n_matching=n_with(outcomes), rows=rows_of("chosen")),
            {"action": action.pk, "after": after, "size": size, "outcomes": list(outcomes)},
        )
        return [Result(*row) for row in cursor.fetchall()]


# The batch in which the page begins, and as many more as are certain to fill it; of the first, the targets behind
# `after` are not known to match.
_PAGE = """
    WITH near AS (
        SELECT batch.*, CASE WHEN batch.rank <= %(after)s THEN 0 ELSE {n_matching} END AS n_sure
        FROM bulk_actions_batch AS batch
        WHERE batch.action_id = %(action)s AND {n_matching} > 0 AND batch.rank >= coalesce((
            SELECT max(rank) FROM bulk_actions_batch WHERE action_id = %(action)s AND rank <= %(after)s), 0)
        ORDER BY batch.rank LIMIT %(size)s + 1),
    chosen AS MATERIALIZED (
        SELECT * FROM (SELECT *, sum(n_sure) OVER (ORDER BY rank) - n_sure AS n_before FROM near) AS counted
        WHERE n_before < %(size)s)
    SELECT place, lead_id, outcome, code, message FROM ({rows}) AS found
    WHERE place > %(after)s AND outcome = ANY(%(outcomes)s) ORDER BY place LIMIT %(size)s
"""


def all_of(action: BulkAction, outcomes: Collection[str]) -> Iterator[Result]:
    """Every target with one of these outcomes, in order, page by page: no transaction is open in between.

    Raises `LedgerPurged` when the ledger goes meanwhile, rather than ending as if that were all.
    """
    after = 0
    while page := page_of(action, outcomes, after=after, size=_STREAMED_PAGE):
        yield from page
        after = page[-1].place
        action.refresh_from_db(fields=["date_ledger_purged"])
    refuse_purged(action)


def sign_cursor(action: BulkAction, outcomes: Collection[str], place: int) -> str:
    """Text that only we can write, good for this job and these outcomes: go on behind that place."""
    return signing.dumps([str(action.pk), sorted(outcomes), place], salt=_SALT)


def read_cursor(text: str, action: BulkAction, outcomes: Collection[str]) -> int:
    """The place behind which to go on. Raises `FieldErrors("cursor")`. It never expires: places do not change."""
    try:
        action_id, bound_to, place = signing.loads(text, salt=_SALT)
    except signing.BadSignature as problem:
        raise FieldErrors({"cursor": "Invalid cursor"}) from problem
    if (action_id, bound_to) != (str(action.pk), sorted(outcomes)):
        raise FieldErrors({"cursor": "This cursor belongs to other results."})
    return place
