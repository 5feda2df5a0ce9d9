"""Leads, their statuses, addresses, and what happened to them."""

from collections.abc import Iterator

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import TabularInline
from unfold.decorators import display

from crm.admin.base import LargeTableAdmin, ReadOnly, ReadOnlyAdmin, age
from crm.admin.custom_values import custom_values_of
from crm.models import Address, Contact, FieldObject, Lead, LeadStatus, LeadStatusChange


class DeletedFilter(admin.SimpleListFilter):
    """Live leads unless one asks for the marked ones."""

    title = "deleted"
    parameter_name = "deleted"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        return [("yes", "Deleted")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Lead]) -> QuerySet[Lead]:
        return queryset.filter(deleted_at__isnull=self.value() != "yes")

    def choices(self, changelist: object) -> Iterator[dict[str, object]]:
        everything, *others = super().choices(changelist)
        yield {**everything, "display": "Live"}
        yield from others


class ContactsOfLead(ReadOnly, TabularInline):
    model = Contact
    fields = ("name", "title")
    per_page = 20
    show_change_link = True


class AddressesOfLead(ReadOnly, TabularInline):
    model = Address
    fields = ("label", "address_1", "address_2", "city", "state", "zipcode", "country")
    per_page = 20


class StatusChangesOfLead(ReadOnly, TabularInline):
    model = LeadStatusChange
    verbose_name_plural = "status changes"
    fields = ("date_created", "old_status", "new_status", "user")
    ordering = ("-pk",)
    per_page = 20

    def get_queryset(self, request: HttpRequest) -> QuerySet[LeadStatusChange]:
        return super().get_queryset(request).prefetch_related("old_status", "new_status", "user")


@admin.register(Lead)
class LeadAdmin(LargeTableAdmin):
    list_display = ("title", "status_label", "organization", "created_ago", "updated_ago")
    list_filter = (DeletedFilter,)
    search_fields = ("name",)
    search_help_text = "Name or id"
    id_lookups = ("pk", "organization", "status")
    inlines = (ContactsOfLead, AddressesOfLead, StatusChangesOfLead)
    fieldsets = (
        (None, {"fields": ("name", "organization", "status", "url", "description")}),
        ("Custom fields", {"fields": ("custom_values",)}),
        ("History", {"fields": ("date_created", "created_by", "date_updated", "updated_by", "deleted_at")}),
    )
    readonly_fields = ("custom_values",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Lead]:
        return Lead.all_objects.order_by("-pk").prefetch_related("organization", "status")

    @admin.display(description="Name")
    def title(self, lead: Lead) -> str:
        return lead.name or "(no name)"

    @display(description="Status", label=True)
    def status_label(self, lead: Lead) -> str:
        return lead.status.label

    @admin.display(description="Changed")
    def updated_ago(self, lead: Lead) -> str:
        return age(lead.date_updated)

    @admin.display(description="Values")
    def custom_values(self, lead: Lead) -> str:
        return custom_values_of(lead, FieldObject.LEAD)


@admin.register(LeadStatus)
class LeadStatusAdmin(ReadOnlyAdmin):
    list_display = ("label", "slug", "position", "organization")
    list_select_related = ("organization",)
    search_fields = ("label", "organization__name")
    id_lookups = ("pk", "organization")
    ordering = ("organization__name", "organization_id", "position", "pk")
    fields = ("label", "slug", "position", "organization", "date_created")


@admin.register(Address)
class AddressAdmin(LargeTableAdmin):
    list_display = ("lead", "label", "address_1", "city", "state", "zipcode", "country")
    search_fields = ("city", "zipcode")
    id_lookups = ("pk", "lead")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Address]:
        return super().get_queryset(request).prefetch_related("lead")


@admin.register(LeadStatusChange)
class LeadStatusChangeAdmin(LargeTableAdmin):
    """Its references may point at what has been purged since: they are fetched beside the rows, never joined."""

    list_display = ("lead", "old_status", "new_status", "user", "bulk_action_id", "created_ago")
    list_display_links = ("created_ago",)
    search_fields = ("lead__name",)
    search_help_text = "Id of a lead"
    id_lookups = ("pk", "lead")

    def get_queryset(self, request: HttpRequest) -> QuerySet[LeadStatusChange]:
        return super().get_queryset(request).prefetch_related("lead", "old_status", "new_status", "user")
