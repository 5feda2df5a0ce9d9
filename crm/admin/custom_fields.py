"""Custom fields."""

from django.contrib import admin

from crm.admin.base import ReadOnlyAdmin
from crm.models import CustomField


@admin.register(CustomField)
class CustomFieldAdmin(ReadOnlyAdmin):
    list_display = ("name", "object_type", "type", "accepts_multiple_values", "slug", "organization")
    list_filter = ("object_type", "type", "accepts_multiple_values")
    list_select_related = ("organization",)
    search_fields = ("name", "organization__name")
    id_lookups = ("pk", "organization")
    ordering = ("organization__name", "organization_id", "object_type", "position", "pk")
