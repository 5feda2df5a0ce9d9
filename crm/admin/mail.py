"""Senders, the outbox, and addresses that must not be written to."""

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from unfold.decorators import display

from crm.admin.base import LargeTableAdmin, RecordAdmin, UndeletableAdmin, age
from crm.errors import Invalid
from crm.mail import limits
from crm.mail.addresses import normalise
from crm.mail.suppression import suppress
from crm.models import EmailAccount, InboundKind, InboundMail, MailState, OutboxMail, Suppression


@admin.register(EmailAccount)
class EmailAccountAdmin(UndeletableAdmin):
    """Made and changed by its owner, through the API, which checks hosts and encrypts the password. Here: limits."""

    list_display = ("sender_email", "sender_name", "organization", "server", "status_label", "waiting", "created_ago")
    list_filter = ("send_status",)
    list_select_related = ("organization",)
    search_fields = ("sender_email", "sender_name", "smtp_host", "organization__name")
    search_help_text = "Address, name, server, organization, or id of the account or of its organization"
    id_lookups = ("pk", "organization")
    ordering = ("sender_email", "pk")
    readonly_fields = (
        *("organization", "user", "sender_email", "sender_name", "identities"),
        *("smtp_host", "smtp_port", "smtp_security", "smtp_username", "send_status", "send_error", "waiting"),
    )
    fieldsets = (
        (None, {"fields": ("organization", "user", "sender_email", "sender_name", "identities")}),
        ("Server", {"fields": ("smtp_host", "smtp_port", "smtp_security", "smtp_username")}),
        ("Limits", {"fields": ("daily_limit", "hourly_limit", "minimum_gap_seconds")}),
        ("Delivery", {"fields": ("send_status", "send_error", "paused_until", "waiting")}),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: EmailAccount, form: ModelForm, change: bool) -> None:
        obj.waits_until = None  # its limits may be others now
        super().save_model(request, obj, form, change)

    @admin.display(description="Server")
    def server(self, account: EmailAccount) -> str:
        return account.smtp_host or "EMAIL_URL"

    @display(description="State", label={"ok": "success", "error": "danger"})
    def status_label(self, account: EmailAccount) -> str:
        return account.send_status

    @admin.display(description="Waits")
    def waiting(self, account: EmailAccount) -> str:
        found = limits.waiting_of(account)
        return f"{limits.Reason(found[0]).label} until {found[1]:%Y-%m-%d %H:%M:%S}" if found else "-"


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
        fields = ("organization", "address", "reason", "detail")

    def clean_address(self) -> str:
        try:
            return normalise(self.cleaned_data["address"])
        except Invalid as problem:
            raise forms.ValidationError(problem.errors) from None


@admin.register(Suppression)
class SuppressionAdmin(RecordAdmin):
    form = SuppressionForm
    list_display = ("address", "reason", "detail", "organization", "created_ago")
    list_filter = ("reason",)
    list_select_related = ("organization",)
    search_fields = ("address",)
    id_lookups = ("pk", "organization")
    autocomplete_fields = ("organization",)
    ordering = ("-pk",)

    def has_change_permission(self, request: HttpRequest, obj: Suppression | None = None) -> bool:
        return False  # a reason only ever gives way to a stronger one; to lift one, delete it

    def save_model(self, request: HttpRequest, obj: Suppression, form: SuppressionForm, change: bool) -> None:
        suppress(obj.organization_id, obj.address, obj.reason, obj.detail)
        obj.pk = Suppression.objects.get(organization=obj.organization_id, address=obj.address).pk


@admin.register(InboundMail)
class InboundMailAdmin(LargeTableAdmin):
    list_display = ("address", "kind_label", "detail", "organization", "created_ago")
    list_filter = ("kind",)
    list_select_related = ("organization",)
    search_fields = ("address",)
    id_lookups = ("pk", "organization", "mail")

    @display(
        description="Kind",
        label={
            InboundKind.HARD_BOUNCE: "danger",
            InboundKind.COMPLAINT: "danger",
            InboundKind.SOFT_BOUNCE: "warning",
            InboundKind.REPLY: "success",
        },
    )
    def kind_label(self, mail: InboundMail) -> str:
        return mail.kind
