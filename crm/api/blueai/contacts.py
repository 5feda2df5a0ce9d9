"""`/crm/contacts` (blueai-api.md 2)."""

from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

from django.db.models import Exists, OuterRef
from django.urls import path
from rest_framework import serializers
from rest_framework.response import Response

from crm.api.blueai.conventions import BlueAIRequest, BlueAIView, key_in_path, moment, shown_id
from crm.api.blueai.inputs import LONGEST_LINE, LONGEST_NAME, Body
from crm.api.blueai.lists import holding, listed, made_between, ordered, search_of
from crm.api.blueai.openapi import LIST_QUERY, ORDER_QUERY, SEARCH, Success, describe, wrapped
from crm.api.blueai.openapi import listed as list_answer
from crm.api.blueai.references import check_references, told_as_references
from crm.api.close.openapi import query_text
from crm.contacts import (
    ContactDraft,
    Detail,
    contacts_of,
    create_person,
    delete_contact,
    split_name,
    update_contact,
)
from crm.errors import NotFound
from crm.ids import hex_id, parse_hex_id
from crm.leads import create_contact, leads_of
from crm.models import Contact, ContactEmail, ContactPhone
from crm.models.contacts import ContactDetail
from crm.phones import stored_phone

Shown = dict[str, object]
KEYS = ("first_name", "last_name", "email", "phone", "position", "company_id", "note")
_SORTS = {"created_at": "date_created", "name": "name"}


class ContactAnswer(serializers.Serializer):
    id = serializers.CharField()
    first_name = serializers.CharField()
    last_name = serializers.CharField()
    email = serializers.CharField(allow_null=True)
    phone = serializers.CharField(allow_null=True)
    position = serializers.CharField(allow_null=True)
    company_id = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class BlueAIContact(ContactAnswer):
    note = serializers.CharField(allow_null=True)


class BlueAIContactListed(ContactAnswer):
    object = serializers.CharField(required=False)


class BlueAIContactBody(serializers.Serializer):
    first_name = serializers.CharField(max_length=LONGEST_NAME)
    last_name = serializers.CharField(max_length=LONGEST_NAME)
    email = serializers.CharField(required=False, allow_null=True)
    phone = serializers.CharField(required=False, allow_null=True)
    position = serializers.CharField(required=False, allow_null=True)
    company_id = serializers.CharField(required=False, allow_null=True)
    note = serializers.CharField(required=False, allow_null=True)


class BlueAIContactChange(BlueAIContactBody):
    first_name = serializers.CharField(required=False, max_length=LONGEST_NAME)
    last_name = serializers.CharField(required=False, max_length=LONGEST_NAME)


ANSWER = wrapped("BlueAIContactWrapped", "contact", BlueAIContact)


def show_contacts(contacts: Sequence[Contact]) -> list[Shown]:
    keys = [contact.pk for contact in contacts]
    emails, phones = _first(ContactEmail, "email", keys), _first(ContactPhone, "phone", keys)
    return [_shown(contact, emails.get(contact.pk), phones.get(contact.pk)) for contact in contacts]


def _shown(contact: Contact, email: str | None, phone: str | None) -> Shown:
    first_name, last_name = split_name(contact)
    return {
        "id": hex_id("cont", contact.pk),
        "first_name": first_name,
        "last_name": last_name,
        "email": email,
        "phone": phone,
        "position": contact.title,
        "company_id": shown_id("comp", contact.lead_id),
        "created_at": moment(contact.date_created),
        "updated_at": moment(contact.date_updated),
    }


def _first(model: type[ContactDetail], column: str, keys: Sequence[UUID]) -> dict[UUID, str]:
    details = model._default_manager.filter(contact__in=keys).order_by("-position", "-id")
    return dict(details.values_list("contact_id", column))


class _ContactView(BlueAIView):
    def answer(self, contact: Contact, status: int = 200) -> Response:
        return Response({"contact": {**show_contacts([contact])[0], "note": contact.note}}, status=status)

    def company_in(self, body: Body) -> UUID | None:
        key = body.key("company_id", "comp")
        body.close()
        check_references(company_id=(key, leads_of(self.organization.pk)))
        return key


class ContactsView(_ContactView):
    creates = True

    @describe(
        "contact_list", "Lists the contacts.", answer=list_answer("BlueAIContactPage", BlueAIContactListed),
        query=[*LIST_QUERY, *ORDER_QUERY, SEARCH, query_text("company_id", "Only those of this company.")],
    )  # fmt: skip
    def get(self, request: BlueAIRequest) -> Response:
        rows = made_between(request, contacts_of(self.organization.pk))
        if text := search_of(request):
            with_email = ContactEmail.objects.filter(contact=OuterRef("pk"), email__icontains=text)
            rows = rows.filter(holding(text, "name", "first_name", "last_name") | Exists(with_email))
        if company := request.query_params.get("company_id"):
            rows = rows.filter(lead=parse_hex_id("comp", company)) if parse_hex_id("comp", company) else rows.none()
        return listed(request, ordered(request, rows, _SORTS), show_contacts, name="contact")

    @describe("contact_create", "Makes a contact.", body=BlueAIContactBody, answer=ANSWER, status=201)
    def post(self, request: BlueAIRequest) -> Response:
        body = Body(self.body_of(KEYS))
        first_name = body.text("first_name", limit=LONGEST_NAME, required=True)
        last_name = body.text("last_name", limit=LONGEST_NAME, required=True)
        texts = {"first_name": first_name, "last_name": last_name, "name": f"{first_name} {last_name}"}
        email, phone = body.email("email"), body.text("phone", limit=LONGEST_NAME)
        texts |= {"title": body.text("position", limit=LONGEST_LINE), "note": body.text("note")}
        company = self.company_in(body)
        draft = ContactDraft(
            texts=texts,
            emails=[Detail(email, "office")] if email else None,
            phones=[Detail(stored_phone(phone), "office")] if phone else None,
        )
        who = {"organization": self.organization, "by": request.caller.user, "draft": draft}
        with told_as_references():
            made = create_contact(**who, lead_id=company) if company else create_person(**who)
        made.refresh_from_db()
        return self.answer(made, 201)


class ContactView(_ContactView):
    @describe("contact_get", "Gives a contact.", answer=ANSWER)
    def get(self, request: BlueAIRequest, id: str) -> Response:
        return self.answer(self._contact(id))

    @describe("contact_update", "Changes what is sent of a contact.", body=BlueAIContactChange, answer=ANSWER)
    def patch(self, request: BlueAIRequest, id: str) -> Response:
        contact = self._contact(id)
        body = Body(self.body_of(KEYS))
        draft_of = _draft_of(body)
        company = self.company_in(body)
        with told_as_references():
            contact = update_contact(
                contact_id=contact.pk,
                organization=self.organization,
                by=request.caller.user,
                draft=draft_of,
                lead_id=company,
                leaves_lead=body.has("company_id") and company is None,
            )
        return self.answer(contact)

    @describe("contact_delete", "Deletes a contact.", answer=Success)
    def delete(self, request: BlueAIRequest, id: str) -> Response:
        delete_contact(contact_id=key_in_path("cont", id), organization=self.organization)
        return Response({"success": True})

    def _contact(self, id: str) -> Contact:
        contact = contacts_of(self.organization.pk).filter(pk=key_in_path("cont", id)).first()
        if contact is None:
            raise NotFound
        return contact


def _draft_of(body: Body) -> Callable[[Contact], ContactDraft]:
    """What the body makes of a contact, given what that holds."""
    names = {
        key: str(body.text(key, limit=LONGEST_NAME, required=True))
        for key in ("first_name", "last_name")
        if body.has(key)
    }
    texts = {}
    if body.has("position"):
        texts["title"] = body.text("position", limit=LONGEST_LINE)
    if body.has("note"):
        texts["note"] = body.text("note")
    email, phone = body.email("email"), body.text("phone", limit=LONGEST_NAME)
    number = stored_phone(phone) if phone else None

    def draft_of(contact: Contact) -> ContactDraft:
        return ContactDraft(
            texts=texts | (_named(contact, names) if names else {}),
            emails=_replaced(ContactEmail, "email", contact, email) if body.has("email") else None,
            phones=_replaced(ContactPhone, "phone", contact, number) if body.has("phone") else None,
        )

    return draft_of


def _named(contact: Contact, names: Mapping[str, str]) -> dict[str, str | None]:
    first_name, last_name = split_name(contact)
    parts = {"first_name": first_name, "last_name": last_name, **names}
    return {**parts, "name": " ".join(part for part in parts.values() if part)}


def _replaced(model: type[ContactDetail], column: str, contact: Contact, value: str | None) -> list[Detail]:
    """The details of the contact with `value` in place of the first. Of none is left any: else the next one, which
    this dialect never shows, would be read where null was written."""
    if value is None:
        return []
    held = list(model._default_manager.filter(contact=contact).values_list(column, "type"))
    first_type = held[0][1] if held else "office"
    others = [Detail(other, kind) for other, kind in held[1:] if other != value]
    return [Detail(value, first_type), *others]


urlpatterns = [path("contacts/", ContactsView.as_view()), path("contacts/<str:id>/", ContactView.as_view())]
