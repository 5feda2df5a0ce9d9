"""What slices do: every lead exactly once, with evidence, whatever goes wrong."""

import time
from collections.abc import Callable
from itertools import pairwise

import pytest
from django.db import connection, transaction
from django.utils import timezone

from bulk_actions import ledger, runner
from bulk_actions.actions import change_of
from bulk_actions.models import Batch, BulkAction, Kind, LeadOutcome
from bulk_actions.runner import Slice, run_slice
from bulk_actions.services import resume
from bulk_actions.states import Status
from bulk_actions.undoing import undo
from crm.models import Lead, LeadStatus, LeadStatusChange, Membership, OutboxMail
from tests import factories
from tests.bulk_actions.helpers import (
    Elsewhere,
    caller_of,
    changed_leads,
    check_invariant,
    field_params,
    make_job,
    make_leads,
    refusing,
    run_to_end,
    status_job,
)
from tests.sessions import wait_until_blocked

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_doorbells")]


def test_a_status_edit_changes_each_lead_once_and_writes_one_activity_for_it(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    leads = make_leads(old_status, 2500) + make_leads(new_status, 30)
    action = run_to_end(status_job(membership, new_status, leads))
    assert action.status == Status.DONE
    assert (action.n_leads, action.n_succeeded, action.n_unchanged) == (2530, 2500, 30)
    assert set(Lead.objects.values_list("status", flat=True)) == {new_status.pk}
    changes = LeadStatusChange.objects.filter(bulk_action_id=action.pk)
    assert changes.count() == changes.values("lead").distinct().count() == 2500
    assert {change.old_status_id for change in changes} == {old_status.pk}
    assert set(Lead.objects.filter(pk=leads[0].pk).values_list("updated_by", flat=True)) == {membership.user_id}


def test_the_ledger_holds_what_each_changed_lead_held_before(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    third = factories.LeadStatusFactory.create(organization=membership.organization)
    leads = make_leads(old_status, 3) + make_leads(third, 2)
    action = run_to_end(status_job(membership, new_status, leads))
    before = {}
    for batch in Batch.objects.filter(action=action.pk):
        before.update(zip(batch.changed_ids, batch.before, strict=True))
    assert before == {lead.pk: str(lead.status_id) for lead in leads}


def test_a_before_image_is_right_when_another_session_edits_the_lead_at_the_same_time(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    third = factories.LeadStatusFactory.create(organization=membership.organization)
    leads = make_leads(old_status, 3)
    action = status_job(membership, new_status, leads)
    with transaction.atomic():  # an edit that has happened but not committed when the batch reads
        Lead.objects.filter(pk=leads[1].pk).update(status=third)
        job = Elsewhere(run_slice, action.pk)
        wait_until_blocked()
        assert job.running
    job.join()
    check_invariant(action)
    batch = Batch.objects.get(action=action.pk)
    assert dict(zip(batch.changed_ids, batch.before, strict=True))[leads[1].pk] == str(third.pk)


def test_leads_deleted_since_loading_are_skipped(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    leads = make_leads(old_status, 10)
    action = status_job(membership, new_status, leads)
    runner.slots.start_if_free(action)
    runner.load(action.pk)
    Lead.objects.filter(pk__in=[lead.pk for lead in leads[:4]]).update(deleted_at=timezone.now())
    Lead.all_objects.filter(pk=leads[4].pk).delete()
    action = run_to_end(action)
    assert (action.n_succeeded, action.n_skipped, action.n_leads) == (5, 5, 10)
    assert set(LeadOutcome.objects.values_list("outcome", "code")) == {("skipped", "lead_gone")}


def test_a_delete_marks_the_leads_and_says_by_which_action(membership: Membership, old_status: LeadStatus) -> None:
    leads = make_leads(old_status, 1200)
    action = run_to_end(make_job(membership, Kind.DELETE, {}, leads))
    assert action.n_succeeded == 1200
    assert not Lead.objects.exists()
    assert Lead.all_objects.filter(deleted_by_action=action.pk, deleted_at__isnull=False).count() == 1200


@pytest.mark.parametrize(
    ("operation", "value", "held", "becomes"),
    [
        ("replace", ["b"], ["a"], ["b"]),
        ("replace", ["a"], ["a"], "unchanged"),
        ("replace", ["a"], None, ["a"]),
        ("add", ["b", "a"], ["a"], ["a", "b"]),
        ("add", ["a"], ["b", "a"], "unchanged"),
        ("add", ["x", "y"], None, ["x", "y"]),
        ("remove", ["a"], ["b", "a", "c"], ["b", "c"]),
        ("remove", ["a", "b"], ["a", "b"], None),
        ("remove", ["z"], ["a"], "unchanged"),
        ("remove", ["z"], None, "unchanged"),
        ("clear", None, ["a"], None),
        ("clear", None, None, "unchanged"),
    ],
)
def test_operations_on_a_field_with_several_values(
    membership: Membership, old_status: LeadStatus, operation: str, value: object, held: object, becomes: object
) -> None:
    field = factories.CustomFieldFactory.create(
        organization=membership.organization, type="choices", accepts_multiple_values=True, choices=["a", "b"]
    )
    others = {"other": 1}
    [lead] = make_leads(old_status, 1, custom={**others, **({field.key: held} if held else {})})
    action = run_to_end(make_job(membership, Kind.EDIT, field_params(field, operation, value), [lead]))
    lead.refresh_from_db()
    if becomes == "unchanged":
        assert (action.n_unchanged, action.n_succeeded) == (1, 0)
        assert lead.custom.get(field.key) == held
    else:
        assert (action.n_unchanged, action.n_succeeded) == (0, 1)
        assert lead.custom.get(field.key) == becomes
        assert Batch.objects.get(action=action.pk).before == [held]
    assert lead.custom["other"] == 1


def test_only_the_lead_that_the_database_refuses_fails(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    leads = make_leads(old_status, 1500)
    with refusing(leads[777]):
        action = run_to_end(status_job(membership, new_status, leads))
    assert action.status == Status.DONE
    assert (action.n_succeeded, action.n_failed) == (1499, 1)
    [outcome] = LeadOutcome.objects.all()
    assert (outcome.lead_id, outcome.code) == (leads[777].pk, "refused_by_database")
    assert outcome.message == "this lead is under seal"
    assert LeadStatusChange.objects.count() == 1499


def test_a_job_whose_status_is_deleted_under_way_ends_as_an_error_and_says_so(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    action = status_job(membership, new_status, make_leads(old_status, 5))
    new_status.delete()
    action = run_to_end(action)
    assert (action.status, action.error_code, action.n_succeeded) == (Status.ERROR, "status_gone", 0)
    assert "has been deleted" in OutboxMail.objects.get(source_id=action.pk).body_text


def test_a_doorbell_for_a_finished_or_unknown_job_does_nothing(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    action = run_to_end(status_job(membership, new_status, make_leads(old_status, 5)))
    assert run_slice(action.pk) is Slice.NOTHING
    assert run_slice(new_status.pk) is Slice.NOTHING
    check_invariant(action)
    assert OutboxMail.objects.filter(source_id=action.pk).count() == 1


def test_ten_slices_at_once_change_each_lead_once(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    action = status_job(membership, new_status, make_leads(old_status, 20_000))
    slices = [Elsewhere(run_slice, action.pk, number) for number in (0, 0, 0, 0, 0, 1, 1, 2, 3, 4)]
    for one in slices:
        one.join()
    action = run_to_end(action)
    assert (action.status, action.n_succeeded) == (Status.DONE, 20_000)
    assert LeadStatusChange.objects.count() == 20_000
    assert OutboxMail.objects.filter(source_id=action.pk).count() == 1


def test_two_jobs_over_the_same_leads_wait_for_each_other(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    leads = make_leads(old_status, 10_000)
    there, back = status_job(membership, new_status, leads), status_job(membership, old_status, leads[::-1])
    slices = [Elsewhere(run_slice, action.pk, n) for action in (there, back) for n in (0, 1)]
    for one in slices:
        one.join()
    for action in (there, back):
        action = run_to_end(action)
        assert action.status == Status.DONE
        assert action.n_succeeded + action.n_unchanged == 10_000
        assert LeadStatusChange.objects.filter(bulk_action_id=action.pk).count() == action.n_succeeded


def plan_of(action: BulkAction, statement_for: Callable[..., tuple[str, dict]], *, analyze: bool = True) -> str:
    """How PostgreSQL would work the first batches of a job, which is loaded by this."""
    runner.slots.start_if_free(action)
    runner.load(action.pk)
    batches = list(Batch.objects.filter(action=action.pk).values_list("pk", flat=True))
    with transaction.atomic(), connection.cursor() as cursor:
        if analyze:
            cursor.execute("ANALYZE crm_lead")
        statement, parameters = statement_for(action, change_of(action), batches)
        cursor.execute("SET LOCAL enable_bitmapscan = off; SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {statement}", parameters)
        return "\n".join(line for (line,) in cursor.fetchall())


def test_leads_are_addressed_through_the_primary_key(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    action = status_job(membership, new_status, make_leads(old_status, 5000))
    plan = plan_of(action, ledger.statement_for)
    assert "Index Scan using crm_lead_pkey on crm_lead" in plan
    assert "Index Cond: (id = ANY" in plan
    assert "Bitmap" not in plan


def test_an_undo_right_after_a_delete_goes_through_the_primary_key_too(
    membership: Membership, old_status: LeadStatus
) -> None:
    """The statistics still say that no lead is deleted."""
    leads = make_leads(old_status, 5000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE crm_lead")
    action = run_to_end(make_job(membership, Kind.DELETE, {}, leads))
    back = undo(action=action, caller=caller_of(membership), force=False)
    plan = plan_of(back, ledger.judged_statement_for, analyze=False)
    assert "Index Scan using crm_lead_pkey on crm_lead" in plan
    assert "lead_deleted" not in plan


class Death(BaseException):
    """The worker process ends. Nothing catches it; tests/faults kills real processes."""


def make_deadly(lead: Lead, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Returns the batches that are tried from now on."""
    apply, tries = ledger.apply, []

    def deadly(action: object, change: object, batches: list[int]) -> None:
        tries.extend(batches)
        if Batch.objects.filter(pk__in=batches, lead_ids__contains=[lead.pk]).exists():
            raise Death
        apply(action, change, batches)

    monkeypatch.setattr(ledger, "apply", deadly)
    return tries


def test_a_batch_that_killed_its_worker_is_narrowed_down_to_the_guilty_lead(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    leads = make_leads(old_status, 1000)
    action = status_job(membership, new_status, leads)
    guilty = leads[533].pk
    tries = make_deadly(leads[533], monkeypatch)
    monkeypatch.setattr("django.conf.settings.BULK_CRASH_GRACE_SECONDS", 0)
    for _ in range(30):
        try:
            if run_slice(action.pk) is Slice.NOTHING:
                break
        except Death:
            continue
    check_invariant(action)
    assert (action.status, action.n_succeeded, action.n_failed) == (Status.DONE, 999, 1)
    assert LeadOutcome.objects.values_list("lead", "code").get() == (guilty, "crashed_worker")
    assert len(tries) < 80, "it is cut into pieces, not into a thousand leads at once"


def test_a_worker_that_goes_on_well_does_not_hide_the_deaths_of_another(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("django.conf.settings.BULK_STORED_BATCH", 5)
    leads = make_leads(old_status, 30)
    action = status_job(membership, new_status, leads)
    make_deadly(leads[0], monkeypatch)
    for _ in range(2):
        with pytest.raises(Death):
            run_slice(action.pk)
    with transaction.atomic():
        Batch.objects.select_for_update().get(action=action.pk, rank=1)  # the other worker has it in hand again
        assert Elsewhere(run_slice, action.pk).join() is Slice.NOTHING
    check_invariant(action)
    assert (changed_leads(action.pk), action.unfinished_starts) == (25, 2)


def test_deaths_are_forgotten_once_a_careful_slice_found_no_batch_to_suspect(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    action = status_job(membership, new_status, make_leads(old_status, 10))
    BulkAction.objects.update(unfinished_starts=9)
    run_slice(action.pk)
    check_invariant(action)
    assert (changed_leads(action.pk), action.unfinished_starts) == (10, 0)


def test_no_death_is_forgotten_while_a_batch_is_suspected(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    action = status_job(membership, new_status, make_leads(old_status, 10))
    runner.slots.start_if_free(action)
    runner.load(action.pk)
    BulkAction.objects.update(unfinished_starts=9)
    Batch.objects.update(isolated=True, tried_at=timezone.now())
    assert run_slice(action.pk) is Slice.WAIT
    check_invariant(action)
    assert (changed_leads(action.pk), action.unfinished_starts) == (0, 9)


def test_a_ceiling_is_kept(membership: Membership, old_status: LeadStatus, new_status: LeadStatus) -> None:
    action = status_job(membership, new_status, make_leads(old_status, 100), leads_per_minute=3000)
    began = time.monotonic()
    run_to_end(action)
    assert action.status == Status.DONE
    # 50 a second: 100 leads may start after one step, and are never faster than that.
    assert time.monotonic() - began >= 100 / 50 - 0.3
    done = list(Batch.objects.order_by("date_done").values_list("date_done", "n_leads"))
    for (earlier, _), (later, n_leads) in pairwise(done):
        assert n_leads <= (later - earlier).total_seconds() * 50 + 1


def test_a_bug_ends_the_job_and_its_person_hears_of_it(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble(*_: object) -> None:
        raise ZeroDivisionError

    action = status_job(membership, new_status, make_leads(old_status, 5))
    monkeypatch.setattr(ledger, "apply", stumble)
    action = run_to_end(action)
    assert (action.status, action.error_code, action.n_succeeded) == (Status.ERROR, "internal_error", 0)
    assert OutboxMail.objects.filter(source_id=action.pk).count() == 1


def test_a_worker_frozen_for_too_long_loses_its_batch_and_the_job_goes_on(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server ends an idle transaction with 25P03, which psycopg calls an internal error."""
    action = status_job(membership, new_status, make_leads(old_status, 50))
    claim = ledger.claim

    def claim_and_freeze(*args: object, **kwargs: object) -> object:
        claims = claim(*args, **kwargs)
        with connection.cursor() as cursor:
            cursor.execute("SET idle_in_transaction_session_timeout = 100")
        time.sleep(0.5)
        return claims

    monkeypatch.setattr(ledger, "claim", claim_and_freeze)
    assert run_slice(action.pk) is Slice.NOTHING
    action.refresh_from_db()
    assert (action.status, action.unfinished_starts) == (Status.PROCESSING, 1)
    monkeypatch.setattr(ledger, "claim", claim)
    action = run_to_end(action)
    assert (action.status, action.n_succeeded) == (Status.DONE, 50)
    assert LeadStatusChange.objects.count() == 50


def test_a_job_that_is_plainly_wrong_pauses_itself_and_may_be_resumed(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    action = status_job(membership, new_status, make_leads(old_status, 2000))
    monkeypatch.setattr(runner, "_ISOLATION_SECONDS", 0.2)
    with refusing():
        action = run_to_end(action)
    assert action.status == Status.PAUSED
    assert action.transitions.last().reason == "too_many_failures"
    n_failed = LeadOutcome.objects.count()
    assert 200 <= n_failed < 2000
    resume(action=action, by=membership.user)
    action = run_to_end(action)
    assert (action.status, action.n_failed, action.n_succeeded) == (Status.DONE, n_failed, 2000 - n_failed)


def test_a_deadlock_in_careful_work_accuses_no_lead(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    action = status_job(membership, new_status, make_leads(old_status, 30))
    BulkAction.objects.update(unfinished_starts=100)
    apply, calls = ledger.apply, []

    def collide(*args: object) -> None:
        calls.append(args)
        if len(calls) == 1:
            with connection.cursor() as cursor:
                cursor.execute("DO $$ BEGIN RAISE EXCEPTION 'deadlock' USING ERRCODE = '40P01'; END $$")
        apply(*args)

    monkeypatch.setattr(ledger, "apply", collide)
    monkeypatch.setattr("django.conf.settings.BULK_CRASH_GRACE_SECONDS", 0)
    action = run_to_end(action)
    assert (action.status, action.n_succeeded, action.n_failed) == (Status.DONE, 30, 0)
