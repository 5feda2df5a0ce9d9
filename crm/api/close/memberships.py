"""`/membership/` (close-api.md 4.16)."""

from collections.abc import Sequence
from uuid import UUID

from django.urls import path
from rest_framework import serializers
from rest_framework.response import Response

from crm.api.close.conventions import CloseRequest, CloseView
from crm.api.close.openapi import NOTHING, Answer, describe, page, query_text, strings
from crm.errors import FieldErrors, Forbidden, NotFound
from crm.ids import close_id, parse_close_id
from crm.memberships import set_role
from crm.models import Membership, Permission, Role

RECORDING = "unset"  # there are no calls here that could be recorded


class MemberAnswer(Answer):
    id = serializers.CharField()
    user_id = serializers.CharField()
    organization_id = serializers.CharField()
    role_id = serializers.ChoiceField(Role.choices)
    permissions_granted = strings()
    auto_record_calls = serializers.ChoiceField([RECORDING])
    is_active = serializers.BooleanField()


class MemberChanges(serializers.Serializer):
    role_id = serializers.ChoiceField(Role.choices, required=False)
    auto_record_calls = serializers.ChoiceField([RECORDING], required=False)


def show_membership(membership: Membership) -> dict[str, object]:
    """A membership as Close spells it, ended ones too."""
    return {
        "id": close_id("memb", membership.pk),
        "user_id": close_id("user", membership.user_id),
        "organization_id": close_id("orga", membership.organization_id),
        "role_id": membership.role,
        "permissions_granted": sorted(membership.permissions),
        "auto_record_calls": RECORDING,
        "is_active": membership.is_active,
    }


class _MembershipView(CloseView):
    def change(self, membership_ids: Sequence[UUID]) -> list[dict[str, object]]:
        """Carry out the body on these, and show them."""
        if self.body.get("auto_record_calls", RECORDING) != RECORDING:
            raise FieldErrors({"auto_record_calls": f"Recording calls is not supported. Only '{RECORDING}' is."})
        caller = self.request.caller
        if "role_id" in self.body:
            set_role(caller=caller, membership_ids=membership_ids, role=self.body["role_id"])
        members = Membership.objects.filter(organization=caller.organization, pk__in=membership_ids).order_by("id")
        return [show_membership(membership) for membership in members]


class MembershipsView(_MembershipView):
    permissions = {"PUT": Permission.MANAGE_ORGANIZATION}

    @describe("membership_create", "Not possible here: members are made in the admin.", answer=NOTHING)
    def post(self, request: CloseRequest) -> Response:
        raise Forbidden("Members are not made with a key: make them in the admin.")

    @describe(
        "membership_update_many",
        "Changes several memberships, all or none.",
        body=MemberChanges,
        answer=page("MemberPage", MemberAnswer),
        query=[query_text("id__in", "Ids of memberships, separated by commas.")],
    )
    def put(self, request: CloseRequest) -> Response:
        named = request.query_params.get("id__in", "")
        keys = [parse_close_id("memb", word.strip()) for word in named.split(",") if word.strip()]
        if not keys:
            raise FieldErrors({"id__in": "This field is required."})
        known = [key for key in keys if key]
        found = Membership.objects.filter(organization=request.caller.organization, pk__in=known).count()
        if len(known) < len(keys) or found < len(set(known)):
            raise FieldErrors({"id__in": "Object does not exist."})
        return Response({"data": self.change(known), "has_more": False})


class MembershipView(_MembershipView):
    permissions = {"PUT": Permission.MANAGE_ORGANIZATION}

    @describe("membership_update", "Changes a membership.", body=MemberChanges, answer=MemberAnswer)
    def put(self, request: CloseRequest, id: str) -> Response:
        key = parse_close_id("memb", id)
        if key is None or not Membership.objects.filter(organization=request.caller.organization, pk=key).exists():
            raise NotFound
        return Response(self.change([key])[0])


urlpatterns = [
    path("membership/", MembershipsView.as_view()),
    path("membership/<str:id>/", MembershipView.as_view()),
]
