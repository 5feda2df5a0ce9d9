"""`/opportunity/` (close-api.md 4.3)."""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from django.urls import path
from django.utils import timezone
from rest_framework import serializers
from rest_framework.response import Response

from crm.api.close.conventions import CloseRequest, CloseView, paginate
from crm.api.close.openapi import FIELDS, NOTHING, PAGING, Answer, any_value, describe, query_text
from crm.api.close.opportunity_answers import serialize_opportunities
from crm.api.close.opportunity_filters import FILTERS, filtered
from crm.api.close.opportunity_input import read_opportunity
from crm.api.close.opportunity_orders import ORDERS, ordered
from crm.api.close.opportunity_totals import GROUPINGS, grouped, totals
from crm.api.close.record_schemas import text
from crm.api.close.searches import in_view, searching
from crm.errors import NotFound
from crm.ids import parse_close_id
from crm.models import Opportunity, StatusType, ValuePeriod
from crm.opportunities import create_opportunity, delete_opportunity, opportunities_of, update_opportunity


class OpportunityAnswer(Answer):
    """Beside these keys, one `custom.cf_…` for each custom field that has a value. Money in hundredths."""

    id = serializers.CharField()
    organization_id = serializers.CharField()
    lead_id = text()
    lead_name = text()
    contact_id = text()
    contact_name = text()
    user_id = text()
    user_name = text()
    status_id = serializers.CharField()
    status_label = serializers.CharField()
    status_display_name = serializers.CharField()
    status_type = serializers.ChoiceField(StatusType.choices)
    pipeline_id = serializers.CharField()
    pipeline_name = serializers.CharField()
    value = serializers.IntegerField(allow_null=True)
    value_period = serializers.ChoiceField(ValuePeriod.choices)
    value_currency = serializers.CharField()
    value_formatted = text(help_text="`$2,500 annually`")
    annualized_value = serializers.IntegerField(allow_null=True)
    expected_value = serializers.IntegerField(allow_null=True)
    annualized_expected_value = serializers.IntegerField(allow_null=True)
    confidence = serializers.IntegerField()
    note = text()
    date_won = serializers.DateField(allow_null=True)
    date_lost = serializers.DateTimeField(allow_null=True)
    attachments = serializers.ListField(child=serializers.DictField())
    integration_links = serializers.ListField(child=serializers.DictField())
    created_by = text()
    created_by_name = text()
    updated_by = text()
    updated_by_name = text()
    date_created = serializers.DateTimeField()
    date_updated = serializers.DateTimeField()
    custom = serializers.DictField(child=any_value(), help_text="Values of custom fields by the field's name.")


class CountByPeriod(serializers.Serializer):
    one_time = serializers.IntegerField()
    monthly = serializers.IntegerField()
    annual = serializers.IntegerField()


class OpportunityTotals(serializers.Serializer):
    """Over all matches, not only those of the page."""

    total_results = serializers.IntegerField()
    count_by_value_period = CountByPeriod()
    total_value_one_time = serializers.IntegerField()
    total_value_monthly = serializers.IntegerField()
    total_value_annual = serializers.IntegerField()
    total_value_annualized = serializers.IntegerField()
    expected_value_one_time = serializers.IntegerField()
    expected_value_monthly = serializers.IntegerField()
    expected_value_annual = serializers.IntegerField()
    expected_value_annualized = serializers.IntegerField()


class OpportunityGroup(OpportunityTotals):
    group = text(help_text="The id of the user, or the first day of the week, month, quarter or year.")


class OpportunityPage(OpportunityTotals):
    data = OpportunityAnswer(many=True)
    has_more = serializers.BooleanField()
    groups = OpportunityGroup(many=True, required=False, help_text="With `_group_by` only.")


class OpportunityBody(serializers.Serializer):
    """Custom fields: `custom.cf_…`, null for none; `custom.cf_….add` and `custom.cf_….remove` where many values fit."""

    lead_id = text(required=False, help_text="Without it, a lead without a name is made.")
    contact_id = text(required=False)
    user_id = text(required=False, help_text="Without it, the caller.")
    status_id = text(required=False, help_text="Without it, the first status of the pipeline.")
    status = text(required=False, help_text="The label of a status, in place of its id.")
    pipeline_id = text(required=False)
    value = serializers.IntegerField(allow_null=True, required=False)
    value_period = serializers.ChoiceField(ValuePeriod.choices, allow_null=True, required=False)
    confidence = serializers.IntegerField(allow_null=True, required=False, min_value=0, max_value=100)
    note = text(required=False)
    date_won = serializers.DateField(
        allow_null=True, required=False, help_text="Without it, a won status sets today in the caller's zone."
    )


class _OpportunityView(CloseView):
    def answer(self, opportunity: Opportunity) -> Response:
        return Response(serialize_opportunities([opportunity], self.fields, self.request)[0])

    def today(self) -> date:
        return timezone.now().astimezone(self.request.tz).date()

    def key_of(self, id: str) -> UUID:
        """The key behind the id of an opportunity that is to be seen."""
        key = parse_close_id("oppo", id)
        if key is None or not opportunities_of(self.request.caller.organization.pk).filter(pk=key).exists():
            raise NotFound
        return key


class OpportunitiesView(_OpportunityView):
    @describe(
        "opportunity_list",
        "Lists the opportunities with counts and sums over all matches.",
        answer=OpportunityPage,
        query=[
            *PAGING,
            FIELDS,
            *FILTERS,
            query_text("query", "A one-line query over opportunities, see docs/search.md."),
            query_text("lead_query", "A one-line query over leads: only the opportunities of those."),
            query_text("lead_saved_search_id", "A Smart View of leads: only the opportunities of those."),
            query_text("_order_by", f"{', '.join(ORDERS)}; with a `-` the other way round. Else the newest first."),
            query_text("_group_by", f"{', '.join(GROUPINGS)}: group by group, with totals of each."),
        ],
    )
    def get(self, request: CloseRequest) -> Response:
        rows = filtered(request, opportunities_of(request.caller.organization.pk))

        def show(page: Sequence[Opportunity]) -> list[dict[str, object]]:
            return serialize_opportunities(page, self.fields, request)

        with (
            searching(request, rows, object_type="opportunity") as found,
            searching(request, found, object_type="lead", parameter="lead_query", column="lead_id") as of_leads,
            in_view(
                request, of_leads, object_type="lead", parameter="lead_saved_search_id", column="lead_id"
            ) as matches,
        ):
            page, groups = grouped(request, matches if matches.ordered else ordered(request, matches))
            response = paginate(request, page, show)
            response.data |= totals(matches) | groups
        return response

    @describe(
        "opportunity_create",
        "Makes an opportunity.",
        body=OpportunityBody,
        answer=OpportunityAnswer,
        query=[FIELDS],
    )
    def post(self, request: CloseRequest) -> Response:
        caller = request.caller
        draft = read_opportunity(self.body, caller.organization.pk)
        return self.answer(
            create_opportunity(organization=caller.organization, by=caller.user, draft=draft, today=self.today())
        )


class OpportunityView(_OpportunityView):
    @describe("opportunity_get", "Gives an opportunity.", answer=OpportunityAnswer, query=[FIELDS])
    def get(self, request: CloseRequest, id: str) -> Response:
        key = parse_close_id("oppo", id)
        opportunity = opportunities_of(request.caller.organization.pk).filter(pk=key).first()
        if opportunity is None:
            raise NotFound
        return self.answer(opportunity)

    @describe(
        "opportunity_update",
        "Changes what is given of an opportunity.",
        body=OpportunityBody,
        answer=OpportunityAnswer,
        query=[FIELDS],
    )
    def put(self, request: CloseRequest, id: str) -> Response:
        caller, key = request.caller, self.key_of(id)
        draft = read_opportunity(self.body, caller.organization.pk)
        return self.answer(
            update_opportunity(
                opportunity_id=key,
                organization=caller.organization,
                by=caller.user,
                draft=draft,
                today=self.today(),
            )
        )

    @describe("opportunity_delete", "Deletes an opportunity.", answer=NOTHING)
    def delete(self, request: CloseRequest, id: str) -> Response:
        delete_opportunity(opportunity_id=self.key_of(id), organization=request.caller.organization)
        return Response({})


urlpatterns = [
    path("opportunity/", OpportunitiesView.as_view()),
    path("opportunity/<str:id>/", OpportunityView.as_view()),
]
