"""Webhooks of new leads, and what was or is to be delivered to them."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.decorators import display

from crm.admin.base import LargeTableAdmin, ReadOnlyAdmin
from crm.models import DeliveryState, LeadWebhook, WebhookDelivery

_COLOURS = {DeliveryState.DELIVERED: "success", DeliveryState.FAILED: "danger", DeliveryState.SENDING: "info"}


@admin.register(LeadWebhook)
class LeadWebhookAdmin(ReadOnlyAdmin):
    """Kept through the API, which checks addresses and shows the secret once."""

    list_display = ("url", "organization", "state", "consecutive_failures", "created_ago")
    list_filter = ("is_active", ("deleted_at", admin.EmptyFieldListFilter))
    list_select_related = ("organization",)
    search_fields = ("url", "organization__name")
    id_lookups = ("pk", "organization")
    ordering = ("-pk",)
    fieldsets = (
        (None, {"fields": ("url", "description", "organization", "event_types", "state")}),
        ("Delivery", {"fields": ("timeout_seconds", "retry_attempts", "consecutive_failures")}),
        ("History", {"fields": ("date_created", "created_by", "date_updated", "updated_by", "deleted_at")}),
    )

    @display(description="State", label={"active": "success", "inactive": "warning", "deleted": "danger"})
    def state(self, webhook: LeadWebhook) -> str:
        if webhook.deleted_at:
            return "deleted"
        return "active" if webhook.is_active else "inactive"


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(LargeTableAdmin):
    """Its references may point at what has been purged since: they are fetched beside the rows, never joined."""

    list_display = ("event", "lead", "webhook", "state_label", "attempts", "answer", "created_ago")
    list_filter = ("state",)
    search_fields = ("event",)
    search_help_text = "Id of a delivery, a webhook or a lead"
    id_lookups = ("pk", "webhook", "lead")
    fieldsets = (
        (None, {"fields": ("event", "webhook", "lead", "payload")}),
        ("Delivery", {"fields": ("state", "attempts", "not_before", "claimed_at", "response_status", "error")}),
        ("History", {"fields": ("date_created", "date_finished")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookDelivery]:
        return super().get_queryset(request).prefetch_related("webhook", "lead")

    @display(description="State", label=_COLOURS)
    def state_label(self, delivery: WebhookDelivery) -> str:
        return delivery.state

    @admin.display(description="Answer")
    def answer(self, delivery: WebhookDelivery) -> str:
        """That of the last attempt, or why there was none."""
        return delivery.error or str(delivery.response_status or "-")
