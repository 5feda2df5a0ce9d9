"""What became of each target, in pages. A target keeps its place in the job's order, so none is missed or repeated,
whatever is done or split meanwhile."""

from collections.abc import Collection, Iterator
from typing import NamedTuple
from uuid import UUID

from django.core import signing
from django.db import connection

from bulk_actions.actions import MAILING, WITH_OBJECTS
from bulk_actions.actions.email import MESSAGES
from bulk_actions.models import BulkAction
from bulk_actions.targets import n_with, objects_of, refuse_purged, rows_of
from crm.errors import FieldErrors

_SALT = "bulk_actions.results"
_STREAMED_PAGE = 5_000  # targets in one statement of a stream
_OBJECTS_OF_A_LEAD = 1_000_000  # more than any lead has: what tells its rows apart is added to its place
_BATCHES = 10  # of a job over mails or subscriptions, read in one statement


class Result(NamedTuple):
    """`place`: of the lead in the job's order, from 1 on. `code` and `message` of what was skipped or failed.

    In a job over mails or subscriptions: the `nth` of this lead, with the address. `key`: behind which to go on.
    """

    place: int
    lead_id: UUID
    outcome: str
    code: str | None
    message: str | None
    email: str | None = None
    nth: int = 0
    subscription_id: UUID | None = None

    @property
    def key(self) -> int:
        return self.place * _OBJECTS_OF_A_LEAD + self.nth if self.nth else self.place


def page_of(action: BulkAction, outcomes: Collection[str], *, after: int, size: int) -> list[Result]:
    """At most `size` targets with one of these outcomes, behind that with the `key` `after`. Raises `LedgerPurged`."""
    refuse_purged(action)
    if action.kind in WITH_OBJECTS:
        return _objects(action, outcomes, after, size)
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


def _objects(action: BulkAction, outcomes: Collection[str], after: int, size: int) -> list[Result]:
    found: list[Result] = []
    statement = _OBJECT_PAGE.format(objects=objects_of(action.kind, "near"))
    place: int | None = after // _OBJECTS_OF_A_LEAD
    while place is not None and len(found) < size:
        with connection.cursor() as cursor:
            cursor.execute(
                statement,
                {"action": action.pk, "place": place, "after": after, "size": size - len(found),
                 "outcomes": list(outcomes)},
            )  # fmt: skip
            rows = cursor.fetchall()
        place = rows[0][0]
        for _, at, lead_id, outcome, code, message, email, nth, object_id in rows:
            if at is not None:
                own = None if action.kind in MAILING else object_id
                found.append(Result(at, lead_id, outcome, code, message or MESSAGES.get(code), email, nth, own))
    return found


# Some batches from that place on, and where the next ones begin: null behind the last. In one statement, since a
# pending batch may be split at any moment.
_OBJECT_PAGE = f"""
    WITH near AS MATERIALIZED (
        SELECT * FROM bulk_actions_batch AS batch
        WHERE action_id = %(action)s AND rank + n_leads > %(place)s ORDER BY rank LIMIT {_BATCHES}),
    numbered AS (
        SELECT *, row_number() OVER (
            PARTITION BY place ORDER BY email NULLS FIRST, object_id NULLS FIRST, code, message) AS nth
        FROM ({{objects}}) AS found)
    SELECT (SELECT max(rank + n_leads) FROM near HAVING count(*) = {_BATCHES}), chosen.*
    FROM (SELECT) AS once LEFT JOIN (
        SELECT place, lead_id, outcome, code, message, email, nth, object_id FROM numbered
        WHERE place * {_OBJECTS_OF_A_LEAD} + nth > %(after)s AND outcome = ANY(%(outcomes)s)
        ORDER BY place, nth LIMIT %(size)s) AS chosen ON true
    ORDER BY chosen.place, chosen.nth
"""


def all_of(action: BulkAction, outcomes: Collection[str]) -> Iterator[Result]:
    """Every target with one of these outcomes, in order, page by page: no transaction is open in between.

    Raises `LedgerPurged` when the ledger goes meanwhile, rather than ending as if that were all.
    """
    after = 0
    while page := page_of(action, outcomes, after=after, size=_STREAMED_PAGE):
        yield from page
        after = page[-1].key
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
