"""`/organization/{id}/` (close-api.md 4.16): the key's own organization, with what a client needs to know first."""

from collections.abc import Sequence
from uuid import UUID

from django.urls import path
from rest_framework import serializers
from rest_framework.response import Response

from crm.api.close.conventions import CloseRequest, CloseView, close_datetime, pick_fields, wants
from crm.api.close.custom_fields import CustomFieldAnswer, show_field
from crm.api.close.memberships import MemberAnswer, show_membership
from crm.api.close.openapi import FIELDS, Answer, describe, query_text
from crm.api.close.opportunity_statuses import OpportunityStatusAnswer, show_opportunity_status
from crm.api.close.pipelines import PipelineAnswer, show_pipelines
from crm.api.close.statuses import LeadStatusAnswer, show_status
from crm.api.close.users import UserAnswer, show_user
from crm.errors import FieldErrors, NotFound
from crm.ids import close_id, parse_close_id
from crm.models import CustomField, FieldObject, Membership, Organization, Permission
from crm.organizations import update_organization

_MEMBERSHIPS = ("memberships", "inactive_memberships")
_EXPAND = query_text("_expand", "`memberships__user,inactive_memberships__user`: with the users as objects.")


class MemberWithUser(MemberAnswer):
    user_email = serializers.CharField()
    user_first_name = serializers.CharField(allow_blank=True)
    user_last_name = serializers.CharField(allow_blank=True)
    user_image = serializers.CharField(allow_null=True)
    user_timezone = serializers.CharField(allow_blank=True)
    user = UserAnswer(help_text="With `_expand` only.")


class OrganizationAnswer(Answer):
    id = serializers.CharField()
    name = serializers.CharField()
    currency = serializers.CharField()
    require_unsubscribe_link = serializers.BooleanField()
    enable_unsubscribe_link = serializers.BooleanField()
    postal_address = serializers.CharField(allow_blank=True)
    lead_statuses = LeadStatusAnswer(many=True)
    opportunity_statuses = OpportunityStatusAnswer(many=True)
    pipelines = PipelineAnswer(many=True)
    lead_custom_fields = CustomFieldAnswer(many=True)
    contact_custom_fields = CustomFieldAnswer(many=True)
    opportunity_custom_fields = CustomFieldAnswer(many=True)
    memberships = MemberWithUser(many=True)
    inactive_memberships = MemberWithUser(many=True)
    date_created = serializers.DateTimeField()
    date_updated = serializers.DateTimeField()


class StatusReference(serializers.Serializer):
    id = serializers.CharField()


class OrganizationChanges(serializers.Serializer):
    name = serializers.CharField(max_length=255, required=False)
    currency = serializers.RegexField("^[A-Z]{3}$", required=False)
    require_unsubscribe_link = serializers.BooleanField(
        required=False, help_text="Every bulk and sequence mail shows a link."
    )
    postal_address = serializers.CharField(
        max_length=1000, required=False, allow_blank=True, help_text="Shown beside that link."
    )
    lead_statuses = StatusReference(many=True, required=False)


class OrganizationView(CloseView):
    permissions = {"PUT": Permission.MANAGE_ORGANIZATION}

    @describe(
        "organization_get",
        "Gives the organization with its statuses, pipelines, custom fields and members.",
        answer=OrganizationAnswer,
        query=[_EXPAND, FIELDS],
    )
    def get(self, request: CloseRequest, id: str) -> Response:
        return self.answer(self.organization_of(id))

    @describe(
        "organization_update",
        "Sets name, currency and what mails show, and puts these lead statuses first.",
        body=OrganizationChanges,
        answer=OrganizationAnswer,
        query=[_EXPAND],
    )
    def put(self, request: CloseRequest, id: str) -> Response:
        organization = self.organization_of(id)
        if self.body.get("enable_unsubscribe_link", True) is not True:
            raise FieldErrors({"enable_unsubscribe_link": "Only true is supported: every list mail has a way out."})
        first = _status_keys(self.body["lead_statuses"]) if "lead_statuses" in self.body else ()
        update_organization(organization=organization, properties=self.body, first_statuses=first)
        return self.answer(organization)

    def organization_of(self, id: str) -> Organization:
        organization = self.request.caller.organization
        if parse_close_id("orga", id) != organization.pk:
            raise NotFound
        return organization

    def answer(self, organization: Organization) -> Response:
        shown: dict[str, object] = {
            "id": close_id("orga", organization.pk),
            "name": organization.name,
            "currency": organization.currency,
            "require_unsubscribe_link": organization.require_unsubscribe_link,
            "enable_unsubscribe_link": True,
            "postal_address": organization.postal_address,
            "date_created": close_datetime(organization.date_created),
            "date_updated": close_datetime(organization.date_updated),
        }
        if wants(self.fields, "lead_statuses"):
            shown["lead_statuses"] = lead_statuses_of(organization)
        if wants(self.fields, "opportunity_statuses", "pipelines"):
            shown |= stages_of(organization)
        if wants(self.fields, *(f"{name}_custom_fields" for name in FieldObject.values)):
            shown |= _custom_fields_of(organization)
        if wants(self.fields, *_MEMBERSHIPS):
            shown |= self._members_of(organization)
        return Response(pick_fields(shown, self.fields))

    def _members_of(self, organization: Organization) -> dict[str, object]:
        expanded = {word.strip() for word in self.request.query_params.get("_expand", "").split(",")}
        shown: dict[str, list[dict[str, object]]] = {name: [] for name in _MEMBERSHIPS}
        for membership in organization.memberships.select_related("user").order_by("id"):
            name = "memberships" if membership.is_active else "inactive_memberships"
            shown[name].append(_show_member(membership, organization, f"{name}__user" in expanded))
        return dict(shown)


def _show_member(membership: Membership, organization: Organization, is_expanded: bool) -> dict[str, object]:
    user = membership.user
    shown = {
        **show_membership(membership),
        "user_email": user.email,
        "user_first_name": user.first_name,
        "user_last_name": user.last_name,
        "user_image": None,
        "user_timezone": user.timezone,
    }
    return {**shown, "user": show_user(user, organization)} if is_expanded else shown


def _custom_fields_of(organization: Organization) -> dict[str, object]:
    shown: dict[str, list[dict[str, object]]] = {f"{name}_custom_fields": [] for name in FieldObject.values}
    for field in CustomField.objects.filter(organization=organization):
        shown[f"{field.object_type}_custom_fields"].append(show_field(field))
    return dict(shown)


def lead_statuses_of(organization: Organization) -> list[dict[str, object]]:
    """In their order: the first one is that of new leads."""
    return [show_status(status) for status in organization.lead_statuses.all()]


def stages_of(organization: Organization) -> dict[str, object]:
    """The pipelines in order, each with its statuses in order, and all these statuses in one list."""
    pipelines = list(organization.pipelines.prefetch_related("statuses"))
    statuses = [show_opportunity_status(status) for pipeline in pipelines for status in pipeline.statuses.all()]
    return {"pipelines": show_pipelines(pipelines), "opportunity_statuses": statuses}


def _status_keys(references: object) -> Sequence[UUID | None]:
    """The keys behind `[{"id": "stat_…"}, …]`; None for what is none."""
    if not isinstance(references, list):
        raise FieldErrors({"lead_statuses": "Value must be a list."})
    return [parse_close_id("stat", one.get("id")) if isinstance(one, dict) else None for one in references]


urlpatterns = [path("organization/<str:id>/", OrganizationView.as_view())]
