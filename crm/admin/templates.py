"""Templates of mails and messages. Read-only: the services behind the API check what is written."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.decorators import display

from crm.admin.base import ReadOnlyAdmin, age
from crm.models import EmailTemplate, SmsTemplate


@admin.register(EmailTemplate)
class EmailTemplateAdmin(ReadOnlyAdmin):
    list_display = ("name", "subject", "organization", "shared", "archived", "used_ago", "created_ago")
    list_filter = ("is_shared", "is_archived", "undefined")
    list_select_related = ("organization",)
    search_fields = ("name", "subject", "organization__name")
    id_lookups = ("pk", "organization", "created_by")
    ordering = ("-pk",)
    fieldsets = (
        (None, {"fields": ("name", "subject", "body", "text", "undefined")}),
        ("With every mail", {"fields": ("cc", "bcc", "attachments")}),
        ("Use", {"fields": ("organization", "created_by", "updated_by", "is_shared", "is_archived", "last_used_at")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[EmailTemplate]:
        return super().get_queryset(request).defer("body", "text", "attachments")

    @display(description="Shared", boolean=True)
    def shared(self, template: EmailTemplate) -> bool:
        return template.is_shared

    @display(description="Archived", boolean=True)
    def archived(self, template: EmailTemplate) -> bool:
        return template.is_archived

    @admin.display(description="Last used", ordering="last_used_at")
    def used_ago(self, template: EmailTemplate) -> str:
        return age(template.last_used_at)


@admin.register(SmsTemplate)
class SmsTemplateAdmin(ReadOnlyAdmin):
    list_display = ("name", "text", "status", "organization", "created_ago")
    list_filter = ("status",)
    list_select_related = ("organization",)
    search_fields = ("name", "text", "organization__name")
    id_lookups = ("pk", "organization", "created_by")
    ordering = ("-pk",)
