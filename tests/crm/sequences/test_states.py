"""Stopping and going on: what it means for mail that waits, and who hears of what came of a mail."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from django.db import transaction
from django.utils import timezone

from crm.contacts import delete_contact
from crm.errors import Invalid
from crm.mail import events, suppression
from crm.mail.events import Happening, MailEvent
from crm.models import Activity, OutboxMail, SequenceSubscription, SubscriptionStatus
from crm.sequences import states
from crm.sequences.states import Reason
from crm.sequences.subscriptions import delete_subscription
from tests import factories
from tests.crm.sequences.conftest import World
from tests.sessions import other_session, wait_until_blocked

StatusOf = Callable[[SequenceSubscription], tuple[str, str | None]]


def pause(one: SequenceSubscription) -> None:
    states.stop("id = %(id)s", {"id": one.pk}, status=SubscriptionStatus.PAUSED, reason=Reason.MANUAL)


def mail_states() -> list[str]:
    return list(OutboxMail.objects.order_by("id").values_list("state", flat=True))


def test_mail_of_a_paused_subscription_stays_and_leaves_when_it_goes_on(world: World, status_of: StatusOf) -> None:
    one = world.subscribe(world.sequence({}, {"delay": 60}))
    other = world.subscribe(world.sequence({}), world.contact("bo@oakvale.example"))
    world.clock.tick()
    pause(one)
    assert status_of(one) == ("paused", "manual")
    assert OutboxMail.objects.get(source_id=one.pk).state == "withheld"
    assert OutboxMail.objects.get(source_id=other.pk).state == "reserved"
    assert Activity.objects.get(contact=one.contact_id).status == "error"
    assert states.resume("id = %(id)s", {"id": one.pk}) == [one.pk]
    assert mail_states() == ["reserved", "reserved"]
    assert Activity.objects.get(contact=one.contact_id).status == "outbox"
    assert status_of(one) == ("active", None)


def test_mail_in_hand_passes_the_gate_only_for_a_running_subscription(world: World) -> None:
    running, stopped, over = (
        world.subscribe(world.sequence({}), world.contact(f"p{number}@oakvale.example")) for number in range(3)
    )
    pause(stopped)
    SequenceSubscription.objects.filter(pk=over.pk).update(status="finished")
    foreign = uuid4()
    asked = {running.pk, stopped.pk, over.pk, foreign}
    assert states.open_sources(asked) == {running.pk, over.pk, foreign}


@pytest.mark.django_db(transaction=True)
def test_a_pause_waits_for_mail_that_passed_the_gate(world: World, status_of: StatusOf) -> None:
    one = world.subscribe(world.sequence({}))
    with other_session() as start:
        with transaction.atomic():
            assert states.open_sources({one.pk}) == {one.pk}
            paused = start(lambda: pause(one))
            wait_until_blocked(paused)
        paused.result(timeout=20)
    assert status_of(one) == ("paused", "manual")


def test_only_a_running_sequence_lets_subscriptions_go_on(world: World) -> None:
    one = world.subscribe(world.sequence({}, status="paused"))
    pause(one)
    assert states.resume("id = %(id)s", {"id": one.pk}) == []


def test_a_finished_one_goes_on_with_the_steps_that_were_added(world: World, status_of: StatusOf) -> None:
    sequence = world.sequence({})
    one = world.subscribe(sequence)
    world.clock.tick()
    assert not states.resume_finished(one.pk)
    step = sequence.steps.create(position=1, step_type="email", email_template=world.template, delay=60)
    assert states.resume_finished(one.pk)
    assert status_of(one) == ("active", None)
    assert one.next_step_id == step.pk
    world.mails_left()
    world.clock.tick()
    assert list(OutboxMail.objects.order_by("id").values_list("step", flat=True)) == ["1", "2"]


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("unsubscribed", ("paused", "unsubscribed")),
        ("complained", ("paused", "unsubscribed")),
        ("manual", ("paused", "unsubscribed")),
        ("bounced", ("error", "email-bounced")),
    ],
)
def test_a_suppressed_address_stops_all_its_subscriptions(
    world: World, status_of: StatusOf, reason: str, expected: tuple[str, str]
) -> None:
    contact = world.contact("Ida@Oakvale.example")
    first, second = (world.subscribe(world.sequence({}), contact) for _ in range(2))
    other = world.subscribe(world.sequence({}), world.contact("bo@oakvale.example"))
    suppression.suppress(first.organization_id, "ida@oakvale.example", reason)
    assert status_of(first) == status_of(second) == expected
    assert status_of(other) == ("active", None)


def test_it_does_not_stop_those_of_another_organization(world: World, status_of: StatusOf) -> None:
    one = world.subscribe(world.sequence({}))
    suppression.suppress(factories.OrganizationFactory.create().pk, one.contact_email, "unsubscribed")
    assert status_of(one) == ("active", None)


@pytest.mark.parametrize("known_by", ["subscription", "contact", "address"])
def test_a_reply_is_the_goal_of_all_that_runs_for_the_person(world: World, status_of: StatusOf, known_by: str) -> None:
    one = world.subscribe(world.sequence({}, {"delay": 60}))
    world.clock.tick()
    known = {
        "subscription": {"subscription_id": one.pk},
        "contact": {"contact_id": one.contact_id},
        "address": {},
    }[known_by]
    address = "ida@oakvale.example" if known_by == "address" else "somebody@else.example"
    events.announce(MailEvent(Happening.REPLY, one.organization_id, address, **known))
    assert status_of(one) == ("goal", "reply-received")
    assert mail_states() == ["withheld"]


def test_a_reply_to_a_finished_subscription_holds_its_last_mail(world: World, status_of: StatusOf) -> None:
    one = world.subscribe(world.sequence({}))
    world.clock.tick()
    events.announce(MailEvent(Happening.REPLY, one.organization_id, one.contact_email, subscription_id=one.pk))
    assert status_of(one) == ("finished", None)
    assert mail_states() == ["withheld"]


def test_a_subscription_is_not_deleted_while_its_mail_is_in_hand(world: World) -> None:
    one = world.subscribe(world.sequence({}))
    world.clock.tick()
    OutboxMail.objects.update(state="sending", claim=1, claimed_at=timezone.now())
    with pytest.raises(Invalid, match="leaving just now"):
        delete_subscription(caller=world.caller, subscription_id=one.pk)
    assert states.open_sources({one.pk}) == {one.pk}
    OutboxMail.objects.update(state="reserved", claim=None, claimed_at=None)
    delete_subscription(caller=world.caller, subscription_id=one.pk)
    assert OutboxMail.objects.get().state == "withheld"
    assert not SequenceSubscription.objects.exists()


def test_mail_that_waits_does_not_leave_once_its_contact_is_deleted(world: World) -> None:
    gone, other = (world.contact(f"p{number}@oakvale.example") for number in range(2))
    sequence = world.sequence({})
    for contact in (gone, other):
        world.subscribe(sequence, contact)
    world.clock.tick()
    delete_contact(contact_id=gone.pk, organization=gone.organization)
    assert dict(OutboxMail.objects.values_list("address", "state")) == {
        "p0@oakvale.example": "withheld",
        "p1@oakvale.example": "reserved",
    }
