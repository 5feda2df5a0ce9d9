"""The engine: what a tick does to subscriptions that are due, by a clock that the test turns."""

import sys
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from time import monotonic
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from crm.mail import suppression
from crm.models import (
    Activity,
    Contact,
    EmailTemplate,
    Lead,
    Membership,
    OutboxMail,
    Sequence,
    SequenceSubscription,
    SmsTemplate,
    Task,
)
from crm.sequences import engine, states
from crm.tasks_to_do import delete_task, update_task, update_tasks
from tests import factories
from tests.crm.sequences.conftest import World

StatusOf = Callable[[SequenceSubscription], tuple[str, str | None]]
DAY = 86_400
CALL = {"step_type": "call"}
WORKDAYS = {"ranges": [{"weekday": day, "start": "09:00", "end": "16:59"} for day in range(1, 6)]}


def test_steps_follow_each_other_by_their_delays_and_then_it_is_finished(world: World, status_of: StatusOf) -> None:
    one = world.subscribe(world.sequence({}, {"delay": 2 * DAY}, {"delay": DAY}))
    assert world.clock.tick() == 1
    assert world.clock.tick() == 0, "the second is not due yet"
    world.mails_left()
    assert world.clock.pass_(days=2, seconds=-1) == 0
    assert world.clock.pass_(seconds=1) == 1
    world.mails_left()
    assert status_of(one) == ("active", None)
    assert (one.steps_done, one.next_at) == (2, world.clock.now + timedelta(days=1))
    world.clock.pass_(days=1)
    assert status_of(one) == ("finished", None)
    assert (one.steps_done, one.next_step_id, one.next_at) == (3, None, None)
    mails = OutboxMail.objects.order_by("id")
    assert [(mail.purpose, mail.source_id, mail.step) for mail in mails] == [
        ("sequence", one.pk, "1"), ("sequence", one.pk, "2"), ("sequence", one.pk, "3"),
    ]  # fmt: skip


def test_a_mail_is_rendered_for_its_contact_and_shown_as_an_activity(world: World) -> None:
    contact = world.contact(name="髙橋 明日香")
    one = world.subscribe(world.sequence({}), contact)
    world.clock.tick()
    mail, activity = OutboxMail.objects.get(), Activity.objects.get()
    assert (mail.address, mail.sender, mail.account_id) == (
        "ida@oakvale.example", "Jo Field <jo@oakvale.example>", world.account.pk,
    )  # fmt: skip
    assert mail.body_html == "<p>Hello 髙橋 明日香</p>"
    assert (mail.activity_id, mail.lead_id, mail.contact_id) == (activity.pk, contact.lead_id, contact.pk)
    assert (activity.status, activity.direction, activity.title) == ("outbox", "outgoing", mail.subject)
    assert activity.details["sequence_subscription_id"] == str(one.pk)
    assert activity.details["message_ids"] == [mail.message_id]
    world.template.refresh_from_db()
    assert world.template.last_used_at is not None


def test_attachments_of_the_template_are_links_at_the_end(world: World) -> None:
    EmailTemplate.objects.update(attachments=[{"url": "https://oakvale.example/a.pdf", "filename": "a.pdf"}])
    world.subscribe(world.sequence({}))
    world.clock.tick()
    mail = OutboxMail.objects.get()
    assert mail.body_text.endswith("a.pdf: https://oakvale.example/a.pdf")
    assert '<a href="https://oakvale.example/a.pdf">a.pdf</a>' in mail.body_html
    assert Activity.objects.get().details["attachments"][0]["filename"] == "a.pdf"


def test_an_old_thread_answers_the_mails_before_it(world: World) -> None:
    follow = {"delay": DAY, "threading": "old_thread"}
    world.subscribe(world.sequence({"threading": "new_thread"}, follow, follow, {**follow, "threading": "new_thread"}))
    for _ in range(4):
        world.clock.pass_(days=1)
        world.mails_left()
    first, second, third, fourth = OutboxMail.objects.order_by("id")
    assert (first.headers, fourth.headers) == ({}, {})
    assert [mail.subject for mail in (first, second, third, fourth)] == [
        "Hello Ida", "Re: Hello Ida", "Re: Hello Ida", "Hello Ida",
    ]  # fmt: skip
    assert second.headers == {"In-Reply-To": first.message_id, "References": first.message_id}
    assert third.headers == {
        "In-Reply-To": second.message_id,
        "References": f"{first.message_id} {second.message_id}",
    }


def test_a_mail_is_not_written_while_the_one_before_it_waits_in_the_outbox(world: World, status_of: StatusOf) -> None:
    one = world.subscribe(world.sequence({}, {"delay": 60}))
    world.clock.tick()
    world.clock.pass_(hours=1)
    assert OutboxMail.objects.count() == 1
    assert status_of(one) == ("active", None)
    world.mails_left()
    world.clock.pass_(minutes=10)
    assert OutboxMail.objects.count() == 2


def test_a_mail_that_was_refused_ends_the_subscription_before_the_next_one(world: World, status_of: StatusOf) -> None:
    one = world.subscribe(world.sequence({}, {"delay": 60}))
    world.clock.tick()
    OutboxMail.objects.update(state="error")
    world.clock.pass_(minutes=1)
    assert status_of(one) == ("error", "account-failures")


@pytest.mark.parametrize(
    ("start", "sent"),
    [
        # Summer time begins on Sunday, 30 March 2031, and ends on Sunday, 26 October, in Riga.
        ("2031-03-21T15:00", ["2031-03-21T15:00", "2031-03-24T15:00", "2031-03-27T15:00", "2031-03-31T09:00"]),
        ("2031-03-27T08:00", ["2031-03-27T09:00", "2031-03-31T09:00", "2031-04-03T09:00", "2031-04-07T09:00"]),
        ("2031-10-20T16:59", ["2031-10-20T16:59", "2031-10-23T16:59", "2031-10-27T09:00", "2031-10-30T09:00"]),
        ("2031-10-23T09:30", ["2031-10-23T09:30", "2031-10-27T09:00", "2031-10-30T09:00", "2031-11-03T09:00"]),
    ],
)
def test_weeks_across_a_change_of_the_clock_keep_the_hours_of_the_zone(
    world: World, start: str, sent: list[str]
) -> None:
    zone = ZoneInfo("Europe/Riga")
    world.clock.now = datetime.fromisoformat(start).replace(tzinfo=zone).astimezone(UTC)
    world.subscribe(world.sequence({}, *[{"delay": 3 * DAY}] * 3, schedule=WORKDAYS))
    seen: list[str] = []
    for _ in range(21 * 24 * 4):  # three weeks, a tick each quarter of an hour
        before = OutboxMail.objects.count()
        world.clock.tick()
        if OutboxMail.objects.count() > before:
            seen.append(f"{world.clock.now.astimezone(zone):%Y-%m-%dT%H:%M}")
            world.mails_left()
        due = SequenceSubscription.objects.get().next_at
        if due is None:
            break
        world.clock.now = max(due, world.clock.now + timedelta(minutes=1))
    assert seen == sent


def test_a_delay_is_elapsed_time_also_across_a_change_of_the_clock(world: World) -> None:
    world.clock.now = datetime(2031, 3, 29, 10, 0, tzinfo=UTC)
    one = world.subscribe(world.sequence({}, {"delay": DAY}))
    world.clock.tick()
    one.refresh_from_db()
    assert one.next_at == datetime(2031, 3, 30, 10, 0, tzinfo=UTC), "11 o'clock in summer time, after 24 hours"


def test_what_became_due_while_nothing_ran_still_waits_for_a_window(world: World) -> None:
    one = world.subscribe(world.sequence({}, schedule=WORKDAYS))
    world.clock.now = datetime(2031, 6, 8, 12, 0, tzinfo=UTC)  # a Sunday: the engine was down
    world.clock.tick()
    one.refresh_from_db()
    assert one.next_at == datetime(2031, 6, 9, 6, 0, tzinfo=UTC), "09:00 in Riga"
    assert not OutboxMail.objects.exists()


# --- calls and messages -----------------------------------------------------------------------------------------------
def test_a_required_call_is_waited_for(world: World, status_of: StatusOf) -> None:
    one = world.subscribe(world.sequence(CALL, {"delay": DAY}))
    world.clock.tick()
    task = Task.objects.get()
    assert (task.type, task.assigned_to_id, task.due_at) == ("outgoing_call", world.membership.user_id, world.clock.now)
    assert "Ida Moss" in task.text
    world.clock.pass_(days=30)
    assert (Task.objects.count(), OutboxMail.objects.count()) == (1, 0)
    update_task(task_id=task.pk, organization=one.organization, by=world.membership.user, columns={"is_complete": True})
    world.clock.tick()
    status_of(one)
    assert (one.steps_done, one.next_at) == (1, world.clock.now + timedelta(days=1))
    world.clock.pass_(days=1)
    assert OutboxMail.objects.count() == 1


@pytest.mark.parametrize("how", ["many at once", "deleted"])
def test_a_call_is_over_however_its_task_goes(world: World, status_of: StatusOf, how: str) -> None:
    one = world.subscribe(world.sequence(CALL))
    world.clock.tick()
    task = Task.objects.get()
    if how == "deleted":
        delete_task(task_id=task.pk, organization=one.organization)
    else:
        update_tasks(
            tasks=Task.objects.filter(is_complete=False),
            organization=one.organization,
            by=world.membership.user,
            columns={"is_complete": True},
        )
    world.clock.tick()
    assert status_of(one) == ("finished", None)


def test_a_required_call_that_nobody_made_in_time_pauses_and_is_asked_for_anew(
    world: World, status_of: StatusOf
) -> None:
    one = world.subscribe(world.sequence({**CALL, "step_allowed_delay": DAY}))
    world.clock.tick()
    world.clock.pass_(days=1, seconds=-1)
    assert status_of(one) == ("active", None)
    world.clock.pass_(seconds=1)
    assert status_of(one) == ("paused", "pending-call-timed-out")
    assert states.resume("id = %(id)s", {"id": one.pk}) == [one.pk]
    world.clock.tick()
    assert status_of(one) == ("active", None)
    assert Task.objects.count() == 2


def test_a_call_that_is_not_required_is_waited_for_no_longer_than_it_says(world: World, status_of: StatusOf) -> None:
    at_once = world.subscribe(world.sequence({**CALL, "required": False}, {"delay": DAY}))
    later = world.subscribe(
        world.sequence({**CALL, "required": False, "step_allowed_delay": DAY}), world.contact("bo@oakvale.example")
    )
    world.clock.tick()
    assert (status_of(at_once), at_once.steps_done) == (("active", None), 1)
    assert (status_of(later), later.steps_done) == (("active", None), 0)
    world.clock.pass_(days=1)
    assert status_of(later) == ("finished", None)
    assert not Task.objects.filter(is_complete=True).exists()


def test_a_message_becomes_a_task_with_its_text(world: World) -> None:
    template = SmsTemplate.objects.create(
        organization=world.membership.organization, name="Nudge", text="Hi {{ contact.first_name }}!"
    )
    contact = world.contact()
    contact.phones.create(organization=contact.organization, phone="+15550100123")
    world.subscribe(world.sequence({"step_type": "sms", "sms_template": template}), contact)
    world.clock.tick()
    task = Task.objects.get()
    assert task.type == "lead"
    assert "+15550100123" in task.text
    assert task.text.endswith("Hi Ida!")


def test_calls_go_to_those_who_are_named_and_still_there(world: World, status_of: StatusOf) -> None:
    there = factories.MembershipFactory.create(organization=world.membership.organization)
    left = factories.MembershipFactory.create(organization=world.membership.organization, is_active=False)
    sequence = world.sequence(CALL)
    world.subscribe(sequence, calls_assigned_to=[left.user_id, there.user_id])
    world.clock.tick()
    assert Task.objects.get().assigned_to_id == there.user_id
    Membership.objects.update(is_active=False)
    nobody = world.subscribe(sequence, world.contact("bo@oakvale.example"))
    world.clock.tick()
    assert status_of(nobody) == ("paused", "assignees-missing")


# --- what stops it ----------------------------------------------------------------------------------------------------
def lead_is_deleted(world: World, one: SequenceSubscription) -> None:
    Lead.objects.update(deleted_at=world.clock.now)


def contact_lost_its_lead(world: World, one: SequenceSubscription) -> None:
    Contact.objects.update(lead=None)


def account_is_deleted(world: World, one: SequenceSubscription) -> None:
    world.account.delete()


def account_has_another_address(world: World, one: SequenceSubscription) -> None:
    type(world.account).objects.update(sender_email="eve@oakvale.example")


def member_left(world: World, one: SequenceSubscription) -> None:
    type(world.account).objects.update(user=world.membership.user)
    Membership.objects.update(is_active=False)


def address_unsubscribed(world: World, one: SequenceSubscription) -> None:
    SequenceSubscription.objects.update(status="paused")  # so that the event passes it by
    suppression.suppress(one.organization_id, one.contact_email, "unsubscribed")
    SequenceSubscription.objects.update(status="active")


def address_bounced(world: World, one: SequenceSubscription) -> None:
    SequenceSubscription.objects.update(status="paused")
    suppression.suppress(one.organization_id, one.contact_email, "bounced")
    SequenceSubscription.objects.update(status="active")


def value_is_missing(world: World, one: SequenceSubscription) -> None:
    EmailTemplate.objects.update(undefined="error", subject="{{ contact.title }}")


def sequence_is_paused(world: World, one: SequenceSubscription) -> None:
    Sequence.objects.update(status="paused")


def sequence_is_deleted(world: World, one: SequenceSubscription) -> None:
    Sequence.objects.update(deleted_at=world.clock.now)


@pytest.mark.parametrize(
    ("trouble", "expected"),
    [
        (lead_is_deleted, ("paused", "lead-not-visible")),
        (contact_lost_its_lead, ("paused", "lead-not-visible")),
        (account_is_deleted, ("paused", "account-invalid")),
        (account_has_another_address, ("paused", "send-as-error")),
        (member_left, ("paused", "membership-inactive")),
        (address_unsubscribed, ("paused", "unsubscribed")),
        (address_bounced, ("error", "email-bounced")),
        (value_is_missing, ("error", "field-mapping-error")),
        (sequence_is_paused, ("paused", "workflow-paused")),
        (sequence_is_deleted, ("paused", "sequence-deleted")),
    ],
)
def test_trouble_stops_a_subscription_with_its_reason(
    world: World, status_of: StatusOf, trouble: Callable[[World, SequenceSubscription], None], expected: tuple[str, str]
) -> None:
    one = world.subscribe(world.sequence({}))
    trouble(world, one)
    world.clock.tick()
    assert status_of(one) == expected
    assert not OutboxMail.objects.exists()
    assert not Activity.objects.exists()
    assert world.clock.tick() == 0


def test_a_mail_that_cannot_be_made_is_passed_over_where_it_is_not_required(world: World, status_of: StatusOf) -> None:
    one = world.subscribe(world.sequence({"required": False}, {"delay": DAY}))
    value_is_missing(world, one)
    world.clock.tick()
    assert (status_of(one), one.steps_done) == (("active", None), 1)


def test_one_that_breaks_the_engine_holds_up_nobody(world: World, status_of: StatusOf) -> None:
    broken = world.subscribe(world.sequence({}, schedule=WORKDAYS, timezone="Mars/Base"))
    sound = world.subscribe(world.sequence({}), world.contact("bo@oakvale.example"))
    assert world.clock.tick() == 2
    assert status_of(broken) == ("error", "internal-error")
    assert status_of(sound) == ("finished", None)
    assert OutboxMail.objects.count() == 1


# --- many at once -----------------------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_two_ticks_at_once_never_do_a_step_twice(world: World) -> None:
    sequence = world.sequence({}, {"delay": 0}, {**CALL, "required": False})
    for number in range(60):
        world.subscribe(sequence, world.contact(f"ida{number}@oakvale.example"))

    def run() -> int:
        try:
            return sum(engine.tick(limit=7, now=world.clock.now) for _ in range(10))
        finally:
            connection.close()

    with ThreadPoolExecutor(3) as threads:
        taken = sum(future.result() for future in [threads.submit(run) for _ in range(3)])
    while found := world.clock.tick():
        taken += found
    mails = list(OutboxMail.objects.values_list("source_id", "step"))
    assert len(mails) == len(set(mails)) == 60
    assert Activity.objects.count() == 60
    assert SequenceSubscription.objects.filter(steps_done=1).count() == 60
    world.mails_left()
    world.clock.pass_(minutes=10)
    while world.clock.tick():
        pass
    assert OutboxMail.objects.count() == 120
    assert Task.objects.count() == 60
    assert SequenceSubscription.objects.filter(status="finished", steps_done=3).count() == 60


def test_a_tick_takes_as_many_statements_for_many_as_for_few(world: World) -> None:
    sequence = world.sequence({}, {"step_type": "call"}, {"delay": DAY})
    statements = []
    for people in (3, 30):
        for number in range(people):
            world.subscribe(sequence, world.contact(f"ida{number}@oakvale{people}.example"))
        with CaptureQueriesContext(connection) as queries:
            assert world.clock.tick() == 2 * people, "the mail, and at once the call"
        statements.append(len(queries))
    assert statements[0] == statements[1]


def test_a_tick_advances_10_000_of_100_000_in_seconds_and_flat_memory(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    sequence = world.sequence({}, {"delay": DAY})
    first = sequence.steps.first()
    lead = world.contact().lead
    names = {"organization": lead.organization_id, "lead": lead.pk, "sequence": sequence.pk, "step": first.pk}
    names |= {"account": world.account.pk, "by": world.membership.user_id, "now": world.clock.now}
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH people AS (
                INSERT INTO crm_contact (organization_id, lead_id, name, position, custom)
                SELECT %(organization)s, %(lead)s, 'Person ' || n, n, '{}' FROM generate_series(1, 100000) AS n
                RETURNING id, position),
            emails AS (
                INSERT INTO crm_contactemail (organization_id, contact_id, email, position, type)
                SELECT %(organization)s, id, 'p' || position || '@oakvale.example', 0, 'office' FROM people)
            INSERT INTO crm_sequencesubscription (
                organization_id, sequence_id, contact_id, lead_id, contact_email, sender_account_id, sender_name,
                sender_email, status, next_step_id, next_at, steps_done, thread_message_ids, thread_subject,
                created_by_id)
            SELECT %(organization)s, %(sequence)s, id, %(lead)s, 'p' || position || '@oakvale.example', %(account)s,
                'Jo', 'jo@oakvale.example', 'active', %(step)s,
                %(now)s + CASE WHEN position %% 10 = 0 THEN interval '0' ELSE interval '1 hour' END,
                0, '{}', '', %(by)s FROM people
            """,
            names,
        )
        cursor.execute("ANALYZE crm_sequencesubscription")
        cursor.execute(
            "EXPLAIN SELECT * FROM crm_sequencesubscription WHERE status = 'active' AND next_at <= %s "
            "ORDER BY next_at, id LIMIT 500 FOR NO KEY UPDATE SKIP LOCKED",
            [world.clock.now],
        )
        assert "subscription_due" in "".join(line for (line,) in cursor.fetchall())
    started = monotonic()
    assert world.clock.tick() == 10_000
    seconds = monotonic() - started
    with capsys.disabled():
        sys.stdout.write(f"\n10,000 of 100,000 subscriptions advanced in {seconds:.1f} s\n")
    assert OutboxMail.objects.count() == Activity.objects.count() == 10_000
    assert SequenceSubscription.objects.filter(steps_done=1).count() == 10_000
    assert seconds < 120, "a machine with much else to do included"
    world.clock.now += timedelta(hours=1)
    peaks = []
    for limit in (1_000, 4_000):
        tracemalloc.start()
        engine.tick(limit=limit, now=world.clock.now)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.5, "four times as many, no more memory"
