"""`/me/` (close-api.md 4.16): whom the key speaks for."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import path
from rest_framework import serializers
from rest_framework.response import Response

from crm.api.blueai.authentication import speaks_blueai
from crm.api.blueai.me import me as blueai_me
from crm.api.close.connected_accounts import ConnectedAccountAnswer, show_account
from crm.api.close.conventions import CloseRequest, CloseView, pick_fields, wants
from crm.api.close.openapi import FIELDS, Answer, describe, strings
from crm.api.close.opportunity_statuses import OpportunityStatusAnswer
from crm.api.close.organizations import lead_statuses_of, stages_of
from crm.api.close.pipelines import PipelineAnswer
from crm.api.close.statuses import LeadStatusAnswer
from crm.api.close.users import UserAnswer, show_user
from crm.connected_accounts import accounts_of_user
from crm.ids import close_id
from crm.models import Membership, Organization


class OrganizationReference(Answer):
    id = serializers.CharField()
    name = serializers.CharField()
    currency = serializers.CharField()
    lead_statuses = LeadStatusAnswer(many=True)
    opportunity_statuses = OpportunityStatusAnswer(many=True)
    pipelines = PipelineAnswer(many=True)


class MembershipAnswer(Answer):
    id = serializers.CharField()
    user_id = serializers.CharField()
    organization_id = serializers.CharField()
    organization_name = serializers.CharField()
    role_id = serializers.CharField()
    permissions_granted = strings()


class MeAnswer(UserAnswer):
    organizations = OrganizationReference(many=True)
    memberships = MembershipAnswer(many=True)
    email_accounts = ConnectedAccountAnswer(many=True)


def _show_membership(membership: Membership, organization: Organization) -> dict[str, object]:
    return {
        "id": close_id("memb", membership.pk),
        "user_id": close_id("user", membership.user_id),
        "organization_id": close_id("orga", organization.pk),
        "organization_name": organization.name,
        "role_id": membership.role,
        "permissions_granted": sorted(membership.permissions),
    }


def _show_organization(organization: Organization) -> dict[str, object]:
    return {
        "id": close_id("orga", organization.pk),
        "name": organization.name,
        "currency": organization.currency,
        "lead_statuses": lead_statuses_of(organization),
        **stages_of(organization),
    }


class MeView(CloseView):
    """The key's user, in the key's organization alone: a key says nothing of other organizations of that user.

    One address for two dialects: a credential of BlueAI's gets that dialect's answer.
    """

    def dispatch(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        return blueai_me(request) if speaks_blueai(request) else super().dispatch(request, *args, **kwargs)

    @describe("me", "Gives the user of the key.", answer=MeAnswer, query=[FIELDS])
    def get(self, request: CloseRequest) -> Response:
        caller = request.caller
        organization = caller.organization
        shown = {
            **show_user(caller.user, organization),
            "memberships": [_show_membership(caller.membership, organization)],
        }
        if wants(self.fields, "organizations"):
            shown["organizations"] = [_show_organization(organization)]
        if wants(self.fields, "email_accounts"):
            accounts = accounts_of_user(organization.pk, caller.user.pk)
            shown["email_accounts"] = [show_account(account) for account in accounts]
        return Response(pick_fields(shown, self.fields))


urlpatterns = [path("me/", MeView.as_view())]
