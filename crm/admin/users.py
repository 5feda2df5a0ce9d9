"""People who sign in, and what staff may do here."""

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.http import HttpRequest
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from crm.admin.base import ForgivingAdmin, ReadOnlyAdmin, UndeletableAdmin
from crm.models import SignInSession, User


class NewUserForm(UserCreationForm):
    class Meta:
        model = User
        fields = ("email", "first_name", "last_name")


class UserForm(UserChangeForm):
    class Meta:
        model = User
        fields = "__all__"


@admin.register(User)
class UserAdmin(UndeletableAdmin, DjangoUserAdmin):
    form = UserForm
    add_form = NewUserForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("email", "full_name", "is_active", "is_staff", "is_superuser", "last_login", "created_ago")
    list_filter = ("is_active", "is_staff", "is_superuser")
    search_fields = ("email", "first_name", "last_name")
    ordering = ("email",)
    readonly_fields = ("last_login", "date_created")
    fieldsets = (
        (None, {"fields": ("email", "password", "first_name", "last_name", "timezone")}),
        ("Admin", {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
        ("Dates", {"fields": ("last_login", "date_created")}),
    )
    add_fieldsets = (
        (None, {"fields": ("email", "first_name", "last_name", "usable_password", "password1", "password2")}),
    )


@admin.register(SignInSession)
class SignInSessionAdmin(ReadOnlyAdmin):
    """Browsers that are signed in. Deleting one signs it out."""

    list_display = ("user", "organization", "created_ago", "date_expires")
    list_select_related = ("user", "organization")
    search_fields = ("user__email", "organization__name")
    id_lookups = ("pk", "user", "organization")
    fields = ("user", "organization", "date_created", "date_expires")
    ordering = ("-pk",)

    def has_delete_permission(self, request: HttpRequest, obj: SignInSession | None = None) -> bool:
        return admin.ModelAdmin.has_delete_permission(self, request, obj)


admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(ForgivingAdmin, DjangoGroupAdmin):
    pass
