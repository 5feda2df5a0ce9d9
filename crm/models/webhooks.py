"""Where an organization wants to be told of new leads, and what is to be told (gomega-api.md 9)."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from crm.models.base import Dated, Keyed, plain_reference
from crm.models.organizations import Organization


class LeadWebhook(Keyed, Dated):
    """An address that events are posted to. A deleted one is a marked row: its deliveries stay to be seen.

    `secret` signs the deliveries; it is encrypted (`crm.secrets`) and shown once. `consecutive_failures` counts the
    attempts since the last one that was answered with 2xx.
    """

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    url = models.TextField()
    event_types = ArrayField(models.TextField())
    is_active = models.BooleanField(default=True)
    timeout_seconds = models.SmallIntegerField(default=10)
    retry_attempts = models.SmallIntegerField(default=5, help_text="After the first one.")
    description = models.TextField(null=True, blank=True)
    secret = models.TextField(editable=False)
    consecutive_failures = models.IntegerField(default=0, editable=False)
    created_by = plain_reference("crm.User", null=True, blank=True)
    updated_by = plain_reference("crm.User", null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, editable=False)

    def __str__(self) -> str:
        return self.url


class DeliveryState(models.TextChoices):
    PENDING = "pending"  # to be sent when `not_before` has come
    SENDING = "sending"  # a worker has it in hand, since `claimed_at`; at `not_before` it is thought dead
    DELIVERED = "delivered"  # answered with 2xx
    FAILED = "failed"  # given up: no attempt is left, the target is forbidden, or the webhook is gone


class WebhookDelivery(Keyed):
    """One event for one webhook, written in the transaction of what it tells of. Its key is that of every attempt.

    `payload` is the body without `delivered_at`, which is that of the attempt. `claim` tells the worker that has the
    delivery in hand from one that took it before, and was thought dead.
    """

    organization = plain_reference("crm.Organization")
    webhook = plain_reference("crm.LeadWebhook")
    lead = plain_reference("crm.Lead", null=True)
    event = models.TextField()
    payload = models.JSONField()
    state = models.TextField(choices=DeliveryState.choices, default=DeliveryState.PENDING)
    attempts = models.SmallIntegerField(default=0)
    not_before = models.DateTimeField(db_default=Now())
    claimed_at = models.DateTimeField(null=True)
    claim = models.UUIDField(null=True)
    response_status = models.SmallIntegerField(null=True, help_text="Of the last attempt.")
    error = models.TextField(null=True, help_text="Why the last attempt failed.")
    date_created = models.DateTimeField(db_default=Now())
    date_finished = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "webhook deliveries"
        indexes = [
            models.Index(
                fields=["webhook", "not_before", "id"], name="webhook_delivery_due", condition=Q(state="pending")
            ),
            models.Index(fields=["claimed_at"], name="webhook_delivery_claimed", condition=Q(state="sending")),
            models.Index(fields=["webhook", "id"], name="webhook_delivery_webhook"),
            models.Index(fields=["lead"], name="webhook_delivery_lead"),
            models.Index(fields=["date_created"], name="webhook_delivery_age"),
        ]

    def __str__(self) -> str:
        return self.event
