"""Results: every lead once, in the job's order, whatever happens to the ledger between two pages."""

import tracemalloc
from collections.abc import Sequence

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils import timezone

from bulk_actions import ledger, loading, results, slots
from bulk_actions.errors import LedgerPurged
from bulk_actions.models import Batch, BulkAction
from bulk_actions.results import all_of, page_of, read_cursor, sign_cursor
from bulk_actions.services import cancel
from bulk_actions.targets import OUTCOMES
from crm.errors import FieldErrors
from crm.models import Lead, LeadStatus, Membership
from tests.bulk_actions.helpers import (
    check_invariant,
    make_leads,
    refusing,
    run_a_little,
    run_to_end,
    status_job,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_doorbells")]


def walk(action: BulkAction, outcomes: Sequence[str], size: int) -> list[results.Result]:
    rows: list[results.Result] = []
    while page := page_of(action, outcomes, after=rows[-1].place if rows else 0, size=size):
        assert len(page) <= size
        rows += page
    return rows


def mixed_job(
    membership: Membership, old: LeadStatus, new: LeadStatus, n: int
) -> tuple[BulkAction, dict[object, tuple[str, str | None]]]:
    """An ended job with every outcome in it, and what is expected of each lead."""
    leads = make_leads(old, n)
    action = status_job(membership, new, leads)
    slots.start_if_free(action)
    loading.load(action.pk)
    expected: dict[object, tuple[str, str | None]] = {lead.pk: ("succeeded", None) for lead in leads}
    for place, lead in enumerate(leads):
        if place % 7 == 3:
            expected[lead.pk] = ("unchanged", None)
        elif place % 50 == 5:
            expected[lead.pk] = ("skipped", "lead_gone")
        elif place in (n // 2, n // 2 + 1, n - 1):
            expected[lead.pk] = ("failed", "refused_by_database")
    of = {outcome: [pk for pk, (is_, _) in expected.items() if is_ == outcome] for outcome in OUTCOMES}
    Lead.objects.filter(pk__in=of["unchanged"]).update(status=new)
    Lead.objects.filter(pk__in=of["skipped"]).update(deleted_at=timezone.now())
    with refusing(*(lead for lead in leads if lead.pk in of["failed"])):
        action = run_to_end(action)
    return action, expected


@pytest.mark.parametrize("size", [1, 13, 500, 10_000])
def test_every_lead_is_told_once_with_its_outcome_and_the_reason(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus, size: int
) -> None:
    n = 60 if size == 1 else 2300
    action, expected = mixed_job(membership, old_status, new_status, n)
    rows = walk(action, OUTCOMES, size)
    assert [row.place for row in rows] == list(range(1, n + 1))
    assert {row.lead_id: (row.outcome, row.code) for row in rows} == expected
    assert {row.message for row in rows if row.outcome == "failed"} == {"this lead is under seal"}
    for outcomes in (["failed"], ["skipped"], ["unchanged"], ["succeeded"], ["failed", "skipped"], ["pending"]):
        wanted = [row for row in rows if row.outcome in outcomes]
        assert walk(action, outcomes, size) == wanted
        assert list(all_of(action, outcomes)) == wanted
    assert len(rows) == action.n_objects
    check_invariant(action)


def test_pages_of_a_job_that_runs_and_splits_its_batches_tell_each_lead_once(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    leads = make_leads(old_status, 900)
    action = status_job(membership, new_status, leads, leads_per_minute=60_000)
    slots.start_if_free(action)
    loading.load(action.pk)
    rows: list[results.Result] = []
    while page := page_of(action, OUTCOMES, after=rows[-1].place if rows else 0, size=7):
        rows += page
        for batch in Batch.objects.filter(action=action.pk, date_done__isnull=True).order_by("?")[:1]:
            if batch.n_leads > 1:
                with transaction.atomic():
                    ledger.split(batch.pk, max(1, batch.n_leads // 3))
        if len(rows) % 70 == 0:
            run_a_little(action)
    assert [row.place for row in rows] == list(range(1, 901))
    assert {row.lead_id for row in rows} == {lead.pk for lead in leads}
    check_invariant(action)


def test_what_a_cancelled_job_did_not_reach_is_pending(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    leads = make_leads(old_status, 300)
    action = status_job(membership, new_status, leads, leads_per_minute=6000)
    assert page_of(action, OUTCOMES, after=0, size=10) == []  # nobody has looked for the leads yet
    run_a_little(action)
    action = cancel(action=action, by=membership.user)
    rows = walk(action, OUTCOMES, 100)
    n_done = sum(row.outcome == "succeeded" for row in rows)
    assert n_done == action.n_succeeded
    assert sum(row.outcome == "pending" for row in rows) == 300 - n_done
    check_invariant(action)


def test_a_cursor_is_good_for_its_job_and_its_outcomes_alone(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    action = run_to_end(status_job(membership, new_status, make_leads(old_status, 3)))
    other = run_to_end(status_job(membership, old_status, make_leads(new_status, 3)))
    cursor = sign_cursor(action, ["failed", "skipped"], 17)
    assert read_cursor(cursor, action, ["skipped", "failed"]) == 17
    for wrong in ((cursor, other, ["failed", "skipped"]), (cursor, action, ["failed"]), (cursor[:-1], action, [])):
        with pytest.raises(FieldErrors):
            read_cursor(*wrong)


def test_a_purged_ledger_is_said_to_be_purged_also_in_the_middle_of_a_stream(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "_STREAMED_PAGE", 10)
    action = run_to_end(status_job(membership, new_status, make_leads(old_status, 30)))
    check_invariant(action)
    rows = all_of(action, OUTCOMES)
    next(rows)
    BulkAction.objects.filter(pk=action.pk).update(date_ledger_purged=Now())
    with pytest.raises(LedgerPurged):
        list(rows)
    action.refresh_from_db()
    with pytest.raises(LedgerPurged):
        page_of(action, OUTCOMES, after=0, size=10)


def test_a_large_stream_takes_little_memory_and_no_transaction(membership: Membership, old_status: LeadStatus) -> None:
    """200,000 leads of which none exists: what is told of them is all in the ledger."""
    n, stored = 200_000, 1000
    action = run_to_end(status_job(membership, old_status, []))
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO bulk_actions_batch (action_id, rank, lead_ids, n_leads, changed_ids, n_succeeded, date_done)
            SELECT %(action)s, first, ids, %(stored)s, ids, %(stored)s, now()
            FROM generate_series(1, %(n)s, %(stored)s) AS first, LATERAL (
                SELECT array_agg(md5((first + i)::text)::uuid) AS ids FROM generate_series(0, %(stored)s - 1) AS i
            ) AS made
            """,
            {"action": action.pk, "n": n, "stored": stored},
        )
    BulkAction.objects.filter(pk=action.pk).update(n_leads=n, n_objects=n, n_succeeded=n)
    check_invariant(action)
    count = 0
    tracemalloc.start()
    for row in all_of(action, OUTCOMES):
        count += 1
        if row.place % 50_000 == 0:
            assert not connection.in_atomic_block
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT xact_start = statement_timestamp() FROM pg_stat_activity WHERE pid = pg_backend_pid()"
                )
                assert cursor.fetchone() == (True,)  # it began with this very statement
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == n
    assert peak < 12 * 1024 * 1024
