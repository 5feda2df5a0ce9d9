"""Pipelines, the statuses in them, opportunities, and what happened to them."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import TabularInline
from unfold.decorators import display

from crm.admin.base import LargeTableAdmin, ReadOnly, ReadOnlyAdmin, age
from crm.admin.custom_values import custom_values_of
from crm.models import FieldObject, Opportunity, OpportunityStatus, OpportunityStatusChange, Pipeline, StatusType

_COLOURS = {StatusType.ACTIVE: "info", StatusType.WON: "success", StatusType.LOST: "danger"}


class StatusesOfPipeline(ReadOnly, TabularInline):
    model = OpportunityStatus
    fields = ("label", "type", "slug", "position")
    readonly_fields = ("slug",)
    show_change_link = True


@admin.register(Pipeline)
class PipelineAdmin(ReadOnlyAdmin):
    list_display = ("name", "position", "organization", "created_ago")
    list_select_related = ("organization",)
    search_fields = ("name", "organization__name")
    id_lookups = ("pk", "organization")
    inlines = (StatusesOfPipeline,)
    ordering = ("organization__name", "organization_id", "position", "pk")
    fields = ("name", "position", "organization", "date_created", "created_by", "date_updated", "updated_by")


@admin.register(OpportunityStatus)
class OpportunityStatusAdmin(ReadOnlyAdmin):
    list_display = ("label", "type_label", "slug", "pipeline", "position", "organization")
    list_filter = ("type",)
    list_select_related = ("pipeline", "organization")
    search_fields = ("label", "pipeline__name", "organization__name")
    id_lookups = ("pk", "pipeline", "organization")
    ordering = ("organization__name", "organization_id", "pipeline__position", "position", "pk")
    fields = ("label", "type", "slug", "pipeline", "position", "organization", "date_created")

    @display(description="Type", label=_COLOURS)
    def type_label(self, status: OpportunityStatus) -> str:
        return status.type


@admin.register(Opportunity)
class OpportunityAdmin(LargeTableAdmin):
    list_display = ("title", "lead", "status_label", "amount", "confidence", "created_ago", "updated_ago")
    search_fields = ("note",)
    search_help_text = "Note, or id of an opportunity, a lead or a status"
    id_lookups = ("pk", "lead", "status")
    fieldsets = (
        (None, {"fields": ("organization", "lead", "contact", "user", "status", "note")}),
        ("Value", {"fields": ("value", "value_period", "confidence", "date_won", "date_lost")}),
        ("Custom fields", {"fields": ("custom_values",)}),
        ("History", {"fields": ("date_created", "created_by", "date_updated", "updated_by")}),
    )
    readonly_fields = ("custom_values",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Opportunity]:
        return super().get_queryset(request).prefetch_related("lead", "status")

    @admin.display(description="Note")
    def title(self, opportunity: Opportunity) -> str:
        return (opportunity.note or "(no note)")[:80]

    @display(description="Status", label=True)
    def status_label(self, opportunity: Opportunity) -> str:
        return opportunity.status.label

    @admin.display(description="Value")
    def amount(self, opportunity: Opportunity) -> str:
        if opportunity.value is None:
            return "-"
        return f"{opportunity.value / 100:,.2f} {opportunity.get_value_period_display().lower()}"

    @admin.display(description="Changed")
    def updated_ago(self, opportunity: Opportunity) -> str:
        return age(opportunity.date_updated)

    @admin.display(description="Values")
    def custom_values(self, opportunity: Opportunity) -> str:
        return custom_values_of(opportunity, FieldObject.OPPORTUNITY)


@admin.register(OpportunityStatusChange)
class OpportunityStatusChangeAdmin(LargeTableAdmin):
    """Its references may point at what has been deleted since: they are fetched beside the rows, never joined."""

    list_display = ("lead", "old_status", "new_status", "user", "created_ago")
    list_display_links = ("created_ago",)
    search_fields = ("lead__name",)
    search_help_text = "Id of an opportunity or a lead"
    id_lookups = ("pk", "opportunity", "lead")

    def get_queryset(self, request: HttpRequest) -> QuerySet[OpportunityStatusChange]:
        return super().get_queryset(request).prefetch_related("lead", "old_status", "new_status", "user")
