"""`/lead-webhooks` (gomega-api.md 9), and what was delivered to them."""

from django.urls import path
from rest_framework import serializers
from rest_framework.response import Response

from crm.api.gomega.conventions import MANAGE, GomegaRequest, GomegaView
from crm.api.gomega.openapi import describe
from crm.api.gomega.webhook_input import read_flag, read_webhook
from crm.errors import NotFound
from crm.ids import parse_uuid
from crm.models import DeliveryState, LeadWebhook, WebhookDelivery
from crm.webhooks.dates import gomega_datetime
from crm.webhooks.hooks import (
    EVENT_TYPES,
    create_webhook,
    delete_webhook,
    deliveries_of,
    redeliver,
    update_webhook,
    webhooks_of,
)

SHOWN_DELIVERIES = 100  # the newest ones


class WebhookBody(serializers.Serializer):
    url = serializers.CharField(max_length=2048, help_text="A public HTTPS address.")
    event_types = serializers.ListField(child=serializers.ChoiceField(EVENT_TYPES), required=False)
    timeout_seconds = serializers.IntegerField(min_value=1, max_value=60, default=10)
    retry_attempts = serializers.IntegerField(min_value=0, max_value=10, default=5, help_text="After the first one.")
    description = serializers.CharField(max_length=1000, required=False, allow_null=True)
    is_active = serializers.BooleanField(default=True)


class WebhookChanges(WebhookBody):
    url = serializers.CharField(max_length=2048, required=False)
    rotate_secret = serializers.BooleanField(default=False, help_text="The answer shows the new one, once.")


class WebhookShown(serializers.Serializer):
    id = serializers.UUIDField()
    url = serializers.CharField()
    event_types = serializers.ListField(child=serializers.CharField())
    is_active = serializers.BooleanField()
    timeout_seconds = serializers.IntegerField()
    retry_attempts = serializers.IntegerField()
    description = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class WebhookList(serializers.Serializer):
    webhooks = WebhookShown(many=True)


class WebhookMade(serializers.Serializer):
    webhook = WebhookShown()
    secret = serializers.CharField(help_text="Signs what is delivered. Shown this once.")


class WebhookChanged(serializers.Serializer):
    webhook = WebhookShown()
    secret = serializers.CharField(required=False)


class WebhookDeleted(serializers.Serializer):
    deleted = serializers.BooleanField()


class DeliveryShown(serializers.Serializer):
    id = serializers.UUIDField(help_text="X-Mega-Delivery of all its attempts.")
    event = serializers.CharField()
    lead_id = serializers.UUIDField(allow_null=True)
    state = serializers.ChoiceField(DeliveryState.choices)
    attempts = serializers.IntegerField()
    next_attempt_at = serializers.DateTimeField(allow_null=True)
    response_status = serializers.IntegerField(allow_null=True)
    error = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class DeliveryList(serializers.Serializer):
    deliveries = DeliveryShown(many=True)


class DeliveryAnswer(serializers.Serializer):
    delivery = DeliveryShown()


def show_webhook(webhook: LeadWebhook) -> dict[str, object]:
    """A webhook without its secret."""
    return {
        "id": str(webhook.pk),
        "url": webhook.url,
        "event_types": webhook.event_types,
        "is_active": webhook.is_active,
        "timeout_seconds": webhook.timeout_seconds,
        "retry_attempts": webhook.retry_attempts,
        "description": webhook.description,
        "created_at": gomega_datetime(webhook.date_created),
        "updated_at": gomega_datetime(webhook.date_updated),
    }


def show_delivery(delivery: WebhookDelivery) -> dict[str, object]:
    waits = delivery.state == DeliveryState.PENDING
    return {
        "id": str(delivery.pk),
        "event": delivery.event,
        "lead_id": delivery.lead_id and str(delivery.lead_id),
        "state": delivery.state,
        "attempts": delivery.attempts,
        "next_attempt_at": gomega_datetime(delivery.not_before) if waits else None,
        "response_status": delivery.response_status,
        "error": delivery.error,
        "created_at": gomega_datetime(delivery.date_created),
        "finished_at": delivery.date_finished and gomega_datetime(delivery.date_finished),
    }


class WebhooksView(GomegaView):
    scopes = {"GET": MANAGE, "POST": MANAGE}

    @describe("gomega_webhook_list", "Lists the webhooks, without their secrets.", answer=WebhookList)
    def get(self, request: GomegaRequest) -> Response:
        webhooks = webhooks_of(request.caller.organization.pk)
        return Response({"webhooks": [show_webhook(webhook) for webhook in webhooks]})

    @describe("gomega_webhook_create", "Makes a webhook.", body=WebhookBody, answer=WebhookMade, status=201)
    def post(self, request: GomegaRequest) -> Response:
        caller = request.caller
        columns = read_webhook(request.data, is_new=True)
        webhook, secret = create_webhook(organization=caller.organization, by=caller.user, columns=columns)
        return Response({"webhook": show_webhook(webhook), "secret": secret}, status=201)


class WebhookView(GomegaView):
    scopes = {"PATCH": MANAGE, "DELETE": MANAGE}

    @describe("gomega_webhook_update", "Changes what is given.", body=WebhookChanges, answer=WebhookChanged)
    def patch(self, request: GomegaRequest, id: str) -> Response:
        caller = request.caller
        webhook, secret = update_webhook(
            webhook_id=parse_uuid(id),
            organization=caller.organization,
            by=caller.user,
            columns=read_webhook(request.data, is_new=False),
            new_secret=read_flag(request.data.get("rotate_secret", False), "rotate_secret"),
        )
        return Response({"webhook": show_webhook(webhook), **({"secret": secret} if secret else {})})

    @describe("gomega_webhook_delete", "Deletes a webhook: nothing more is posted to it.", answer=WebhookDeleted)
    def delete(self, request: GomegaRequest, id: str) -> Response:
        caller = request.caller
        delete_webhook(webhook_id=parse_uuid(id), organization=caller.organization, by=caller.user)
        return Response({"deleted": True})


class _OfWebhook(GomegaView):
    def webhook_of(self, id: str) -> LeadWebhook:
        webhook = webhooks_of(self.request.caller.organization.pk).filter(pk=parse_uuid(id)).first()
        if webhook is None:
            raise NotFound
        return webhook


class DeliveriesView(_OfWebhook):
    scopes = {"GET": MANAGE}

    @describe(
        "gomega_delivery_list",
        f"Lists the newest {SHOWN_DELIVERIES} deliveries of the last 30 days. Not one of gomega's.",
        answer=DeliveryList,
    )
    def get(self, request: GomegaRequest, id: str) -> Response:
        deliveries = deliveries_of(self.webhook_of(id))[:SHOWN_DELIVERIES]
        return Response({"deliveries": [show_delivery(delivery) for delivery in deliveries]})


class RedeliverView(_OfWebhook):
    scopes = {"POST": MANAGE}

    @describe(
        "gomega_delivery_repeat",
        "Posts an event that was delivered, or given up, once more under the same id. Not one of gomega's.",
        answer=DeliveryAnswer,
    )
    def post(self, request: GomegaRequest, webhook_id: str, id: str) -> Response:
        delivery = redeliver(delivery_id=parse_uuid(id), webhook=self.webhook_of(webhook_id))
        return Response({"delivery": show_delivery(delivery)})


urlpatterns = [
    path("lead-webhooks/", WebhooksView.as_view()),
    path("lead-webhooks/<str:id>/", WebhookView.as_view()),
    path("lead-webhooks/<str:id>/deliveries/", DeliveriesView.as_view()),
    path("lead-webhooks/<str:webhook_id>/deliveries/<str:id>/redeliver/", RedeliverView.as_view()),
]
