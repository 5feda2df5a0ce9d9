"""What became of the rows of a file: pages of them, their number by outcome, and the first problems of each kind."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from django.db import connection

from bulk_actions.models import BulkAction, ImportRow
from bulk_actions.targets import refuse_purged
from crm.merging import Outcome

# What the words of other jobs' results mean here.
_OUTCOMES = {
    "succeeded": (Outcome.CREATED, Outcome.UPDATED),
    "unchanged": (),
    "skipped": (Outcome.SKIPPED,),
    "failed": (Outcome.FAILED,),
    "unknown": (),
    "pending": (),
    **{outcome.value: (outcome,) for outcome in Outcome},
}
OUTCOMES = tuple(_OUTCOMES)
_STREAMED_PAGE = 5_000
_FIRST = 5  # problems of a kind


@dataclass(frozen=True)
class Kind:
    """A kind of problem, how many rows have it, and the first of them."""

    code: str
    n_rows: int
    rows: list[ImportRow]


def page_of(action: BulkAction, outcomes: Collection[str], *, after: int, size: int) -> list[ImportRow]:
    """At most `size` rows with one of these outcomes behind the number `after`. Raises `LedgerPurged`."""
    refuse_purged(action)
    wanted = {word.value for outcome in outcomes for word in _OUTCOMES[outcome]}
    rows = ImportRow.objects.filter(action=action.pk, number__gt=after)
    found = rows.filter(outcome__in=wanted)
    if "pending" in outcomes:
        found = rows.filter(outcome__isnull=True) | found
    return list(found.order_by("number")[:size])


def all_of(action: BulkAction, outcomes: Collection[str]) -> Iterator[ImportRow]:
    """Page by page: no transaction is open in between. Raises `LedgerPurged` when the rows go meanwhile."""
    after = 0
    while page := page_of(action, outcomes, after=after, size=_STREAMED_PAGE):
        yield from page
        after = page[-1].number
        action.refresh_from_db(fields=["date_ledger_purged"])
    refuse_purged(action)


def counts_of(action: BulkAction) -> dict[str, int]:
    """How many rows were created, updated, skipped and failed so far."""
    with connection.cursor() as cursor:
        cursor.execute(_COUNTS, [action.pk])
        return dict(zip((outcome.value for outcome in Outcome), cursor.fetchone(), strict=True))


def n_repeated_in(action: BulkAction) -> int:
    """How many rows were about a record that an earlier row of the file is about; of a million rows in a second."""
    with connection.cursor() as cursor:
        cursor.execute(_REPEATED, {"action": action.pk, "over_contacts": action.params["records"] == "contacts"})
        return cursor.fetchone()[0]


def problems_of(action: BulkAction) -> list[Kind]:
    """The kinds of problems that rows have, the most frequent first. Of a live job: those that are known by now."""
    with connection.cursor() as cursor:
        cursor.execute(_PROBLEMS, [action.pk, _FIRST])
        found = cursor.fetchall()
    ids = [key for *_, keys in found for key in keys]
    rows = {row.pk: row for row in ImportRow.objects.filter(pk__in=ids)}
    return [Kind(code, n_rows, [rows[key] for key in keys if key in rows]) for code, n_rows, keys in found]


# Of batches, which are few: whoever waits for the end asks again and again. What is updated may have changed nothing.
_COUNTS = """
    SELECT coalesce(sum(n_created), 0), coalesce(sum(n_succeeded + n_unchanged - n_created), 0),
           coalesce(sum(n_skipped), 0), coalesce(sum(n_failed), 0)
    FROM bulk_actions_batch WHERE action_id = %s AND date_done IS NOT NULL
"""
# A row of a dry run that meets what an earlier one would have made has no key of that.
_REPEATED = """
    SELECT count(target) - count(DISTINCT target)
           + count(*) FILTER (WHERE target IS NULL AND (outcome IN ('updated', 'skipped') OR code = 'duplicate'))
    FROM (SELECT CASE WHEN %(over_contacts)s THEN contact_id ELSE lead_id END AS target, outcome, code
          FROM bulk_actions_importrow WHERE action_id = %(action)s) AS told
"""
_PROBLEMS = """
    SELECT code, max(n), array_agg(id ORDER BY number) FROM (
        SELECT id, code, number, row_number() OVER (PARTITION BY code ORDER BY number) AS nth,
               count(*) OVER (PARTITION BY code) AS n
        FROM bulk_actions_importrow
        WHERE action_id = %s AND code IS NOT NULL AND outcome IS DISTINCT FROM 'skipped') AS told
    WHERE nth <= %s GROUP BY code ORDER BY max(n) DESC, code
"""
