"""`/user/` (close-api.md 4.16)."""

from collections.abc import Sequence

from django.db.models import QuerySet
from django.urls import path
from rest_framework import serializers
from rest_framework.response import Response

from crm.api.close.conventions import CloseRequest, CloseView, close_datetime, paginate, pick_fields
from crm.api.close.openapi import FIELDS, PAGING, Answer, describe, page, query_text, strings
from crm.errors import FieldErrors, NotFound
from crm.ids import close_id, parse_close_id
from crm.models import Organization, User


class UserAnswer(Answer):
    id = serializers.CharField()
    email = serializers.CharField()
    first_name = serializers.CharField(allow_blank=True)
    last_name = serializers.CharField(allow_blank=True)
    image = serializers.CharField(allow_null=True)
    organizations = strings()
    date_created = serializers.DateTimeField()
    date_updated = serializers.DateTimeField()


def show_user(user: User, organization: Organization) -> dict[str, object]:
    """A user as Close spells them, in the organization of whoever asks."""
    return {
        "id": close_id("user", user.pk),
        "email": user.email,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "image": None,
        "organizations": [close_id("orga", organization.pk)],
        "date_created": close_datetime(user.date_created),
        "date_updated": close_datetime(user.date_updated),
    }


class AvailabilityAnswer(Answer):
    data = serializers.ListField(child=serializers.DictField())


_ORDERS = {
    "last_name,first_name": ("last_name", "first_name", "id"),
    "first_name,last_name": ("first_name", "last_name", "id"),
}


def _users_of(request: CloseRequest) -> QuerySet[User]:
    return User.objects.filter(memberships__organization=request.caller.organization, memberships__is_active=True)


class UsersView(CloseView):
    @describe(
        "user_list",
        "Lists the members of the organization.",
        answer=page("UserPage", UserAnswer),
        query=[*PAGING, FIELDS, query_text("_order_by", "`last_name,first_name` or `first_name,last_name`")],
    )
    def get(self, request: CloseRequest) -> Response:
        asked = request.query_params.get("_order_by") or "last_name,first_name"
        if asked not in _ORDERS:
            raise FieldErrors({"_order_by": f"Not a valid choice. One of: {'; '.join(_ORDERS)}"})

        def show(users: Sequence[User]) -> list[dict[str, object]]:
            return [pick_fields(show_user(user, request.caller.organization), self.fields) for user in users]

        return paginate(request, _users_of(request).order_by(*_ORDERS[asked]), show)


class UserView(CloseView):
    @describe("user_get", "Gives a member of the organization.", answer=UserAnswer, query=[FIELDS])
    def get(self, request: CloseRequest, id: str) -> Response:
        user = _users_of(request).filter(pk=parse_close_id("user", id)).first()
        if user is None:
            raise NotFound
        return Response(pick_fields(show_user(user, request.caller.organization), self.fields))


class AvailabilityView(CloseView):
    """Who can take a call now: nobody is known to, since no calls are taken here."""

    @describe(
        "user_availability",
        "Lists the members who can take a call: none, since no calls are taken here.",
        answer=AvailabilityAnswer,
        query=[query_text("organization_id", "The organization of the key.")],
    )
    def get(self, request: CloseRequest) -> Response:
        asked = request.query_params.get("organization_id")
        if asked and parse_close_id("orga", asked) != request.caller.organization.pk:
            raise FieldErrors({"organization_id": "Object does not exist."})
        return Response({"data": []})


urlpatterns = [
    path("user/", UsersView.as_view()),
    path("user/availability/", AvailabilityView.as_view()),
    path("user/<str:id>/", UserView.as_view()),
]
