"""Bulk changes of sequence subscriptions: an outcome for each, evidence for an undo, nobody in a sequence twice."""

from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone
from pytest_django import Settings

from bulk_actions import slots
from bulk_actions.actions import describe
from bulk_actions.loading import load
from bulk_actions.models import Batch, BulkAction, Kind, LeadOutcome
from bulk_actions.previews import preview
from bulk_actions.progress import progress_of
from bulk_actions.results import all_of, page_of
from bulk_actions.retrying import retry
from bulk_actions.runner import run_slice
from bulk_actions.seals import token_of
from bulk_actions.services import Order, create_bulk_action, pause, resume
from bulk_actions.states import Status
from bulk_actions.targets import OUTCOMES, node_of
from bulk_actions.undoing import undo
from crm.models import Lead, LeadStatus, MailState, Membership, OutboxMail, Sequence, SequenceStep, SequenceSubscription
from crm.sequences import engine
from crm.sequences.rules import delete_sequence, update_sequence
from search.compiler import matching
from search.nodes import Ids
from search.resolve import Resolved
from tests import factories
from tests.bulk_actions.helpers import (
    Elsewhere,
    caller_of,
    check_invariant,
    make_job,
    make_leads,
    run_to_end,
)
from tests.bulk_actions.mailing import people, with_address
from tests.crm.sequences.conftest import World
from tests.sessions import wait_until_blocked

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_doorbells")]


@pytest.fixture
def world(membership: Membership) -> World:
    return World.of(membership)


@pytest.fixture
def sequence(world: World) -> Sequence:
    return world.sequence({}, {"delay": 3600})


def params_of(world: World, action_type: str, sequence: Sequence | None, **more: object) -> dict[str, object]:
    is_new = action_type == "subscribe"
    sender = is_new or action_type == "reassign"
    return {
        "action_type": action_type,
        "sequence_id": str(sequence.pk) if sequence else None,
        "contact_preference": "lead" if is_new else None,
        "sender_account_id": str(world.account.pk) if sender else None,
        "sender_name": "Jo Field" if sender else None,
        "sender_email": "jo@oakvale.example" if sender else None,
        "calls_assigned_to": None,
        **more,
    }


def job(
    world: World,
    action_type: str,
    sequence: Sequence | None,
    leads: list[Lead],
    *,
    order: dict | None = None,
    **more: object,
) -> BulkAction:
    params = params_of(world, action_type, sequence, **more)
    return make_job(world.membership, Kind.SEQUENCE_SUBSCRIPTION, params, leads, **(order or {}))


def subscribed(world: World, sequence: Sequence, leads: list[Lead], **more: object) -> BulkAction:
    return run_to_end(job(world, "subscribe", sequence, leads, **more))


def undone(action: BulkAction, world: World, *, force: bool = False) -> BulkAction:
    return run_to_end(undo(action=action, caller=caller_of(world.membership), force=force))


def counts(action: BulkAction) -> tuple[int | None, ...]:
    return action.n_succeeded, action.n_unchanged, action.n_skipped, action.n_failed


def told(action: BulkAction) -> list[tuple[str | None, str, str | None]]:
    return sorted(((row.email, row.outcome, row.code) for row in all_of(action, OUTCOMES)), key=str)


def states() -> Counter[tuple[str, str | None]]:
    return Counter(SequenceSubscription.objects.values_list("status", "status_reason"))


def looks() -> list[tuple]:
    """Everything of the subscriptions that a job may change."""
    columns = (
        "pk", "status", "status_reason", "next_step", "next_at", "waiting_task", "sender_account", "sender_name",
        "sender_email", "calls_assigned_to",
    )  # fmt: skip
    return list(SequenceSubscription.objects.order_by("pk").values_list(*columns))


def test_the_first_contact_of_each_lead_is_subscribed_once(
    world: World, sequence: Sequence, status: LeadStatus
) -> None:
    leads = people(status, 1500)
    action = subscribed(world, sequence, leads)

    assert (action.status, action.n_leads, action.n_objects, *counts(action)) == (
        Status.DONE,
        1500,
        1500,
        1500,
        0,
        0,
        0,
    )
    assert states() == {("active", None): 1500}
    one = SequenceSubscription.objects.get(lead=leads[3])
    assert (one.contact_email, one.bulk_action_id, one.next_step, one.steps_done) == (
        "ida3@moss.example", action.pk, sequence.steps.first(), 0,
    )  # fmt: skip
    assert (one.sender_account_id, one.sender_name, one.created_by) == (
        world.account.pk, "Jo Field", world.membership.user,
    )  # fmt: skip
    again = subscribed(world, sequence, leads)
    assert (counts(again), states()) == ((0, 0, 1500, 0), {("active", None): 1500})
    assert {code for _, _, code in told(again)} == {"already_subscribed"}


def test_every_contact_has_an_outcome_and_a_lead_without_one_is_one_skipped_row(
    world: World, sequence: Sequence, status: LeadStatus
) -> None:
    several, none, bare, gone = make_leads(status, 4)
    with_address(several, "a@moss.example", "a2@moss.example")
    with_address(several, "b@moss.example")
    known = with_address(several, "c@moss.example")
    with_address(bare)
    with_address(bare)
    with_address(gone, "gone@moss.example")
    world.subscribe(sequence, known, status="finished")
    action = job(world, "subscribe", sequence, [several, none, bare, gone], contact_preference="contact")
    slots.start_if_free(action)
    load(action.pk)
    Lead.objects.filter(pk=gone.pk).update(deleted_at=timezone.now())

    run_to_end(action)

    assert told(action) == [
        ("a@moss.example", "succeeded", None),
        ("b@moss.example", "succeeded", None),
        ("c@moss.example", "skipped", "already_subscribed"),
        (None, "skipped", "lead_gone"),
        (None, "skipped", "no_address"),
        (None, "skipped", "no_address"),
    ]
    assert (action.n_leads, action.n_objects, *counts(action)) == (4, 6, 2, 0, 4, 0)
    assert all(row.message for row in all_of(action, ("skipped",)))
    walked, after = [], 0
    while page := page_of(action, OUTCOMES, after=after, size=1):
        walked += page
        after = page[-1].key
    assert walked == list(all_of(action, OUTCOMES))
    ids = {row.subscription_id for row in walked if row.outcome == "succeeded"}
    assert ids == set(SequenceSubscription.objects.filter(bulk_action_id=action.pk).values_list("pk", flat=True))


OVER = {"next_step": None, "next_at": None, "steps_done": 1}


@pytest.mark.parametrize(
    ("action_type", "expected"),
    [
        ("pause", {"active": "succeeded", "paused": "unchanged", "finished": "wrong_status", "goal": "wrong_status"}),
        ("resume", {"active": "unchanged", "paused": "succeeded", "finished": "wrong_status", "error": "wrong_status"}),
        (
            "resume_finished",
            {"active": "unchanged", "paused": "wrong_status", "finished": "succeeded", "goal": "wrong_status"},
        ),
        ("reassign", {"active": "succeeded", "paused": "succeeded", "finished": "wrong_status"}),
    ],
)
def test_each_action_changes_those_that_it_is_for_and_its_undo_and_that_of_the_undo_take_it_back(
    world: World, sequence: Sequence, status: LeadStatus, action_type: str, expected: dict[str, str]
) -> None:
    other = world.sequence({}, {})
    leads = people(status, len(expected) + 1)
    for lead, state in zip(leads, expected, strict=False):
        contact = lead.contacts.get()
        over = OVER if state == "finished" else {}
        world.subscribe(sequence, contact, status=state, **over)
        world.subscribe(other, contact, status=state, **over)
    before = looks()
    forecast = preview(order=_order(world, action_type, sequence, leads, sender_name="Bo"), caller=world.caller)

    sender = {"sender_name": "Bo"} if action_type == "reassign" else {}
    action = run_to_end(job(world, action_type, sequence, leads, **sender))

    outcomes = {row.email: row.code or row.outcome for row in all_of(action, OUTCOMES)}
    assert outcomes == {None: "not_subscribed"} | {
        f"ida{place}@moss.example": outcome for place, outcome in enumerate(expected.values())
    }
    assert forecast.subscriptions is not None
    assert (forecast.subscriptions.would_change, forecast.subscriptions.already_equal) == counts(action)[:2]
    assert sum(n for _, _, n in forecast.subscriptions.blocked) == action.n_skipped
    untouched = SequenceSubscription.objects.filter(sequence=other).order_by("pk").values_list("pk", "status")
    assert [pair for pair in ((row[0], row[1]) for row in before) if pair in set(untouched)] == list(untouched)
    after = looks()
    assert after != before
    back = undone(action, world)
    assert (counts(back)[0], counts(back)[2:]) == (action.n_succeeded, (0, 0))
    assert looks() == before
    assert counts(undone(back, world))[0] == action.n_succeeded
    assert looks() == after


def _order(world: World, action_type: str, sequence: Sequence | None, leads: list[Lead], **more: object) -> Order:
    params = params_of(world, action_type, sequence, **(more if action_type == "reassign" else {}))
    resolved = Resolved("lead", Ids(tuple(lead.pk for lead in leads))).to_json()
    return Order(
        kind=Kind.SEQUENCE_SUBSCRIPTION, params=params, s_query=None, resolved_query=resolved, sort=[],
        results_limit=None, send_done_email=True, leads_per_minute=None,
    )  # fmt: skip


def test_without_a_sequence_those_of_every_sequence_are_meant(world: World, status: LeadStatus) -> None:
    leads = people(status, 2)
    for sequence in (world.sequence({}), world.sequence({})):
        for lead in leads:
            world.subscribe(sequence, lead.contacts.get())
    action = run_to_end(job(world, "pause", None, leads))
    assert (action.n_leads, action.n_objects, action.n_succeeded) == (2, 4, 4)
    assert states() == {("paused", "bulk-action"): 4}
    assert describe(action) == "Pause the subscriptions of every sequence"


def test_another_organization_is_left_alone(world: World, status: LeadStatus, sequence: Sequence) -> None:
    foreign = factories.LeadFactory.create()
    with_address(foreign, "eve@x.example")
    action = subscribed(world, sequence, [foreign, *people(status, 1)])
    assert (action.n_leads, action.n_succeeded) == (1, 1)


def test_a_paused_subscription_keeps_its_mail_back_until_the_undo(
    world: World, sequence: Sequence, status: LeadStatus
) -> None:
    leads = people(status, 3)
    subscribed(world, sequence, leads)
    SequenceSubscription.objects.update(next_at=timezone.now() - timedelta(minutes=1))
    engine.tick()
    assert OutboxMail.objects.filter(purpose="sequence", state=MailState.RESERVED).count() == 3

    action = run_to_end(job(world, "pause", sequence, leads))
    assert OutboxMail.objects.filter(purpose="sequence", state=MailState.WITHHELD).count() == 3
    undone(action, world)

    assert OutboxMail.objects.filter(purpose="sequence", state=MailState.RESERVED).count() == 3
    assert states() == {("active", None): 3}


def test_the_undo_of_a_subscribe_pauses_who_still_runs_and_leaves_the_others(
    world: World, sequence: Sequence, status: LeadStatus
) -> None:
    leads = people(status, 5)
    action = subscribed(world, sequence, leads)
    runs, ended, stopped, deleted, gone = (SequenceSubscription.objects.get(lead=lead) for lead in leads)
    SequenceSubscription.objects.filter(pk=ended.pk).update(status="goal", status_reason="reply-received")
    SequenceSubscription.objects.filter(pk=stopped.pk).update(status="paused", status_reason="manual")
    deleted.delete()
    Lead.objects.filter(pk=gone.lead_id).update(deleted_at=timezone.now())

    back = undone(action, world, force=True)

    assert {row.lead_id: row.code or row.outcome for row in all_of(back, OUTCOMES)} == {
        runs.lead_id: "succeeded",
        ended.lead_id: "changed_since",
        stopped.lead_id: "succeeded",  # with force
        leads[3].pk: "subscription_gone",
        gone.lead_id: "lead_gone",
    }
    assert states() == {("paused", "bulk-action"): 2, ("goal", "reply-received"): 1, ("active", None): 1}
    retried = run_to_end(retry(action=back, outcomes=("skipped",), caller=caller_of(world.membership)))
    assert (retried.n_leads, counts(retried)) == (3, (0, 0, 3, 0))
    further = undone(back, world)
    assert counts(further) == (2, 0, 0, 0)
    assert states()["paused", "manual"] == 1


def test_what_was_changed_since_is_not_restored_but_with_force(
    world: World, sequence: Sequence, status: LeadStatus
) -> None:
    leads = people(status, 2)
    subscribed(world, sequence, leads)
    other = factories.EmailAccountFactory.create(organization=world.membership.organization)
    action = run_to_end(job(world, "reassign", sequence, leads, sender_name="Bo", sender_account_id=str(other.pk)))
    SequenceSubscription.objects.filter(lead=leads[0]).update(sender_name="Somebody")
    assert told(undone(action, world)) == [
        ("ida0@moss.example", "skipped", "changed_since"),
        ("ida1@moss.example", "succeeded", None),
    ]
    assert list(SequenceSubscription.objects.order_by("pk").values_list("sender_name", flat=True)) == [
        "Somebody", "Jo Field",
    ]  # fmt: skip
    second = run_to_end(job(world, "reassign", sequence, leads, sender_name="Cy", sender_account_id=str(other.pk)))
    SequenceSubscription.objects.update(sender_name="Dee")
    assert counts(undone(second, world, force=True)) == (2, 0, 0, 0)


def test_an_account_that_is_gone_is_not_given_back(world: World, sequence: Sequence, status: LeadStatus) -> None:
    leads = people(status, 1)
    subscribed(world, sequence, leads)
    other = factories.EmailAccountFactory.create(organization=world.membership.organization)
    action = run_to_end(job(world, "reassign", sequence, leads, sender_account_id=str(other.pk)))
    world.account.delete()
    assert told(undone(action, world)) == [("ida0@moss.example", "skipped", "value_gone")]


def test_the_callers_alone_can_be_reassigned_and_are_given_back(
    world: World, sequence: Sequence, status: LeadStatus
) -> None:
    leads = people(status, 1)
    subscribed(world, sequence, leads)
    nobody = dict.fromkeys(("sender_account_id", "sender_name", "sender_email"))
    caller = world.membership.user_id
    action = run_to_end(job(world, "reassign", sequence, leads, **nobody, calls_assigned_to=[str(caller)]))
    one = SequenceSubscription.objects.get()
    assert (one.calls_assigned_to, one.sender_name) == ([caller], "Jo Field")
    undone(action, world)
    assert SequenceSubscription.objects.get().calls_assigned_to is None


def test_an_undo_does_not_wake_what_its_sequence_holds(world: World, sequence: Sequence, status: LeadStatus) -> None:
    leads = people(status, 1)
    subscribed(world, sequence, leads)
    action = run_to_end(job(world, "pause", sequence, leads))
    update_sequence(caller=world.caller, sequence_id=sequence.pk, columns={"status": "paused"}, steps=None)
    back = undone(action, world)
    assert told(back) == [("ida0@moss.example", "skipped", "sequence_not_active")]
    update_sequence(caller=world.caller, sequence_id=sequence.pk, columns={"status": "active"}, steps=None)
    again = run_to_end(retry(action=back, outcomes=("skipped",), caller=caller_of(world.membership)))
    assert (counts(again), states()) == ((1, 0, 0, 0), {("active", None): 1})


@pytest.mark.parametrize(
    ("action_type", "happened", "code"),
    [
        ("subscribe", "deleted", "sequence_gone"),
        ("subscribe", "paused", "sequence_not_active"),
        ("subscribe", "closed", "sequence_closed"),
        ("subscribe", "emptied", "sequence_empty"),
        ("subscribe", "account", "account_gone"),
        ("pause", "deleted", "sequence_gone"),
        ("reassign", "account", "account_gone"),
    ],
)
def test_a_job_that_can_never_be_done_ends_with_an_error(
    world: World, sequence: Sequence, status: LeadStatus, action_type: str, happened: str, code: str
) -> None:
    action = job(world, action_type, sequence, people(status, 2))
    match happened:
        case "deleted":
            delete_sequence(caller=world.caller, sequence_id=sequence.pk)
        case "paused":
            Sequence.objects.update(status="paused")
        case "closed":
            Sequence.objects.update(allow_manual_enrollment=False)
        case "emptied":
            SequenceStep.objects.all().delete()
        case "account":
            world.account.delete()
    run_to_end(action)
    assert (action.status, action.error_code) == (Status.ERROR, code)
    assert not SequenceSubscription.objects.exists()


def test_two_jobs_at_once_subscribe_a_contact_once(world: World, sequence: Sequence, status: LeadStatus) -> None:
    leads = people(status, 1200)
    first, second = (job(world, "subscribe", sequence, leads) for _ in range(2))
    elsewhere = Elsewhere(run_slice, first.pk)
    run_slice(second.pk)
    elsewhere.join()
    run_to_end(first), run_to_end(second)
    assert SequenceSubscription.objects.count() == 1200
    assert first.n_succeeded + second.n_succeeded == 1200 == first.n_skipped + second.n_skipped


def test_what_was_before_is_what_another_session_has_just_written(
    world: World, sequence: Sequence, status: LeadStatus
) -> None:
    leads = people(status, 2)
    subscribed(world, sequence, leads)
    action = job(world, "reassign", sequence, leads, sender_name="Bo")
    with transaction.atomic():
        SequenceSubscription.objects.filter(lead=leads[0]).update(sender_name="Late")
        SequenceSubscription.objects.filter(lead=leads[1]).update(status="goal", status_reason="reply-received")
        worker = Elsewhere(run_slice, action.pk)
        wait_until_blocked()
    worker.join()
    run_to_end(action)
    assert told(action) == [
        ("ida0@moss.example", "succeeded", None),
        ("ida1@moss.example", "skipped", "wrong_status"),
    ]
    [batch] = Batch.objects.filter(action=action.pk)
    assert [held["sender_name"] for held in batch.before] == ["Late"]


def test_a_pause_stops_the_job_and_a_resume_finishes_it(
    world: World, sequence: Sequence, status: LeadStatus, settings: Settings
) -> None:
    settings.BULK_STORED_BATCH = 10
    leads = people(status, 60)
    action = job(world, "subscribe", sequence, leads, order={"leads_per_minute": 600})
    run_slice(action.pk)
    pause(action=action, by=world.membership.user)
    done = SequenceSubscription.objects.count()
    check_invariant(action)
    run_slice(action.pk)
    assert SequenceSubscription.objects.count() == done < 60
    resume(action=action, by=world.membership.user, leads_per_minute=None)
    run_to_end(action)
    assert (action.status, action.n_succeeded, SequenceSubscription.objects.count()) == (Status.DONE, 60, 60)


def test_a_canary_pauses_behind_its_leads(world: World, sequence: Sequence, status: LeadStatus) -> None:
    action = job(world, "subscribe", sequence, people(status, 9), order={"canary_leads": 4})
    run_to_end(action)
    progress = progress_of([action])[action.pk]
    assert (action.status, progress.n_succeeded, progress.n_leads_processed) == (Status.PAUSED, 4, 4)
    resume(action=action, by=world.membership.user)
    run_to_end(action)
    assert (action.status, action.n_succeeded) == (Status.DONE, 9)


def test_a_lead_that_no_longer_matches_is_skipped_where_that_was_asked_for(
    world: World, sequence: Sequence, status: LeadStatus
) -> None:
    leads = people(status, 3)
    earlier = run_to_end(job(world, "subscribe", world.sequence({}), leads))
    resolved = Resolved("lead", node_of(earlier, ("succeeded",))).to_json()
    order = {"on_changed": "skip", "resolved_query": resolved}
    params = params_of(world, "subscribe", sequence)
    action = create_bulk_action(
        order=Order(
            kind=Kind.SEQUENCE_SUBSCRIPTION, params=params, s_query=None, sort=[], results_limit=None,
            send_done_email=False, leads_per_minute=None, **order,
        ),
        caller=world.caller,
    )  # fmt: skip
    slots.start_if_free(action)
    load(action.pk)
    Batch.objects.filter(action=earlier.pk).update(
        subscription_ids=None, subscription_places=None, before=None, n_succeeded=0, n_skipped=3
    )
    LeadOutcome.objects.bulk_create(
        LeadOutcome(
            action=earlier,
            batch=Batch.objects.get(action=earlier.pk),
            lead=lead,
            outcome="skipped",
            code="x",
            message="",
        )
        for lead in leads
    )
    run_to_end(action)
    assert {code for _, _, code in told(action)} == {"no_longer_matches"}
    assert counts(action) == (0, 0, 3, 0)


def test_a_sealed_preview_is_the_forecast_of_the_job_over_its_leads(
    world: World, sequence: Sequence, status: LeadStatus
) -> None:
    leads = people(status, 4)
    with_address(make_leads(status, 1)[0])
    world.subscribe(sequence, leads[0].contacts.get())
    order = _order(world, "subscribe", sequence, list(Lead.objects.order_by("pk")))
    forecast = preview(order=order, caller=world.caller, seal=True)
    told_before = forecast.subscriptions
    assert told_before is not None
    assert forecast.sealed is not None
    assert token_of(forecast.sealed)
    assert (forecast.n_leads, told_before.n_objects, told_before.would_change) == (5, 5, 3)
    assert {(code, n) for code, _, n in told_before.blocked} == {("already_subscribed", 1), ("no_address", 1)}
    assert [(one.email, one.before, one.after) for one in told_before.samples] == [
        (f"ida{n}@moss.example", None, {"status": "active", "status_reason": None}) for n in (1, 2, 3)
    ]
    people(status, 2)  # later, and not meant
    Lead.objects.filter(pk=leads[3].pk).update(deleted_at=timezone.now())

    action = create_bulk_action(
        order=Order(**{**vars(order), "preview_id": forecast.sealed.pk}), caller=caller_of(world.membership)
    )
    run_to_end(action)

    assert (action.n_leads, *counts(action)) == (5, 2, 0, 3, 0)
    assert "lead_gone" in {code for _, _, code in told(action)}


def test_only_the_contact_that_the_database_refuses_fails_and_a_retry_takes_it(
    world: World, sequence: Sequence, status: LeadStatus
) -> None:
    leads = people(status, 8)
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'this contact is under seal'; END $$;"
            "CREATE TRIGGER refuse BEFORE INSERT ON crm_sequencesubscription FOR EACH ROW"
            " WHEN (new.contact_email = 'ida5@moss.example') EXECUTE FUNCTION refuse();"
        )
    try:
        action = run_to_end(job(world, "subscribe", sequence, leads))
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TRIGGER refuse ON crm_sequencesubscription; DROP FUNCTION refuse();")
    assert counts(action) == (7, 0, 0, 1)
    [failed] = all_of(action, ("failed",))
    assert (failed.lead_id, failed.code, failed.message) == (
        leads[5].pk, "refused_by_database", "this contact is under seal",
    )  # fmt: skip
    again = run_to_end(retry(action=action, outcomes=("failed",), caller=caller_of(world.membership)))
    assert (again.n_leads, counts(again)) == (1, (1, 0, 0, 0))


def test_a_query_finds_the_leads_by_the_outcome_of_their_contacts(
    world: World, sequence: Sequence, status: LeadStatus
) -> None:
    leads = people(status, 2)
    bare = make_leads(status, 1)
    action = subscribed(world, sequence, [*leads, *bare])
    organization = world.membership.organization_id
    for outcome, expected in (("succeeded", leads), ("skipped", bare), ("unchanged", [])):
        found = matching(Resolved("lead", node_of(action, (outcome,))), organization)
        assert set(found.values_list("pk", flat=True)) == {lead.pk for lead in expected}
