"""Organizations, memberships, groups and API keys."""

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils import timezone
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from crm.admin.base import ReadOnlyAdmin, UndeletableAdmin, age
from crm.models import ApiKey, Group, Membership, Organization, Permission
from crm.setup import create_organization


@admin.register(Organization)
class OrganizationAdmin(UndeletableAdmin):
    list_display = ("name", "currency", "created_ago")
    search_fields = ("name",)
    ordering = ("name", "pk")
    fieldsets = (
        (None, {"fields": ("name", "currency", "require_unsubscribe_link", "postal_address")}),
        (
            "How often a key of the lead API may call",
            {
                "fields": ("lead_calls_per_minute", "lead_calls_per_hour", "lead_bulk_calls_per_minute"),
                "description": "Empty means the usual limit.",
            },
        ),
    )

    def save_model(self, request: HttpRequest, obj: Organization, form: ModelForm, change: bool) -> None:
        """A new organization comes with what it needs to work: statuses and a sending account."""
        if not change:
            made = create_organization(obj.name)
            obj.pk, obj.date_created = made.pk, made.date_created
            obj._state.adding = False
        super().save_model(request, obj, form, change)


class MembershipForm(ModelForm):
    extra_permissions = forms.MultipleChoiceField(
        choices=Permission.choices, required=False, widget=UnfoldAdminCheckboxSelectMultipleWidget
    )
    withheld_permissions = forms.MultipleChoiceField(
        choices=Permission.choices, required=False, widget=UnfoldAdminCheckboxSelectMultipleWidget
    )

    class Meta:
        model = Membership
        fields = ("organization", "user", "role", "extra_permissions", "withheld_permissions", "is_active")


@admin.register(Membership)
class MembershipAdmin(UndeletableAdmin):
    form = MembershipForm
    list_display = ("user", "organization", "role", "is_active", "created_ago")
    list_filter = ("role", "is_active")
    list_select_related = ("user", "organization")
    search_fields = ("user__email", "organization__name")
    id_lookups = ("pk", "user", "organization")
    autocomplete_fields = ("organization", "user")
    ordering = ("organization__name", "user__email", "pk")


@admin.register(Group)
class GroupAdmin(ReadOnlyAdmin):
    """Groups are kept through the API, which lets only members of the organization in."""

    list_display = ("name", "organization", "created_ago")
    list_select_related = ("organization",)
    search_fields = ("name", "organization__name")
    id_lookups = ("pk", "organization", "members")
    ordering = ("organization__name", "name", "pk")
    fields = ("organization", "name", "members")


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    """Keys are made by the command and the API, which show the secret once; here they can only be revoked."""

    list_display = ("hint", "label", "owner", "dialect", "state", "last_used", "created_ago")
    list_filter = ("dialect", ("date_revoked", admin.EmptyFieldListFilter))
    list_select_related = ("membership__user", "membership__organization")
    search_fields = ("hint", "label", "membership__user__email", "membership__organization__name")
    id_lookups = ("pk", "membership", "membership__user", "membership__organization")
    fields = ("hint", "label", "membership", "dialect", "scopes", "date_created", "date_last_used", "date_revoked")
    ordering = ("-pk",)
    actions = ("revoke",)

    @admin.display(description="Owner", ordering="membership__user__email")
    def owner(self, key: ApiKey) -> str:
        return str(key.membership)

    @display(description="State", label={"active": "success", "revoked": "danger"})
    def state(self, key: ApiKey) -> str:
        return "revoked" if key.date_revoked else "active"

    @admin.display(description="Last used", ordering="date_last_used")
    def last_used(self, key: ApiKey) -> str:
        return age(key.date_last_used) if key.date_last_used else "never"

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("crm.change_apikey")

    @action(description="Revoke selected keys", permissions=("revoke",))
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        chosen = ApiKey.objects.filter(pk__in=queryset.values("pk"), date_revoked=None)
        revoked = chosen.update(date_revoked=timezone.now())
        self.message_user(request, f"Revoked: {revoked}. Requests with a revoked key are refused.", messages.SUCCESS)
