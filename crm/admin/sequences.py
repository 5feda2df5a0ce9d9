"""Sequences, their steps, and the contacts in them."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import TabularInline
from unfold.decorators import display

from crm.admin.base import LargeTableAdmin, ReadOnly, ReadOnlyAdmin
from crm.models import Sequence, SequenceStep, SequenceSubscription, SubscriptionStatus

_COLOURS = {"active": "success", "paused": "warning", "draft": "info"}


class StepsOfSequence(ReadOnly, TabularInline):
    model = SequenceStep
    fields = ("position", "step_type", "delay", "email_template", "sms_template", "threading", "required")
    show_change_link = True


@admin.register(Sequence)
class SequenceAdmin(ReadOnlyAdmin):
    list_display = ("name", "status_label", "timezone", "organization", "created_ago")
    list_filter = ("status",)
    list_select_related = ("organization",)
    search_fields = ("name", "organization__name")
    id_lookups = ("pk", "organization")
    inlines = (StepsOfSequence,)
    ordering = ("organization__name", "organization_id", "name", "pk")
    fieldsets = (
        (None, {"fields": ("name", "status", "organization", "owner", "timezone", "schedule")}),
        ("Enrolment", {"fields": ("allow_manual_enrollment", "trigger_query")}),
        ("History", {"fields": ("date_created", "created_by", "date_updated", "updated_by", "deleted_at")}),
    )

    @display(description="Status", label=_COLOURS)
    def status_label(self, sequence: Sequence) -> str:
        return sequence.status


@admin.register(SequenceStep)
class SequenceStepAdmin(ReadOnlyAdmin):
    list_display = ("sequence", "position", "step_type", "delay", "required")
    list_filter = ("step_type",)
    list_select_related = ("sequence",)
    search_fields = ("sequence__name",)
    id_lookups = ("pk", "sequence", "email_template", "sms_template")
    ordering = ("sequence_id", "position")
    fields = (
        "sequence", "position", "step_type", "delay", "email_template", "sms_template", "threading", "required",
        "step_allowed_delay",
    )  # fmt: skip


@admin.register(SequenceSubscription)
class SequenceSubscriptionAdmin(LargeTableAdmin):
    """Its references may point at what has been deleted since: they are fetched beside the rows, never joined."""

    list_display = ("contact_email", "sequence", "status_label", "status_reason", "steps_done", "due", "created_ago")
    list_filter = ("status",)
    search_fields = ("contact_email",)
    search_help_text = "Address, or id of a subscription, a sequence, a contact or a lead"
    id_lookups = ("pk", "sequence", "contact", "lead")
    fieldsets = (
        (None, {"fields": ("organization", "sequence", "lead", "contact", "contact_email", "status", "status_reason")}),
        ("Progress", {"fields": ("start_date", "steps_done", "next_step", "next_at", "waiting_task")}),
        ("Sender", {"fields": ("sender_account", "sender_name", "sender_email", "calls_assigned_to")}),
        ("Thread", {"fields": ("thread_subject", "thread_message_ids")}),
        ("History", {"fields": ("date_created", "created_by", "date_updated", "updated_by", "bulk_action_id")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[SequenceSubscription]:
        return super().get_queryset(request).prefetch_related("sequence", "lead")

    @display(
        description="Status",
        label={
            SubscriptionStatus.ACTIVE: "success",
            SubscriptionStatus.GOAL: "success",
            SubscriptionStatus.PAUSED: "warning",
            SubscriptionStatus.ERROR: "danger",
            SubscriptionStatus.FINISHED: "info",
        },
    )
    def status_label(self, one: SequenceSubscription) -> str:
        return one.status

    @admin.display(description="Next step")
    def due(self, one: SequenceSubscription) -> str:
        return f"{one.next_at:%Y-%m-%d %H:%M:%S}" if one.next_at else "-"
