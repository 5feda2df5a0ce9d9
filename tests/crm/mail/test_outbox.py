"""A notice is written down with what it tells of, and the delivery worker hears of it."""

import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from time import monotonic

import pytest
from django.core.cache import cache
from django.db import transaction
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from config.celery import app
from crm import doorbells, tasks
from crm.mail import delivery, doorbell
from crm.mail.outbox import reserve_notice
from crm.models import MailState, Organization, OutboxMail, Purpose, User
from tests.smtp import Post, nobody_listening

Waiting = Callable[[], int]


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Waiting]:
    """How many rings wait at the broker. A queue and a mark of this test's own, since other tests ring as well."""
    name = f"mail-{uuid.uuid4()}"
    monkeypatch.setattr(doorbell._bell, "_mark", name)
    with app.connection_for_read() as broker:
        route_to(name)
        yield lambda: broker.default_channel.client.llen(name)
        route_to("mail")
        broker.default_channel.queue_delete(name)
    cache.delete(name)


def route_to(queue: str) -> None:
    app.conf.task_routes["crm.tasks.deliver_mail"] = {"queue": queue}
    app.amqp.flush_routes()
    app.amqp.router = app.amqp.Router()


def reserve(
    organization: Organization,
    user: User,
    source_id: uuid.UUID,
    step: str = "done",
    subject: str = "一括編集が完了しました",
) -> None:
    reserve_notice(
        organization=organization,
        to=user,
        source_id=source_id,
        step=step,
        subject=subject,
        body_text="20,000 leads were changed.",
    )


@pytest.mark.django_db(transaction=True)
def test_a_notice_reserved_twice_is_sent_once(
    organization: Organization, user: User, post: Post, waiting: Waiting
) -> None:
    source_id = uuid.uuid4()
    for _ in range(2):
        with transaction.atomic():
            reserve(organization, user, source_id)

    tasks.deliver_mail()

    mail = OutboxMail.objects.get()
    assert (mail.state, mail.purpose, mail.source_id) == (MailState.SENT, Purpose.NOTICE, source_id)
    (message,) = post.messages()
    assert message["To"] == user.email
    assert message["From"] == "Drover <drover@localhost.localdomain>"
    assert message["Subject"] == "一括編集が完了しました"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Message-ID"] == mail.message_id
    assert mail.message_id.endswith("@localhost.localdomain>")


@pytest.mark.django_db
def test_two_steps_of_one_source_are_two_notices(organization: Organization, user: User) -> None:
    source_id = uuid.uuid4()

    reserve(organization, user, source_id, step="done")
    reserve(organization, user, source_id, step="error")

    assert OutboxMail.objects.count() == 2


@pytest.mark.django_db
def test_a_notice_that_cannot_be_sent_does_not_stop_its_caller(
    organization: Organization, user: User, post: Post
) -> None:
    User.objects.filter(pk=user.pk).update(email="jo at home")
    user.refresh_from_db()

    reserve(organization, user, uuid.uuid4())
    delivery.deliver_slice(5)

    mail = OutboxMail.objects.get()
    assert (mail.address, mail.state, mail.error_code) == ("jo at home", MailState.ERROR, "invalid_message")
    assert not post.letters


@pytest.mark.django_db
def test_a_notice_may_quote_any_name(organization: Organization, user: User, post: Post) -> None:
    subject = "Done: New\r\nBcc: eve@oakvale.example =?utf-8?q?=0ABcc:_eve?="

    reserve(organization, user, uuid.uuid4(), subject=subject)
    delivery.deliver_slice(5)

    (message,) = post.messages()
    assert message["Subject"] == "Done: New  Bcc: eve@oakvale.example = ?utf-8?q?=0ABcc:_eve?="
    assert "Bcc" not in message


@pytest.mark.django_db(transaction=True)
def test_the_worker_is_rung_after_the_commit_and_once(organization: Organization, user: User, waiting: Waiting) -> None:
    with transaction.atomic():
        reserve(organization, user, uuid.uuid4())
        assert waiting() == 0
    assert waiting() == 1
    reserve(organization, user, uuid.uuid4())
    assert waiting() == 1  # the ring that waits is enough for both


@pytest.mark.django_db(transaction=True)
def test_a_rolled_back_notice_leaves_nothing(organization: Organization, user: User, waiting: Waiting) -> None:
    with transaction.atomic():
        reserve(organization, user, uuid.uuid4())
        transaction.set_rollback(True)

    assert waiting() == 0
    assert not OutboxMail.objects.exists()


@pytest.mark.django_db
def test_a_broker_that_is_away_fails_nobody_and_soon(
    organization: Organization,
    user: User,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    with nobody_listening() as port:
        settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": f"redis://127.0.0.1:{port}/0"}}
        before = monotonic()

        with django_capture_on_commit_callbacks(execute=True):
            reserve(organization, user, uuid.uuid4())

        assert monotonic() - before < 3
    assert OutboxMail.objects.get().state == MailState.RESERVED


@pytest.mark.django_db
def test_the_sweep_rings_when_mail_is_due_and_only_then(
    organization: Organization, user: User, waiting: Waiting, post: Post
) -> None:
    tasks.sweep_mail()
    assert waiting() == 0

    reserve(organization, user, uuid.uuid4())
    tasks.sweep_mail()
    tasks.sweep_mail()
    assert waiting() == 1

    tasks.deliver_mail()
    tasks.sweep_mail()
    assert waiting() == 1


@pytest.mark.django_db
def test_a_ring_that_was_in_the_hand_of_a_killed_worker_is_rung_again_by_the_sweep(
    organization: Organization, user: User, waiting: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    reserve(organization, user, uuid.uuid4())
    tasks.sweep_mail()
    with app.connection_for_write() as broker:
        broker.default_channel.client.delete(doorbell._bell._mark)  # the queue has the name of the mark here
    tasks.sweep_mail()
    assert waiting() == 0, "it may be on its way"
    monkeypatch.setattr(doorbells, "LOST_SECONDS", 0)
    tasks.sweep_mail()
    assert waiting() == 1


@pytest.mark.django_db
def test_the_worker_rings_again_when_its_slice_was_too_short(
    organization: Organization, user: User, waiting: Waiting, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "SLICE_SECONDS", 0)
    for _ in range(11):
        reserve(organization, user, uuid.uuid4())

    tasks.deliver_mail()

    assert len(post.letters) == 10
    assert waiting() == 1


@pytest.mark.django_db
def test_the_sweep_settles_what_a_dead_worker_had_in_hand(
    organization: Organization, user: User, waiting: Waiting
) -> None:
    reserve(organization, user, uuid.uuid4())
    OutboxMail.objects.update(
        state=MailState.SENDING, claim=1, claimed_at=timezone.now() - timedelta(seconds=delivery.LOST_AFTER_SECONDS + 1)
    )

    tasks.sweep_mail()

    assert OutboxMail.objects.get().state == MailState.UNKNOWN
    assert waiting() == 0
