"""Smart Views, to look them up. They are kept through the API, which checks their queries."""

from django.contrib import admin

from crm.admin.base import ReadOnlyAdmin
from search.models import SavedSearch


@admin.register(SavedSearch)
class SavedSearchAdmin(ReadOnlyAdmin):
    list_display = ("name", "type", "organization", "user", "is_shared", "created_ago")
    list_filter = ("type", "is_shared")
    list_select_related = ("organization", "user")
    search_fields = ("name", "user__email", "organization__name")
    id_lookups = ("pk", "organization", "user")
    ordering = ("-pk",)
