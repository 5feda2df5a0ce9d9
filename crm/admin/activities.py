"""Activities and tasks of leads."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.decorators import display

from crm.admin.base import LargeTableAdmin, age
from crm.models import Activity, Task

_LONGEST = 80  # characters of a text in a list


@admin.register(Activity)
class ActivityAdmin(LargeTableAdmin):
    list_display = ("summary", "type_label", "direction", "status", "lead", "happened_ago")
    search_fields = ("title",)
    search_help_text = "Title, or id of an activity, a lead or a contact"
    id_lookups = ("pk", "lead", "contact")
    fieldsets = (
        (None, {"fields": ("organization", "lead", "contact", "user", "type", "direction", "status", "activity_at")}),
        ("Content", {"fields": ("title", "text", "html", "local_address", "remote_address", "recipients", "details")}),
        ("Time", {"fields": ("duration", "disposition", "date_sent", "has_reply", "starts_at", "ends_at")}),
        ("History", {"fields": ("date_created", "created_by", "date_updated", "updated_by")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Activity]:
        return super().get_queryset(request).prefetch_related("lead")

    @admin.display(description="Title")
    def summary(self, activity: Activity) -> str:
        return (activity.title or activity.text or "(no title)")[:_LONGEST]

    @display(description="Type", label=True)
    def type_label(self, activity: Activity) -> str:
        return activity.type

    @admin.display(description="Happened")
    def happened_ago(self, activity: Activity) -> str:
        return age(activity.activity_at)


@admin.register(Task)
class TaskAdmin(LargeTableAdmin):
    list_display = ("summary", "type_label", "lead", "assigned_to", "due_date", "is_complete", "created_ago")
    search_fields = ("text",)
    search_help_text = "Text, or id of a task, a lead or a contact"
    id_lookups = ("pk", "lead", "contact")
    fieldsets = (
        (None, {"fields": ("organization", "lead", "contact", "type", "text", "assigned_to", "priority")}),
        ("Due", {"fields": ("due_date", "due_at", "is_complete")}),
        ("History", {"fields": ("date_created", "created_by", "date_updated", "updated_by")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Task]:
        return super().get_queryset(request).prefetch_related("lead", "assigned_to")

    @admin.display(description="Text")
    def summary(self, task: Task) -> str:
        return (task.text or "(no text)")[:_LONGEST]

    @display(description="Type", label=True)
    def type_label(self, task: Task) -> str:
        return task.type
