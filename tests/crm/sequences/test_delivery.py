"""From a tick to what arrives: sequence mails through the outbox and a real mail server."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings as django_settings
from pytest_django import Settings

from crm.contacts import ContactDraft, update_contact
from crm.lead_merge import merge_leads
from crm.mail import delivery
from crm.models import Lead, OutboxMail, Purpose, SequenceSubscription
from crm.purge import purge_deleted
from crm.sequences import states
from crm.tasks import tick_sequences
from tests import factories
from tests.crm.sequences.conftest import World
from tests.smtp import Post, drop_connections, serving


@pytest.fixture
def post(settings: Settings) -> Iterator[Post]:
    post = Post()
    with serving(post) as port:
        settings.EMAIL_URL = f"smtp://127.0.0.1:{port}"
        settings.SMTP_TIMEOUT_SECONDS = 5
        yield post
        drop_connections()


@pytest.fixture(autouse=True)
def _our_gate_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "_gates", [(Purpose.SEQUENCE, states.open_sources)])


def deliver(world: World) -> None:
    while delivery.deliver_chunk(world.account.pk):
        pass


@pytest.mark.django_db(transaction=True)
def test_a_thread_arrives_as_one(world: World, post: Post) -> None:
    world.clock.now = datetime.now(UTC)
    follow = {"delay": 60, "threading": "old_thread"}
    world.template.subject = "{{ contact.first_name }}さんへ"
    world.template.save()
    world.subscribe(world.sequence({"threading": "new_thread"}, follow), world.contact(name="明日香 髙橋"))
    tick_sequences()
    deliver(world)
    SequenceSubscription.objects.update(next_at=datetime.now(UTC) - timedelta(seconds=1))
    tick_sequences()
    deliver(world)
    first, second = post.messages()
    assert first["Subject"] == "明日香さんへ"
    assert second["Subject"] == "Re: 明日香さんへ"
    assert second["In-Reply-To"] == second["References"] == first["Message-ID"]
    assert first["In-Reply-To"] is None
    assert first["List-Unsubscribe"]
    assert first["From"] == "Jo Field <jo@oakvale.example>"
    assert "明日香 髙橋" in first.get_body(("plain",)).get_content()
    assert "明日香 髙橋" in first.get_body(("html",)).get_content()
    assert set(OutboxMail.objects.values_list("state", flat=True)) == {"sent"}


@pytest.mark.django_db(transaction=True)
def test_mail_taken_in_hand_before_a_pause_stays_when_the_pause_was_first(world: World, post: Post) -> None:
    world.clock.now = datetime.now(UTC)
    world.subscribe(world.sequence({}, {"delay": 60}))
    world.clock.tick()
    SequenceSubscription.objects.update(status="paused")  # between the two transactions of a delivery worker
    assert delivery.deliver_chunk(world.account.pk) == 1
    assert post.letters == []
    assert OutboxMail.objects.get().state == "withheld", "held back, not tried again and again"
    one = SequenceSubscription.objects.get()
    assert states.resume("id = %(id)s", {"id": one.pk}) == [one.pk]
    deliver(world)
    assert post.recipients == {"ida@oakvale.example": 1}


def test_beat_asks_for_ticks() -> None:
    entries = django_settings.CELERY_BEAT_SCHEDULE.values()
    assert tick_sequences.name in {entry["task"] for entry in entries}
    assert django_settings.CELERY_TASK_ROUTES[tick_sequences.name] == {"queue": "control"}


# --- what else moves contacts -----------------------------------------------------------------------------------------
def test_a_subscription_follows_its_contact_to_another_lead(world: World) -> None:
    one = world.subscribe(world.sequence({}))
    organization, by = world.membership.organization, world.membership.user
    other = factories.LeadFactory.create(organization=organization)
    update_contact(contact_id=one.contact_id, organization=organization, by=by, draft=ContactDraft(), lead_id=other.pk)
    one.refresh_from_db()
    assert one.lead_id == other.pk
    third = factories.LeadFactory.create(organization=organization)
    merge_leads(source_id=other.pk, destination_id=third.pk, organization=organization, by=by)
    one.refresh_from_db()
    assert one.lead_id == third.pk


def test_a_lead_that_is_removed_for_good_takes_its_subscriptions_along(world: World) -> None:
    world.subscribe(world.sequence({}))
    Lead.objects.update(deleted_at=datetime(2020, 1, 1, tzinfo=UTC))
    assert purge_deleted(older_than=timedelta(days=30), limit=10) == 1
    assert not SequenceSubscription.objects.exists()
