"""`/contact/` (close-api.md 4.2)."""

from collections.abc import Sequence

from django.urls import path
from rest_framework.response import Response

from crm.api.close.answers import serialize_contacts
from crm.api.close.conventions import CloseRequest, CloseView, paginate
from crm.api.close.inputs import read_contact
from crm.api.close.openapi import FIELDS, NOTHING, PAGING, describe, page, query_text
from crm.api.close.record_schemas import ContactAnswer, ContactBody
from crm.contacts import contacts_of, delete_contact, update_contact
from crm.errors import NotFound
from crm.ids import parse_close_id
from crm.leads import create_contact
from crm.models import Contact

_LEAD_ID = query_text("lead_id", "Only the contacts of this lead, in the order that they have there.")


class _ContactView(CloseView):
    def answer(self, contact: Contact) -> Response:
        return Response(serialize_contacts([contact], self.fields, self.request)[0])


class ContactsView(_ContactView):
    @describe(
        "contact_list",
        "Lists the contacts, newest first.",
        answer=page("ContactPage", ContactAnswer),
        query=[*PAGING, FIELDS, _LEAD_ID],
    )
    def get(self, request: CloseRequest) -> Response:
        contacts = contacts_of(request.caller.organization.pk)
        if lead_id := request.query_params.get("lead_id"):
            # An unknown lead has no contacts; a lead of another organization neither.
            key = parse_close_id("lead", lead_id)
            contacts = contacts.filter(lead_id=key).order_by("position", "id") if key else contacts.none()
        else:
            contacts = contacts.order_by("-date_created", "-id")

        def show(page: Sequence[Contact]) -> list[dict[str, object]]:
            return serialize_contacts(page, self.fields, request)

        return paginate(request, contacts, show)

    @describe("contact_create", "Makes a contact.", body=ContactBody, answer=ContactAnswer, query=[FIELDS])
    def post(self, request: CloseRequest) -> Response:
        caller = request.caller
        draft, lead_id = read_contact(self.body, caller.organization.pk)
        return self.answer(
            create_contact(organization=caller.organization, by=caller.user, draft=draft, lead_id=lead_id)
        )


class ContactView(_ContactView):
    @describe("contact_get", "Gives a contact.", answer=ContactAnswer, query=[FIELDS])
    def get(self, request: CloseRequest, id: str) -> Response:
        contact = contacts_of(request.caller.organization.pk).filter(pk=parse_close_id("cont", id)).first()
        if contact is None:
            raise NotFound
        return self.answer(contact)

    @describe(
        "contact_update",
        "Changes what is given of a contact. A list that is given replaces the whole list.",
        body=ContactBody,
        answer=ContactAnswer,
        query=[FIELDS],
    )
    def put(self, request: CloseRequest, id: str) -> Response:
        caller = request.caller
        contact_id = parse_close_id("cont", id)
        if contact_id is None or not contacts_of(caller.organization.pk).filter(pk=contact_id).exists():
            raise NotFound
        draft, lead_id = read_contact(self.body, caller.organization.pk)
        return self.answer(
            update_contact(
                contact_id=contact_id, organization=caller.organization, by=caller.user, draft=draft, lead_id=lead_id
            )
        )

    @describe("contact_delete", "Deletes a contact.", answer=NOTHING)
    def delete(self, request: CloseRequest, id: str) -> Response:
        contact_id = parse_close_id("cont", id)
        if contact_id is None:
            raise NotFound
        delete_contact(contact_id=contact_id, organization=request.caller.organization)
        return Response({})


urlpatterns = [
    path("contact/", ContactsView.as_view()),
    path("contact/<str:id>/", ContactView.as_view()),
]
