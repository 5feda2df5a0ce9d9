"""Senders, the outbox, and addresses that must not be written to."""

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.decorators import display

from crm.admin.base import LargeTableAdmin, RecordAdmin, UndeletableAdmin, age
from crm.errors import Invalid
from crm.mail.addresses import normalise
from crm.models import EmailAccount, MailState, OutboxMail, Suppression


@admin.register(EmailAccount)
class EmailAccountAdmin(UndeletableAdmin):
    list_display = ("sender_email", "sender_name", "organization", "created_ago")
    list_select_related = ("organization",)
    search_fields = ("sender_email", "sender_name", "organization__name")
    id_lookups = ("pk", "organization")
    autocomplete_fields = ("organization",)
    ordering = ("sender_email", "pk")


@admin.register(OutboxMail)
class OutboxMailAdmin(LargeTableAdmin):
    list_display = ("address", "subject", "state_label", "purpose", "attempts", "due", "sent")
    list_filter = ("state", "purpose")
    search_fields = ("address",)
    search_help_text = "Address, or id of the bulk action that asked for the mail"
    id_lookups = ("pk", "source_id")
    fieldsets = (
        (None, {"fields": ("address", "sender", "subject", "body_text")}),
        ("Delivery", {"fields": ("state", "not_before", "attempts", "date_sent", "error_code", "error_message")}),
        ("Origin", {"fields": ("organization", "account", "purpose", "source_id", "step", "message_id")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[OutboxMail]:
        return super().get_queryset(request).defer("body_html", "headers")

    @display(
        description="State",
        label={
            MailState.SENT: "success",
            MailState.SENDING: "info",
            MailState.UNKNOWN: "warning",
            MailState.ERROR: "danger",
        },
    )
    def state_label(self, mail: OutboxMail) -> str:
        return mail.state

    @admin.display(description="Not before")
    def due(self, mail: OutboxMail) -> str:
        return f"{mail.not_before:%Y-%m-%d %H:%M:%S}"

    @admin.display(description="Sent")
    def sent(self, mail: OutboxMail) -> str:
        return age(mail.date_sent)


class SuppressionForm(forms.ModelForm):
    class Meta:
        model = Suppression
        fields = ("organization", "address", "reason")

    def clean_address(self) -> str:
        try:
            return normalise(self.cleaned_data["address"])
        except Invalid as problem:
            raise forms.ValidationError(problem.errors) from None


@admin.register(Suppression)
class SuppressionAdmin(RecordAdmin):
    form = SuppressionForm
    list_display = ("address", "reason", "organization", "created_ago")
    list_filter = ("reason",)
    list_select_related = ("organization",)
    search_fields = ("address",)
    id_lookups = ("pk", "organization")
    autocomplete_fields = ("organization",)
    ordering = ("-pk",)
