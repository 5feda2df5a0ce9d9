"""`/leads`: listing them, and making one or merging into one (gomega-api.md 5, 6)."""

from uuid import UUID

from django.db import transaction
from django.urls import path
from rest_framework.response import Response

from crm.api.gomega.answers import show_leads
from crm.api.gomega.conventions import READ, WRITE, GomegaRequest, GomegaView
from crm.api.gomega.lead_input import GONE, RULES, Body, RowReader
from crm.api.gomega.lists import DIRECTIONS, LINES, MAX_OFFSET, MOST, SORTS, read_page
from crm.api.gomega.openapi import (
    IDEMPOTENCY_KEY,
    GomegaLeadAnswer,
    GomegaLeadBody,
    GomegaLeadPage,
    describe,
    query_parameter,
)
from crm.auth import Caller
from crm.errors import FieldErrors
from crm.merging import Outcome, merge_rows
from crm.models import Lead, Lifecycle
from crm.webhooks.events import note_created

_PARAMETERS = [
    query_parameter("status", "Only these.", {"type": "string", "enum": Lifecycle.values}),
    query_parameter("stageId", "The id of a stage.", {"type": "string", "format": "uuid"}),
    query_parameter("search", "In names, addresses and phones; of phones only the digits are compared."),
    query_parameter("created_since", "ISO 8601, inclusive.", {"type": "string", "format": "date-time"}),
    query_parameter("updated_since", "ISO 8601, inclusive.", {"type": "string", "format": "date-time"}),
    query_parameter("sort_by", "", {"type": "string", "enum": list(SORTS), "default": "updated_at"}),
    query_parameter("sort_dir", "", {"type": "string", "enum": list(DIRECTIONS), "default": "asc"}),
    query_parameter("lead_line", "Only these.", {"type": "string", "enum": list(LINES)}),
    query_parameter("include_custom_fields", "", {"type": "boolean", "default": False}),
    query_parameter("cursor", "`next_cursor` of the page before. Not with last_interaction_at."),
    query_parameter("limit", "", {"type": "integer", "minimum": 1, "maximum": MOST, "default": 20}),
    query_parameter("offset", "", {"type": "integer", "minimum": 0, "maximum": MAX_OFFSET, "default": 0}),
]


class LeadsView(GomegaView):
    scopes = {"GET": READ, "POST": WRITE}

    @describe("gomega_lead_list", "Lists leads.", answer=GomegaLeadPage, query=_PARAMETERS)
    def get(self, request: GomegaRequest) -> Response:
        page = read_page(request.query_params, request.caller.organization.pk)
        leads, next_cursor = page.rows()
        return Response(
            {
                "leads": show_leads(leads, custom=page.with_custom),
                "total": page.leads.count(),
                "limit": page.limit,
                "offset": page.offset,
                "next_cursor": next_cursor,
            }
        )

    @describe(
        "gomega_lead_create",
        "Makes a lead, or merges into the oldest one with that address or the last ten digits of that phone.",
        body=GomegaLeadBody,
        answer=GomegaLeadAnswer,
        query=[IDEMPOTENCY_KEY],
        status=201,
    )
    def post(self, request: GomegaRequest) -> Response:
        return self.answer_once(self._create)

    def _create(self) -> Response:
        caller = self.request.caller
        # Whose lead it is can be said by the bulk call alone.
        body = {key: value for key, value in self.request.data.items() if key != "owner_id"}
        reader = RowReader(caller.organization.pk, [body])
        lead = Lead.objects.get(pk=create_or_merge(reader, body, caller))
        return Response({"lead": show_leads([lead], custom=False)[0]}, status=201)


@transaction.atomic
def create_or_merge(reader: RowReader, body: Body, caller: Caller) -> UUID:
    """The key of the lead that the body is about now. One that is made by it is told to the webhooks."""
    row = reader.read(body, defaults={})
    merged = merge_rows(organization=caller.organization, by=caller.user, rows=[row], rules=RULES)
    result = merged.results[0]
    if result.outcome is Outcome.FAILED:
        raise FieldErrors({reader.named(str(result.problem)): GONE})
    if result.outcome is Outcome.CREATED:
        note_created(Lead.objects.get(pk=result.lead_id))
    return result.lead_id


urlpatterns = [path("leads/", LeadsView.as_view())]
