"""What the service notes about its own work: answers kept for a repeat, leads being forgotten, counters."""

from django.contrib import admin

from crm.admin.base import LargeTableAdmin, ReadOnlyAdmin, age
from crm.models import Counter, IdempotentAnswer, PurgedLead


@admin.register(IdempotentAnswer)
class IdempotentAnswerAdmin(LargeTableAdmin):
    list_display = ("key", "path", "status", "organization", "created_ago")
    search_fields = ("key",)
    search_help_text = "Idempotency-Key, or the id of an API key or user"
    id_lookups = ("owner",)


@admin.register(PurgedLead)
class PurgedLeadAdmin(LargeTableAdmin):
    list_display = ("lead_id", "organization", "purged_ago")
    search_fields = ("lead_id",)
    search_help_text = "Id of a lead or an organization"
    id_lookups = ("pk", "organization")

    @admin.display(description="Removed")
    def purged_ago(self, record: PurgedLead) -> str:
        return age(record.date_created)


@admin.register(Counter)
class CounterAdmin(ReadOnlyAdmin):
    list_display = ("name", "value")
    search_fields = ("name",)
    ordering = ("name",)
