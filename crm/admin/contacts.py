"""Contacts and the ways to reach them."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import TabularInline

from crm.admin.base import LargeTableAdmin, ReadOnly
from crm.admin.custom_values import custom_values_of
from crm.models import Contact, ContactEmail, ContactPhone, ContactUrl, FieldObject
from crm.models.contacts import ContactDetail


class EmailsOfContact(ReadOnly, TabularInline):
    model = ContactEmail
    fields = ("email", "type")


class PhonesOfContact(ReadOnly, TabularInline):
    model = ContactPhone
    fields = ("phone", "type")


class UrlsOfContact(ReadOnly, TabularInline):
    model = ContactUrl
    fields = ("url", "type")


@admin.register(Contact)
class ContactAdmin(LargeTableAdmin):
    list_display = ("shown_name", "title", "lead", "organization", "created_ago")
    search_fields = ("name",)
    search_help_text = "Name or id"
    id_lookups = ("pk", "lead")
    inlines = (EmailsOfContact, PhonesOfContact, UrlsOfContact)
    fieldsets = (
        (None, {"fields": ("name", "first_name", "last_name", "title", "lead", "organization")}),
        ("Custom fields", {"fields": ("custom_values",)}),
        ("History", {"fields": ("date_created", "created_by", "date_updated", "updated_by")}),
    )
    readonly_fields = ("custom_values",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Contact]:
        return super().get_queryset(request).prefetch_related("lead", "organization")

    @admin.display(description="Name")
    def shown_name(self, contact: Contact) -> str:
        return contact.name or " ".join(filter(None, (contact.first_name, contact.last_name))) or "(no name)"

    @admin.display(description="Values")
    def custom_values(self, contact: Contact) -> str:
        return custom_values_of(contact, FieldObject.CONTACT)


class DetailAdmin(LargeTableAdmin):
    id_lookups = ("pk", "contact")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ContactDetail]:
        return super().get_queryset(request).prefetch_related("contact")


@admin.register(ContactEmail)
class ContactEmailAdmin(DetailAdmin):
    list_display = ("email", "type", "contact")
    search_fields = ("email",)


@admin.register(ContactPhone)
class ContactPhoneAdmin(DetailAdmin):
    list_display = ("phone", "type", "contact")
    search_fields = ("phone",)


@admin.register(ContactUrl)
class ContactUrlAdmin(DetailAdmin):
    list_display = ("url", "type", "contact")
    search_fields = ("url",)
