"""Webhooks: making, changing and deleting them, and sending a delivery once more (gomega-api.md 9)."""

import secrets as random
from collections.abc import Mapping
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from crm import secrets
from crm.errors import Conflict, NotFound
from crm.models import DeliveryState, LeadWebhook, Organization, User, WebhookDelivery
from crm.webhooks.doorbell import ring
from crm.webhooks.targets import check_url

LEAD_CREATED = "lead.created"
EVENT_TYPES = (LEAD_CREATED,)
MOST_WEBHOOKS = 50  # of one customer: each new lead is posted to all of them
_SECRET_PREFIX = "mega_whsec_"


def webhooks_of(organization_id: UUID) -> QuerySet[LeadWebhook]:
    """The organization's webhooks, oldest first, without the deleted ones."""
    return LeadWebhook.objects.filter(organization_id=organization_id, deleted_at__isnull=True).order_by("id")


def deliveries_of(webhook: LeadWebhook) -> QuerySet[WebhookDelivery]:
    """What was or is to be posted to it, the newest first."""
    return WebhookDelivery.objects.filter(webhook=webhook).order_by("-id")


@transaction.atomic
def create_webhook(*, organization: Organization, by: User, columns: Mapping[str, object]) -> tuple[LeadWebhook, str]:
    """A new webhook from `columns` (`url` among them), and its secret, which cannot be shown again.

    Raises `FieldErrors` for an address that is no public HTTPS one, `Conflict` where there are MOST_WEBHOOKS.
    """
    check_url(str(columns["url"]))
    Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)  # or two at once would be one too many
    if webhooks_of(organization.pk).count() >= MOST_WEBHOOKS:
        raise Conflict(f"There are {MOST_WEBHOOKS} webhooks already.")
    secret = _new_secret()
    made = LeadWebhook.objects.create(
        **{"event_types": list(EVENT_TYPES), **columns},
        organization=organization,
        secret=secrets.encrypt(secret),
        created_by=by,
        updated_by=by,
    )
    made.refresh_from_db()
    return made, secret


@transaction.atomic
def update_webhook(
    *, webhook_id: UUID | None, organization: Organization, by: User, columns: Mapping[str, object], new_secret: bool
) -> tuple[LeadWebhook, str | None]:
    """Change `columns`; with `new_secret` every attempt from now on is signed with another one, which is given here.

    One that is switched on again begins without failures. Raises `NotFound`, and `FieldErrors` as `create_webhook`.
    """
    if "url" in columns:
        if not webhooks_of(organization.pk).filter(pk=webhook_id).exists():
            raise NotFound
        check_url(str(columns["url"]))  # may take seconds: before the row is held
    webhook = _held(webhook_id, organization)
    if columns.get("is_active") and not webhook.is_active:
        webhook.consecutive_failures = 0
    for column, value in columns.items():
        setattr(webhook, column, value)
    secret = _new_secret() if new_secret else None
    if secret is not None:
        webhook.secret = secrets.encrypt(secret)
    webhook.updated_by = by
    webhook.date_updated = Now()
    webhook.save()
    webhook.refresh_from_db()
    return webhook, secret


@transaction.atomic
def delete_webhook(*, webhook_id: UUID | None, organization: Organization, by: User) -> None:
    """Mark it as deleted: no further post to it is begun. What was stays to be seen in the admin. Raises `NotFound`."""
    webhook = _held(webhook_id, organization)
    webhook.deleted_at = webhook.date_updated = Now()
    webhook.updated_by = by
    webhook.secret = ""
    webhook.save(update_fields=["deleted_at", "date_updated", "updated_by", "secret"])


@transaction.atomic
def redeliver(*, delivery_id: UUID | None, webhook: LeadWebhook) -> WebhookDelivery:
    """Post an event once more, under the same id, with all its attempts before it.

    Raises `NotFound`; `Conflict` for one that is not over, and where the webhook is inactive.
    """
    delivery = deliveries_of(webhook).select_for_update().filter(pk=delivery_id).first()
    if delivery is None:
        raise NotFound
    if not webhook.is_active:
        raise Conflict("The webhook is inactive: switch it on first.")
    if delivery.state not in (DeliveryState.DELIVERED, DeliveryState.FAILED):
        raise Conflict("The delivery is under way already.")
    delivery.state, delivery.attempts, delivery.date_finished = DeliveryState.PENDING, 0, None
    delivery.not_before = Now()
    delivery.save(update_fields=["state", "attempts", "date_finished", "not_before"])
    transaction.on_commit(ring, robust=True)
    delivery.refresh_from_db()
    return delivery


def _held(webhook_id: UUID | None, organization: Organization) -> LeadWebhook:
    webhook = webhooks_of(organization.pk).select_for_update(no_key=True).filter(pk=webhook_id).first()
    if webhook is None:
        raise NotFound
    return webhook


def _new_secret() -> str:
    return _SECRET_PREFIX + random.token_hex(32)
