"""`/crm/deals` (blueai-api.md 4): opportunities, as this dialect sees them."""

from collections.abc import Sequence
from uuid import UUID

from django.db.models import QuerySet
from django.db.models.functions import Coalesce
from django.urls import path
from rest_framework.response import Response

from crm.api.blueai.conventions import BlueAIRequest, BlueAIView, key_in_path, moment, shown_id
from crm.api.blueai.deal_schemas import (
    ANSWER,
    BlueAIDeal,
    BlueAIDealBody,
    BlueAIDealChange,
    BlueAITimelineEntry,
    StageBody,
)
from crm.api.blueai.errors import Unprocessable
from crm.api.blueai.inputs import LONGEST_LINE, Body
from crm.api.blueai.lists import holding, listed, made_between, ordered, search_of
from crm.api.blueai.openapi import LIST_QUERY, ORDER_QUERY, SEARCH, Success, describe
from crm.api.blueai.openapi import listed as list_answer
from crm.api.blueai.references import check_references, told_as_references
from crm.api.blueai.timeline import show_entries, timeline_of
from crm.api.close.openapi import query_text
from crm.contacts import contacts_of
from crm.errors import NotFound
from crm.ids import hex_id
from crm.leads import leads_of
from crm.models import Membership, Opportunity, OpportunityStatus, Pipeline
from crm.opportunities import (
    LARGEST_VALUE,
    OpportunityDraft,
    create_opportunity,
    deals_of,
    delete_opportunity,
    hundredth,
    update_opportunity,
)
from crm.pipelines import StatusChoice

Shown = dict[str, object]
HUNDREDTHS = 100  # of a yen: how money is stored
_LARGEST = LARGEST_VALUE // HUNDREDTHS
_MEANT = ("company_id", "contact_id", "assigned_member_id")
KEYS = (
    "name", "amount", "stage", *_MEANT, "expected_close_date", "probability", "lost_reason", "won_date", "currency",
    "pipeline_id",
)  # fmt: skip
_SORTS = {"created_at": "date_created", "updated_at": "date_updated", "name": "shown_name", "amount": "value"}


def show_deals(deals: Sequence[Opportunity], currency: str) -> list[Shown]:
    """`deals` come from `seen_deals`."""
    return [
        {
            "id": hex_id("deal", deal.pk),
            "name": deal.shown_name or "",
            "amount": None if deal.value is None else hundredth(deal.value),
            "stage": deal.status.slug,
            "pipeline_id": hex_id("pipe", deal.status.pipeline_id),
            "company_id": shown_id("comp", deal.lead_id),
            "contact_id": shown_id("cont", deal.contact_id),
            "assigned_member_id": shown_id("usr", deal.user_id),
            "expected_close_date": deal.expected_close_date,
            "probability": deal.confidence,
            "lost_reason": deal.lost_reason,
            "won_date": deal.date_won,
            "currency": currency,
            "created_at": moment(deal.date_created),
            "updated_at": moment(deal.date_updated),
        }
        for deal in deals
    ]


def seen_deals(organization_id: UUID) -> QuerySet[Opportunity]:
    """The deals with their stage and the name to be shown: one made in Close has none, and is called as its lead."""
    named = Coalesce("name", "lead__name")
    return deals_of(organization_id).select_related("status").annotate(shown_name=named)


class _DealView(BlueAIView):
    def deal(self, id: str) -> Opportunity:
        deal = seen_deals(self.organization.pk).filter(pk=key_in_path("deal", id)).first()
        if deal is None:
            raise NotFound
        return deal

    def answer(self, key: UUID, status: int = 200) -> Response:
        deal = seen_deals(self.organization.pk).get(pk=key)
        return Response({"deal": show_deals([deal], self.organization.currency)[0]}, status=status)

    def draft(self, body: Body, pipeline: UUID | None, unsaid: StatusChoice, **more: object) -> OpportunityDraft:
        """What the body says; a stage is looked up in that pipeline, and without one `unsaid` counts. Raises
        `FieldErrors`, and `Unprocessable` for what is not there."""
        columns = _columns(body)
        stage = body.text("stage", limit=LONGEST_LINE)
        company, contact = body.key("company_id", "comp"), body.key("contact_id", "cont")
        member = body.key("assigned_member_id", "usr")
        currency = body.text("currency")
        body.close()
        organization = self.organization
        check_references(
            company_id=(company, leads_of(organization.pk)),
            contact_id=(contact, contacts_of(organization.pk)),
        )
        if member and not Membership.objects.filter(organization=organization, user=member).exists():
            raise Unprocessable({"assigned_member_id": "is no member of the organization"})
        if currency not in (None, organization.currency):
            raise Unprocessable({"currency": f"must be {organization.currency}, as all deals of the organization"})
        return OpportunityDraft(
            columns=columns,
            status=self.stage_of(stage, pipeline) if stage else unsaid,
            lead_id=company,
            contact_id=contact,
            user_id=member,
            **{f"names_{what}": body.has(key) for what, key in zip(("lead", "contact", "user"), _MEANT, strict=True)}
            | more,
        )

    def stage_of(self, slug: str, pipeline: UUID | None) -> StatusChoice:
        """That stage of the pipeline. Raises `Unprocessable`."""
        status = OpportunityStatus.objects.filter(organization=self.organization, pipeline=pipeline, slug=slug).first()
        if status is None:
            raise Unprocessable({"stage": "is no stage of the deal's pipeline"})
        return StatusChoice(status_id=status.pk)

    def update(self, deal: Opportunity, draft: OpportunityDraft) -> Response:
        with told_as_references():
            update_opportunity(
                opportunity_id=deal.pk,
                organization=self.organization,
                by=self.request.caller.user,
                draft=draft,
                today=self.today,
            )
        return self.answer(deal.pk)


def _columns(body: Body) -> dict[str, object]:
    columns: dict[str, object] = {}
    if body.has("name"):
        columns["name"] = body.text("name", limit=LONGEST_LINE, required=True)
    if body.has("amount"):
        amount = body.whole("amount", -_LARGEST, _LARGEST)
        columns["value"] = None if amount is None else amount * HUNDREDTHS
    if body.has("probability") and (probability := body.whole("probability", 0, 100)) is not None:
        columns["confidence"] = probability
    for key, column in (("expected_close_date", "expected_close_date"), ("won_date", "date_won")):
        if body.has(key):
            columns[column] = body.day(key)
    if body.has("lost_reason"):
        columns["lost_reason"] = body.text("lost_reason")
    return columns


class DealsView(_DealView):
    creates = True

    @describe(
        "deal_list", "Lists the deals.", answer=list_answer("BlueAIDealPage", BlueAIDeal),
        query=[*LIST_QUERY, *ORDER_QUERY, SEARCH, query_text("stage", "Only deals in a stage with this slug.")],
    )  # fmt: skip
    def get(self, request: BlueAIRequest) -> Response:
        rows = made_between(request, seen_deals(self.organization.pk))
        if text := search_of(request):
            rows = rows.filter(holding(text, "shown_name"))
        if stage := request.query_params.get("stage"):
            rows = rows.filter(status__slug=stage) if "\0" not in stage else rows.none()
        currency = self.organization.currency
        return listed(request, ordered(request, rows, _SORTS), lambda deals: show_deals(deals, currency), name="deal")

    @describe("deal_create", "Makes a deal.", body=BlueAIDealBody, answer=ANSWER, status=201)
    def post(self, request: BlueAIRequest) -> Response:
        body = Body(self.body_of(KEYS))
        body.text("name", required=True)
        pipeline = self._pipeline(body)
        draft = self.draft(body, pipeline, StatusChoice(pipeline_id=pipeline), names_lead=True, names_user=True)
        with told_as_references():
            deal = create_opportunity(
                organization=self.organization, by=request.caller.user, draft=draft, today=self.today
            )
        return self.answer(deal.pk, 201)

    def _pipeline(self, body: Body) -> UUID | None:
        """The pipeline that is named, else the default one."""
        rows = Pipeline.objects.filter(organization=self.organization)
        key = body.key("pipeline_id", "pipe")
        if key is None:
            return rows.values_list("pk", flat=True).first()
        check_references(pipeline_id=(key, rows))
        return key


class DealView(_DealView):
    @describe("deal_get", "Gives a deal.", answer=ANSWER)
    def get(self, request: BlueAIRequest, id: str) -> Response:
        return self.answer(self.deal(id).pk)

    @describe("deal_update", "Changes what is sent of a deal.", body=BlueAIDealChange, answer=ANSWER)
    def patch(self, request: BlueAIRequest, id: str) -> Response:
        deal = self.deal(id)
        body = Body(self.body_of([key for key in KEYS if key != "pipeline_id"]))
        return self.update(deal, self.draft(body, deal.status.pipeline_id, StatusChoice()))

    @describe("deal_delete", "Deletes a deal, for good.", answer=Success)
    def delete(self, request: BlueAIRequest, id: str) -> Response:
        delete_opportunity(opportunity_id=self.deal(id).pk, organization=self.organization)
        return Response({"success": True})


class DealStageView(_DealView):
    @describe("deal_stage", "Moves a deal to another stage.", body=StageBody, answer=ANSWER)
    def post(self, request: BlueAIRequest, id: str) -> Response:
        deal = self.deal(id)
        body = Body(self.body_of(("stage", "lost_reason")))
        stage = body.text("stage", limit=LONGEST_LINE, required=True)
        columns = {"lost_reason": body.text("lost_reason")} if body.has("lost_reason") else {}
        body.close()
        draft = OpportunityDraft(columns=columns, status=self.stage_of(str(stage), deal.status.pipeline_id))
        return self.update(deal, draft)


class DealActivitiesView(_DealView):
    @describe(
        "deal_activities", "Lists what was done with a deal, its moves from stage to stage among it.",
        answer=list_answer("BlueAITimelinePage", BlueAITimelineEntry), query=LIST_QUERY,
    )  # fmt: skip
    def get(self, request: BlueAIRequest, id: str) -> Response:
        entries = timeline_of(self.deal(id), request)
        return listed(request, entries, show_entries, name="activity")


urlpatterns = [
    path("deals/", DealsView.as_view()),
    path("deals/<str:id>/", DealView.as_view()),
    path("deals/<str:id>/stage/", DealStageView.as_view()),
    path("deals/<str:id>/activities/", DealActivitiesView.as_view()),
]
