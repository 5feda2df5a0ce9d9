"""Events are written down with what they tell of, and posted until they arrive or nobody wants them any more."""

import socket
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone
from pytest_django import Settings

from crm import doorbells, tasks
from crm.errors import Conflict, FieldErrors, NotFound
from crm.leads import LeadDraft, create_lead
from crm.models import (
    DeliveryState,
    Lead,
    LeadStatus,
    LeadWebhook,
    Membership,
    Organization,
    OutboxMail,
    WebhookDelivery,
)
from crm.webhooks import delivery, doorbell, hooks, outcomes
from crm.webhooks.events import note_created
from crm.webhooks.sending import signature
from tests import factories
from tests.crm.webhooks.conftest import SECRET
from tests.https import Receiver
from tests.smtp import nobody_listening
from tests.stack import wait_until

pytestmark = pytest.mark.django_db(transaction=True)
Hook = Callable[..., LeadWebhook]


@pytest.fixture
def lead(status: LeadStatus) -> Lead:
    lead = factories.LeadFactory.create(organization=status.organization, status=status, lead_line="buyer")
    contact = factories.ContactFactory.create(lead=lead, name="佐藤 美香")
    contact.emails.create(organization=lead.organization, email="mika@oakvale.example")
    contact.phones.create(organization=lead.organization, phone="+819012345678")
    return lead


def deliver(seconds: float = 10) -> None:
    delivery.deliver_slice(seconds)


def the_delivery() -> WebhookDelivery:
    return WebhookDelivery.objects.get()


def make_due() -> None:
    """Their time has come: as if the wait before the next attempt were over."""
    WebhookDelivery.objects.filter(state=DeliveryState.PENDING).update(not_before=timezone.now())


def pass_time(seconds: float) -> None:
    """For what is written down, that much more time has gone by."""
    ago = timedelta(seconds=seconds)
    WebhookDelivery.objects.update(claimed_at=F("claimed_at") - ago, not_before=F("not_before") - ago)


def test_an_event_arrives_signed_with_what_the_lead_is(webhook: Hook, lead: Lead, receiver: Receiver) -> None:
    webhook()
    note_created(lead)
    deliver()
    [came] = receiver.received
    told = came.json()
    assert told["event"] == "lead.created"
    assert told["lead"] == {
        "id": str(lead.pk),
        "contact_name": "佐藤 美香",
        "contact_phone": "+819012345678",
        "contact_email": "mika@oakvale.example",
        "source_platform": "direct",
        "source_type": "manual",
        "lead_line": "buyer",
        "current_stage": {"slug": lead.status.slug, "name": lead.status.label},
        "custom_fields": {"lead_line": "buyer"},
        "created_at": told["lead"]["created_at"],
        "updated_at": told["lead"]["updated_at"],
    }
    stamp = int(came.headers["X-Mega-Timestamp"])
    assert abs(time.time() - stamp) < 60
    assert came.headers["X-Mega-Signature"] == signature(SECRET, stamp, came.body)
    assert UUID(came.headers["X-Mega-Delivery"]) == the_delivery().pk
    assert told["delivered_at"].endswith("Z")
    assert (the_delivery().state, the_delivery().response_status) == ("delivered", 200)


def test_an_event_is_told_only_when_what_it_tells_of_has_committed(webhook: Hook, lead: Lead) -> None:
    webhook()
    with transaction.atomic():
        note_created(lead)
        transaction.set_rollback(True)
    assert not WebhookDelivery.objects.exists()
    assert not delivery.is_due()


def test_a_lead_made_in_another_dialect_is_told_of_with_its_person(
    webhook: Hook, status: LeadStatus, membership: Membership, receiver: Receiver
) -> None:
    webhook()
    create_lead(organization=membership.organization, by=membership.user, draft=LeadDraft(texts={"name": "Oakvale"}))
    deliver()
    assert receiver.received[0].json()["lead"]["contact_name"] == "Oakvale"


@pytest.mark.parametrize("columns", [{"is_active": False}, {"deleted_at": timezone.now()}, {"event_types": []}])
def test_who_does_not_want_to_know_is_not_told(webhook: Hook, lead: Lead, columns: dict[str, object]) -> None:
    webhook(**columns)
    note_created(lead)
    assert not WebhookDelivery.objects.exists()


def test_the_webhooks_of_others_are_not_told(webhook: Hook, lead: Lead, receiver: Receiver) -> None:
    webhook(organization=factories.OrganizationFactory.create())
    note_created(lead)
    deliver()
    assert receiver.received == []


def test_attempts_go_on_until_one_is_answered_with_2xx_under_one_id_with_a_fresh_signature(
    webhook: Hook, lead: Lead, receiver: Receiver
) -> None:
    receiver.statuses = [500, 302, 204]
    webhook()
    note_created(lead)
    for attempts, state in ((1, "pending"), (2, "pending"), (3, "delivered")):
        make_due()
        deliver()
        assert (the_delivery().attempts, the_delivery().state) == (attempts, state)
    assert len({came.headers["X-Mega-Delivery"] for came in receiver.received}) == 1
    for came in receiver.received:
        stamp = int(came.headers["X-Mega-Timestamp"])
        assert came.headers["X-Mega-Signature"] == signature(SECRET, stamp, came.body)
    assert LeadWebhook.objects.get().consecutive_failures == 0


def test_an_attempt_later_has_a_later_timestamp(webhook: Hook, lead: Lead, receiver: Receiver) -> None:
    receiver.statuses = [500, 200]
    webhook()
    note_created(lead)
    deliver()
    deadline = time.monotonic() + 20
    while len(receiver.received) < 2:  # the first wait is a second
        assert time.monotonic() < deadline
        deliver()
        time.sleep(0.05)
    first, second = (int(came.headers["X-Mega-Timestamp"]) for came in receiver.received)
    assert second > first
    assert receiver.received[0].json()["delivered_at"] < receiver.received[1].json()["delivered_at"]


def test_waits_double_up_to_half_a_minute_and_end_with_the_last_attempt() -> None:
    waits = [outcomes.retry_seconds(number, 10) for number in range(1, 12)]
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30, 30, 30, None]
    assert outcomes.retry_seconds(1, 0) is None


def test_after_the_last_attempt_a_delivery_is_given_up(webhook: Hook, lead: Lead, receiver: Receiver) -> None:
    receiver.statuses = [503]
    webhook(retry_attempts=1)
    note_created(lead)
    for _ in range(3):
        make_due()
        deliver()
    assert len(receiver.received) == 2
    assert (the_delivery().state, the_delivery().response_status) == ("failed", 503)
    assert LeadWebhook.objects.get().consecutive_failures == 2


def test_a_target_in_a_private_network_gets_nothing_and_is_not_tried_again(
    webhook: Hook, lead: Lead, receiver: Receiver, settings: Settings
) -> None:
    webhook()
    note_created(lead)
    settings.ALLOW_PRIVATE_WEBHOOK_HOSTS = False
    deliver()
    assert receiver.received == []
    found = the_delivery()
    assert (found.state, found.attempts, found.response_status) == ("failed", 1, None)
    assert "private" in str(found.error)


def test_fifty_failures_in_a_row_switch_a_webhook_off_and_tell_its_owner_once(
    webhook: Hook, lead: Lead, receiver: Receiver, membership: Membership
) -> None:
    receiver.statuses = [500]
    hook = webhook(retry_attempts=10, consecutive_failures=outcomes.MOST_FAILURES - 1)
    note_created(lead)
    note_created(lead)
    deliver()
    hook.refresh_from_db()
    assert not hook.is_active
    mail = OutboxMail.objects.get()
    assert (mail.address, mail.purpose) == (membership.user.email, "notice")
    assert hook.url in mail.body_text
    make_due()
    deliver()
    assert set(WebhookDelivery.objects.values_list("state", flat=True)) == {"failed"}
    assert OutboxMail.objects.count() == 1


def test_a_success_begins_the_count_of_failures_anew(webhook: Hook, lead: Lead) -> None:
    hook = webhook(consecutive_failures=49)
    note_created(lead)
    deliver()
    hook.refresh_from_db()
    assert (hook.consecutive_failures, hook.is_active) == (0, True)


def test_a_webhook_that_never_answers_holds_up_no_other(
    webhook: Hook, lead: Lead, receiver: Receiver, organization: Organization
) -> None:
    opened = threading.Event()
    receiver.answering = lambda handler: handler.path == "/slow" and opened.wait(20)
    webhook(url=receiver.url.replace("/hooks?source=test", "/slow"))
    webhook()
    for _ in range(3 * delivery.AT_ONCE):
        note_created(lead)
    began = time.monotonic()
    more = delivery.deliver_slice(2)
    assert time.monotonic() - began < 4
    try:
        slow = [came for came in receiver.received if came.path == "/slow"]
        assert len(slow) == delivery.AT_ONCE
        assert len(receiver.received) - len(slow) == 3 * delivery.AT_ONCE
        assert more  # of the slow one more is due
    finally:
        opened.set()
    wait_until_delivered(4 * delivery.AT_ONCE)


def test_many_webhooks_of_one_customer_that_never_answer_hold_up_no_other_customer(
    webhook: Hook, lead: Lead, receiver: Receiver
) -> None:
    opened = threading.Event()
    receiver.answering = lambda handler: handler.path == "/slow" and opened.wait(20)
    for _ in range(delivery.OF_ONE_CUSTOMER + 3):
        webhook(url=receiver.url.replace("/hooks?source=test", "/slow"))
    note_created(lead)
    other = factories.LeadStatusFactory.create()
    webhook(organization=other.organization)
    note_created(factories.LeadFactory.create(organization=other.organization, status=other))
    try:
        delivery.deliver_slice(2)
        slow = [came for came in receiver.received if came.path == "/slow"]
        assert len(slow) == delivery.OF_ONE_CUSTOMER
        assert WebhookDelivery.objects.get(organization=other.organization).state == "delivered"
    finally:
        opened.set()
    wait_until_delivered(delivery.OF_ONE_CUSTOMER + 1)
    deliver()
    wait_until_delivered(WebhookDelivery.objects.count())


def test_a_customer_whose_names_take_long_to_resolve_holds_up_no_other_customer(
    webhook: Hook, lead: Lead, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = threading.Event()
    resolve = socket.getaddrinfo

    def slow(host: str, *arguments: object, **options: object) -> object:
        if host.endswith(".slow.example"):
            answered.wait(20)
            raise socket.gaierror("no such name")
        return resolve(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    for number in range(delivery.OF_ONE_CUSTOMER):
        webhook(url=f"https://hooks-{number}.slow.example/")
    note_created(lead)
    delivery.deliver_slice(0.5)
    other = factories.LeadStatusFactory.create()
    webhook(organization=other.organization)
    note_created(factories.LeadFactory.create(organization=other.organization, status=other))
    try:
        delivery.deliver_slice(2)
        assert WebhookDelivery.objects.get(organization=other.organization).state == "delivered"
        assert WebhookDelivery.objects.filter(state="sending").count() == delivery.OF_ONE_CUSTOMER
    finally:
        answered.set()
    in_hand = WebhookDelivery.objects.filter(state="sending")
    wait_until(lambda: not in_hand.exists(), seconds=20, what="nothing is in hand")


def test_two_workers_at_once_post_each_event_once(webhook: Hook, lead: Lead, receiver: Receiver) -> None:
    webhook()
    for _ in range(20):
        note_created(lead)

    def work() -> None:
        try:
            delivery.deliver_slice(10)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_until_delivered(20)
    assert len(receiver.received) == 20


def test_what_a_dead_worker_had_in_hand_is_posted_by_another(webhook: Hook, lead: Lead, receiver: Receiver) -> None:
    webhook()
    note_created(lead)
    [claim] = delivery._claim(10)  # and its worker dies here
    assert delivery.sweep_lost() == 0  # it may live
    pass_time(10 + delivery.LOST_AFTER_SECONDS + 1)
    assert delivery.sweep_lost() == 1
    deliver()
    assert (the_delivery().state, the_delivery().attempts) == ("delivered", 1)
    # It lived after all: what it says now counts for nothing.
    outcomes.record(claim.delivery_id, claim.claim, claim.webhook_id, outcomes.Outcome(delivered=False, error="late"))
    assert the_delivery().state == "delivered"
    assert LeadWebhook.objects.get().consecutive_failures == 0


def test_what_is_in_hand_has_the_time_that_it_began_with_whatever_its_webhook_says_by_then(
    webhook: Hook, lead: Lead
) -> None:
    """Else each lowering of the time would put another delivery into hand beside those that still wait."""
    webhook(timeout_seconds=60)
    note_created(lead)
    assert len(delivery._claim(10)) == 1
    LeadWebhook.objects.update(timeout_seconds=1)
    pass_time(60)
    assert delivery.sweep_lost() == 0
    pass_time(delivery.LOST_AFTER_SECONDS + 1)
    assert delivery.sweep_lost() == 1


def test_an_event_of_a_deleted_webhook_is_not_posted(
    webhook: Hook, lead: Lead, receiver: Receiver, membership: Membership
) -> None:
    hook = webhook()
    note_created(lead)
    hooks.delete_webhook(webhook_id=hook.pk, organization=membership.organization, by=membership.user)
    deliver()
    assert receiver.received == []
    assert the_delivery().state == "failed"


@pytest.mark.parametrize("unwanted", ["deleted", "switched off"])
def test_what_comes_due_after_nobody_wants_it_is_not_posted_by_a_slice_that_runs_already(
    unwanted: str, webhook: Hook, lead: Lead, receiver: Receiver, membership: Membership
) -> None:
    hook = webhook()
    webhook(url=receiver.url.replace("/hooks?source=test", "/slow"))
    note_created(lead)
    opened = threading.Event()

    def answering(handler: BaseHTTPRequestHandler) -> None:
        if handler.path == "/slow":
            opened.wait(20)
            return
        key = {"webhook_id": hook.pk, "organization": membership.organization, "by": membership.user}
        if unwanted == "deleted":
            hooks.delete_webhook(**key)
        else:
            hooks.update_webhook(**key, columns={"is_active": False}, new_secret=False)
        connection.close()

    def work() -> None:
        try:
            delivery.deliver_slice(10)
        finally:
            connection.close()

    receiver.answering, receiver.statuses = answering, [500]
    slice_ = threading.Thread(target=work)
    slice_.start()
    try:
        tried = WebhookDelivery.objects.filter(webhook=hook, state="pending", attempts=1)
        wait_until(tried.exists, seconds=20, what="it was tried once")
        make_due()
    finally:
        opened.set()
        slice_.join()
    assert [came.path for came in receiver.received if came.path != "/slow"] == ["/hooks?source=test"]
    deliver(seconds=0)
    assert WebhookDelivery.objects.get(webhook=hook).state == "failed"


def test_nothing_is_signed_by_an_empty_secret(webhook: Hook, lead: Lead, receiver: Receiver) -> None:
    webhook(secret="")
    note_created(lead)
    deliver()
    assert receiver.received == []
    assert (the_delivery().state, the_delivery().attempts) == ("pending", 1)
    assert "secret" in str(the_delivery().error)


def test_a_delivery_can_be_repeated_under_its_id(webhook: Hook, lead: Lead, receiver: Receiver) -> None:
    hook = webhook()
    note_created(lead)
    with pytest.raises(Conflict):
        hooks.redeliver(delivery_id=the_delivery().pk, webhook=hook)
    deliver()
    hooks.redeliver(delivery_id=the_delivery().pk, webhook=hook)
    deliver()
    assert len({came.headers["X-Mega-Delivery"] for came in receiver.received}) == 1
    assert len(receiver.received) == 2
    with pytest.raises(NotFound):
        hooks.redeliver(delivery_id=hook.pk, webhook=hook)
    hook.is_active = False
    with pytest.raises(Conflict):
        hooks.redeliver(delivery_id=the_delivery().pk, webhook=hook)


def test_a_server_that_is_away_for_a_while_gets_its_event_later(webhook: Hook, lead: Lead, receiver: Receiver) -> None:
    with nobody_listening() as port:
        hook = webhook(url=f"https://localhost:{port}/")
        note_created(lead)
        deliver()
    assert the_delivery().state == "pending"
    assert "refused" in str(the_delivery().error)
    LeadWebhook.objects.filter(pk=hook.pk).update(url=receiver.url)
    make_due()
    deliver()
    assert the_delivery().state == "delivered"


def test_a_sweep_rings_for_what_is_due_and_the_task_posts_it(
    webhook: Hook, lead: Lead, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[str] = []
    monkeypatch.setattr(doorbell._bell, "_mark", f"doorbell:{lead.pk}")
    monkeypatch.setattr(doorbells.current_app, "send_task", lambda task, **options: rung.append(task))
    tasks.sweep_webhooks()
    assert rung == []
    webhook()
    note_created(lead)
    tasks.sweep_webhooks()
    assert rung == ["crm.tasks.deliver_webhooks"]  # at the event; the sweep finds that a ring waits
    tasks.deliver_webhooks()
    assert the_delivery().state == "delivered"
    note_created(lead)
    assert rung == ["crm.tasks.deliver_webhooks"] * 2


def test_the_log_is_kept_for_thirty_days(webhook: Hook, lead: Lead) -> None:
    webhook()
    for state, days in (("delivered", 31), ("failed", 31), ("pending", 31), ("delivered", 29)):
        note_created(lead)
        made = WebhookDelivery.objects.order_by("-id").first()
        made_at = timezone.now() - timedelta(days=days)
        WebhookDelivery.objects.filter(pk=made.pk).update(state=state, date_created=made_at)
    assert outcomes.forget_old_deliveries(limit=1) == 1
    assert outcomes.forget_old_deliveries(limit=10) == 1
    assert sorted(WebhookDelivery.objects.values_list("state", flat=True)) == ["delivered", "pending"]


def test_a_customer_has_so_many_webhooks_at_most(webhook: Hook, membership: Membership) -> None:
    for _ in range(hooks.MOST_WEBHOOKS):
        webhook()
    with pytest.raises(Conflict):
        hooks.create_webhook(
            organization=membership.organization, by=membership.user, columns={"url": "https://hooks.example/"}
        )


def test_a_webhook_switched_on_again_begins_without_failures(webhook: Hook, membership: Membership) -> None:
    hook = webhook(is_active=False, consecutive_failures=50)
    told, secret = hooks.update_webhook(
        webhook_id=hook.pk,
        organization=membership.organization,
        by=membership.user,
        columns={"is_active": True},
        new_secret=False,
    )
    assert (told.consecutive_failures, told.is_active, secret) == (0, True, None)


def test_a_changed_address_is_checked(webhook: Hook, membership: Membership, settings: Settings) -> None:
    hook = webhook()
    settings.ALLOW_PRIVATE_WEBHOOK_HOSTS = False
    with pytest.raises(FieldErrors):
        hooks.update_webhook(
            webhook_id=hook.pk,
            organization=membership.organization,
            by=membership.user,
            columns={"url": "https://127.0.0.1/"},
            new_secret=False,
        )


def wait_until_delivered(n: int) -> None:
    delivered = WebhookDelivery.objects.filter(state="delivered")
    wait_until(lambda: delivered.count() == n, seconds=20, what=f"{n} events are delivered")
