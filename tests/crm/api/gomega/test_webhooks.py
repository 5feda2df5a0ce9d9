"""`/lead-webhooks`: the secret is shown once, addresses are checked, nothing of others is seen."""

from uuid import uuid4

import pytest
from pytest_django import Settings

from crm import secrets
from crm.models import LeadWebhook, Organization, WebhookDelivery
from tests.gomega import Gomega, message_of

pytestmark = pytest.mark.django_db
URL = "https://nowhere.invalid/hooks"  # no name that resolves, so nothing is sent anywhere


def made(client: Gomega, **more: object) -> tuple[dict[str, object], str]:
    answer = client.post("/lead-webhooks", {"url": URL, **more})
    assert answer.status_code == 201, answer.content
    return answer.json()["webhook"], answer.json()["secret"]


def test_a_webhook_is_made_with_its_defaults_and_its_secret_is_shown_once(gomega: Gomega) -> None:
    webhook, secret = made(gomega)
    assert webhook == {
        "id": webhook["id"],
        "url": URL,
        "event_types": ["lead.created"],
        "is_active": True,
        "timeout_seconds": 10,
        "retry_attempts": 5,
        "description": None,
        "created_at": webhook["created_at"],
        "updated_at": webhook["updated_at"],
    }
    assert secret.startswith("mega_whsec_")
    assert len(secret) > 40
    listed = gomega.get("/lead-webhooks")
    assert listed.json() == {"webhooks": [webhook]}
    assert secret not in listed.content.decode()
    stored = LeadWebhook.objects.get()
    assert secret not in stored.secret
    assert secrets.decrypt(stored.secret) == secret


def test_a_patch_changes_what_is_given(gomega: Gomega) -> None:
    webhook, _ = made(gomega, description="Ours", timeout_seconds=3)
    changes = {"url": URL + "/2", "is_active": False, "retry_attempts": 0, "description": None}
    answer = gomega.patch(f"/lead-webhooks/{webhook['id']}", changes)
    assert answer.status_code == 200
    assert set(answer.json()) == {"webhook"}
    changed = answer.json()["webhook"]
    assert changed == {**webhook, **changes, "updated_at": changed["updated_at"]}
    assert changed["updated_at"] >= webhook["updated_at"]


def test_a_secret_is_rotated_when_asked_for_and_shown_once(gomega: Gomega) -> None:
    webhook, secret = made(gomega)
    path = f"/lead-webhooks/{webhook['id']}"
    assert "secret" not in gomega.patch(path, {"rotate_secret": False}).json()
    rotated = gomega.patch(path, {"rotate_secret": True}).json()["secret"]
    assert rotated != secret
    assert secrets.decrypt(LeadWebhook.objects.get().secret) == rotated
    assert "secret" not in gomega.patch(path, {}).json()


def test_a_deleted_webhook_is_not_seen_any_more_and_stays_a_row(gomega: Gomega) -> None:
    webhook, _ = made(gomega)
    path = f"/lead-webhooks/{webhook['id']}"
    assert gomega.delete(path).json() == {"deleted": True}
    assert gomega.get("/lead-webhooks").json() == {"webhooks": []}
    assert gomega.delete(path).status_code == gomega.patch(path, {}).status_code == 404
    assert LeadWebhook.objects.get().deleted_at is not None


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "url"),
        ({"url": None}, "url"),
        ({"url": "http://hooks.example/"}, "url"),
        ({"url": "https://127.0.0.1/"}, "url"),
        ({"url": "https://[::1]:8443/"}, "url"),
        ({"url": "https://169.254.169.254/latest/"}, "url"),
        ({"url": "https://localhost/"}, "url"),
        ({"url": "https://user:password@hooks.example/"}, "url"),
        ({"url": URL, "event_types": ["lead.updated"]}, "event_types"),
        ({"url": URL, "event_types": []}, "event_types"),
        ({"url": URL, "event_types": "lead.created"}, "event_types"),
        ({"url": URL, "event_types": [{}]}, "event_types"),
        ({"url": URL, "timeout_seconds": 0}, "timeout_seconds"),
        ({"url": URL, "timeout_seconds": 61}, "timeout_seconds"),
        ({"url": URL, "timeout_seconds": True}, "timeout_seconds"),
        ({"url": URL, "timeout_seconds": 1.5}, "timeout_seconds"),
        ({"url": URL, "retry_attempts": -1}, "retry_attempts"),
        ({"url": URL, "retry_attempts": 11}, "retry_attempts"),
        ({"url": URL, "description": 7}, "description"),
        ({"url": URL, "is_active": "yes"}, "is_active"),
    ],
)
def test_what_does_not_fit_is_a_400_that_names_it(gomega: Gomega, body: dict[str, object], named: str) -> None:
    answer = gomega.post("/lead-webhooks", body)
    assert answer.status_code == 400
    assert message_of(answer).startswith(named)
    assert not LeadWebhook.objects.exists()
    if "url" in body:
        webhook, _ = made(gomega)
        assert gomega.patch(f"/lead-webhooks/{webhook['id']}", body).status_code == 400


def test_a_private_address_may_be_allowed_by_the_operator(gomega: Gomega, settings: Settings) -> None:
    settings.ALLOW_PRIVATE_WEBHOOK_HOSTS = True
    assert made(gomega, url="https://127.0.0.1:8443/")[0]["url"] == "https://127.0.0.1:8443/"


def test_webhooks_of_others_are_404(gomega: Gomega, stranger: Gomega) -> None:
    webhook, _ = made(gomega)
    for id in (webhook["id"], str(uuid4()), "x", webhook["id"].replace("-", "")):
        path = f"/lead-webhooks/{id}"
        assert stranger.patch(path, {"is_active": False}).status_code == 404
        assert stranger.delete(path).status_code == 404
        assert stranger.get(f"{path}/deliveries").status_code == 404
        assert stranger.post(f"{path}/deliveries/{uuid4()}/redeliver").status_code == 404
    assert stranger.get("/lead-webhooks").json() == {"webhooks": []}
    assert LeadWebhook.objects.get().is_active


def test_deliveries_are_listed_and_repeated(gomega: Gomega, organization: Organization) -> None:
    webhook, _ = made(gomega)
    gomega.post("/leads", {"contact_name": "Ida"})
    path = f"/lead-webhooks/{webhook['id']}/deliveries"
    [shown] = gomega.get(path).json()["deliveries"]
    delivery = WebhookDelivery.objects.get()
    assert (shown["id"], shown["event"], shown["state"], shown["attempts"]) == (
        str(delivery.pk),
        "lead.created",
        "pending",
        0,
    )
    assert shown["next_attempt_at"] is not None
    assert gomega.post(f"{path}/{delivery.pk}/redeliver").status_code == 409
    WebhookDelivery.objects.update(state="failed", attempts=6, error="Answered with 500.", response_status=500)
    again = gomega.post(f"{path}/{delivery.pk}/redeliver").json()["delivery"]
    assert (again["id"], again["state"], again["attempts"]) == (str(delivery.pk), "pending", 0)
    assert gomega.post(f"{path}/{uuid4()}/redeliver").status_code == 404
