"""`/group/` and its members (close-api.md 4.16)."""

from django.db.models import QuerySet
from django.urls import path
from rest_framework import serializers
from rest_framework.response import Response

from crm.api.close.conventions import CloseRequest, CloseView, pick_fields
from crm.api.close.openapi import FIELDS, Answer, describe, page
from crm.errors import FieldErrors, NotFound
from crm.groups import add_member, create_group, delete_group, remove_member, rename_group
from crm.ids import close_id, parse_close_id
from crm.models import Group, Permission


class GroupMember(serializers.Serializer):
    user_id = serializers.CharField()


class GroupAnswer(Answer):
    id = serializers.CharField()
    name = serializers.CharField()
    organization_id = serializers.CharField()
    members = GroupMember(many=True)


class GroupBody(serializers.Serializer):
    name = serializers.CharField(max_length=255)


class GroupChanges(serializers.Serializer):
    name = serializers.CharField(max_length=255, required=False)


def show_group(group: Group) -> dict[str, object]:
    """A group as Close spells it, with everybody in it."""
    return {
        "id": close_id("group", group.pk),
        "name": group.name,
        "organization_id": close_id("orga", group.organization_id),
        "members": [{"user_id": close_id("user", user.pk)} for user in group.members.all()],
    }


class _GroupView(CloseView):
    def groups(self) -> QuerySet[Group]:
        groups = Group.objects.filter(organization=self.request.caller.organization)
        return groups.prefetch_related("members").order_by("name", "id")

    def group_of(self, id: str) -> Group:
        group = self.groups().filter(pk=parse_close_id("group", id)).first()
        if group is None:
            raise NotFound
        return group

    def answer(self, group: Group, status: int = 200) -> Response:
        return Response(pick_fields(show_group(group), self.fields), status=status)


class GroupsView(_GroupView):
    permissions = {"POST": Permission.MANAGE_ORGANIZATION}

    @describe("group_list", "Lists the groups by name.", answer=page("GroupPage", GroupAnswer), query=[FIELDS])
    def get(self, request: CloseRequest) -> Response:
        shown = [pick_fields(show_group(group), self.fields) for group in self.groups()]
        return Response({"data": shown, "has_more": False})

    @describe("group_create", "Makes a group without members.", body=GroupBody, answer=GroupAnswer, status=201)
    def post(self, request: CloseRequest) -> Response:
        if "name" not in self.body:
            raise FieldErrors({"name": "This field is required."})
        return self.answer(create_group(organization=request.caller.organization, name=self.body["name"]), status=201)


class GroupView(_GroupView):
    permissions = {"PUT": Permission.MANAGE_ORGANIZATION, "DELETE": Permission.MANAGE_ORGANIZATION}

    @describe("group_get", "Gives a group.", answer=GroupAnswer, query=[FIELDS])
    def get(self, request: CloseRequest, id: str) -> Response:
        return self.answer(self.group_of(id))

    @describe("group_update", "Renames a group.", body=GroupChanges, answer=GroupAnswer)
    def put(self, request: CloseRequest, id: str) -> Response:
        group = self.group_of(id)
        if "name" in self.body:
            rename_group(group=group, name=self.body["name"])
        return self.answer(group)

    @describe("group_delete", "Deletes a group; its members stay.", answer=None, status=204)
    def delete(self, request: CloseRequest, id: str) -> Response:
        delete_group(group=self.group_of(id))
        return Response(status=204)


class GroupMembersView(_GroupView):
    permissions = {"POST": Permission.MANAGE_ORGANIZATION}

    @describe(
        "group_member_add",
        "Puts a member of the organization into the group; again is no error.",
        body=GroupMember,
        answer=GroupMember,
        status=201,
    )
    def post(self, request: CloseRequest, group_id: str) -> Response:
        group = self.group_of(group_id)
        if "user_id" not in self.body:
            raise FieldErrors({"user_id": "This field is required."})
        user = add_member(group=group, user_id=parse_close_id("user", self.body["user_id"]))
        return Response({"user_id": close_id("user", user.pk)}, status=201)


class GroupMemberView(_GroupView):
    permissions = {"DELETE": Permission.MANAGE_ORGANIZATION}

    @describe("group_member_remove", "Takes somebody out of the group.", answer=None, status=204)
    def delete(self, request: CloseRequest, group_id: str, user_id: str) -> Response:
        remove_member(group=self.group_of(group_id), user_id=parse_close_id("user", user_id))
        return Response(status=204)


urlpatterns = [
    path("group/", GroupsView.as_view()),
    path("group/<str:id>/", GroupView.as_view()),
    path("group/<str:group_id>/member/", GroupMembersView.as_view()),
    path("group/<str:group_id>/member/<str:user_id>/", GroupMemberView.as_view()),
]
