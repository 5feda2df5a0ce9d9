"""`/lead/` (close-api.md 4.1)."""

from collections.abc import Sequence

from django.urls import path
from rest_framework.response import Response

from crm.api.close.answers import serialize_leads
from crm.api.close.conventions import CloseRequest, CloseView, paginate
from crm.api.close.inputs import read_lead, read_new_lead
from crm.api.close.openapi import FIELDS, NOTHING, PAGING, describe, page, query_text
from crm.api.close.record_schemas import LeadAnswer, LeadBody, LeadChanges
from crm.api.close.searches import searching
from crm.errors import NotFound
from crm.ids import parse_close_id
from crm.leads import create_lead, delete_lead, leads_of, update_lead
from crm.models import Lead, Permission

_QUERY = query_text("query", "A one-line query, see docs/search.md.")


class _LeadView(CloseView):
    def answer(self, lead: Lead) -> Response:
        return Response(serialize_leads([lead], self.fields, self.request)[0])


class LeadsView(_LeadView):
    @describe(
        "lead_list",
        "Lists the leads, newest first, or as the query sorts them.",
        answer=page("LeadPage", LeadAnswer, total=True),
        query=[*PAGING, FIELDS, _QUERY],
    )
    def get(self, request: CloseRequest) -> Response:
        def show(leads: Sequence[Lead]) -> list[dict[str, object]]:
            return serialize_leads(leads, self.fields, request)

        leads = leads_of(request.caller.organization.pk).order_by("-date_created", "-id")
        with searching(request, leads, object_type="lead") as found:
            return paginate(request, found, show, total=True)

    @describe("lead_create", "Makes a lead with its contacts.", body=LeadBody, answer=LeadAnswer, query=[FIELDS])
    def post(self, request: CloseRequest) -> Response:
        caller = request.caller
        draft, contacts = read_new_lead(self.body, caller.organization.pk)
        return self.answer(
            create_lead(organization=caller.organization, by=caller.user, draft=draft, contacts=contacts)
        )


class LeadView(_LeadView):
    permissions = {"DELETE": Permission.DELETE_LEAD}

    @describe("lead_get", "Gives a lead.", answer=LeadAnswer, query=[FIELDS])
    def get(self, request: CloseRequest, id: str) -> Response:
        lead = leads_of(request.caller.organization.pk).filter(pk=parse_close_id("lead", id)).first()
        if lead is None:
            raise NotFound
        return self.answer(lead)

    @describe(
        "lead_update",
        "Changes what is given of a lead. Its contacts have an address of their own; `contacts` is passed over.",
        body=LeadChanges,
        answer=LeadAnswer,
        query=[FIELDS],
    )
    def put(self, request: CloseRequest, id: str) -> Response:
        caller = request.caller
        lead_id = parse_close_id("lead", id)
        if lead_id is None or not leads_of(caller.organization.pk).filter(pk=lead_id).exists():
            raise NotFound
        draft = read_lead(self.body, caller.organization.pk)
        return self.answer(update_lead(lead_id=lead_id, organization=caller.organization, by=caller.user, draft=draft))

    @describe("lead_delete", "Deletes a lead and its contacts.", answer=NOTHING)
    def delete(self, request: CloseRequest, id: str) -> Response:
        lead_id = parse_close_id("lead", id)
        if lead_id is None:
            raise NotFound
        delete_lead(lead_id=lead_id, organization=request.caller.organization, by=request.caller.user)
        return Response({})


urlpatterns = [
    path("lead/", LeadsView.as_view()),
    path("lead/<str:id>/", LeadView.as_view()),
]
