"""`/saved_search/` (close-api.md 4.12)."""

from collections.abc import Sequence

from django.urls import path
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.response import Response

from crm.api.close.conventions import CloseRequest, CloseView, close_datetime, paginate, pick_fields
from crm.api.close.openapi import FIELDS, NOTHING, PAGING, Answer, any_value, describe, page, query_text, strings
from crm.errors import FieldErrors, NotFound
from crm.ids import close_id, parse_close_id
from crm.models import Group, User
from search.models import SavedSearch
from search.saved_searches import (
    LONGEST_DESCRIPTION,
    UNSUPPORTED_VIEWS,
    create_saved_search,
    delete_saved_search,
    update_saved_search,
    views_for,
)
from search.schema import TYPE_OF_VIEW

_TYPES = [*TYPE_OF_VIEW]
_ALL_TYPES = [*_TYPES, *UNSUPPORTED_VIEWS]


class SavedSearchAnswer(Answer):
    id = serializers.CharField()
    name = serializers.CharField()
    type = serializers.ChoiceField(_TYPES)
    s_query = serializers.DictField(allow_null=True)
    query = serializers.CharField(allow_null=True)
    description = serializers.CharField(allow_null=True, allow_blank=True)
    is_shared = serializers.BooleanField()
    is_user_dependent = serializers.BooleanField()
    shared_with = strings()
    selected_fields = serializers.ListField(child=serializers.DictField(), allow_null=True)
    user_id = serializers.CharField()
    organization_id = serializers.CharField()
    date_created = serializers.DateTimeField()
    date_updated = serializers.DateTimeField()


class SavedSearchChanges(serializers.Serializer):
    name = serializers.CharField(max_length=255, required=False)
    type = serializers.ChoiceField(_TYPES, required=False)
    s_query = serializers.DictField(
        required=False, child=any_value(), help_text="`{query, results_limit, sort}`, see docs/search.md."
    )
    query = serializers.CharField(allow_null=True, required=False, help_text="A text query, in place of `s_query`.")
    description = serializers.CharField(
        max_length=LONGEST_DESCRIPTION, allow_null=True, allow_blank=True, required=False
    )
    is_shared = serializers.BooleanField(required=False)
    shared_with = strings(allow_null=True, required=False)
    selected_fields = serializers.ListField(child=serializers.DictField(), allow_null=True, required=False)


class SavedSearchBody(SavedSearchChanges):
    name = serializers.CharField(max_length=255)


def show_saved_searches(views: Sequence[SavedSearch]) -> list[dict[str, object]]:
    """Smart Views as Close spells them. A group that is gone is not shown."""
    keys = {key for view in views for key in view.shared_with}
    ids = {key: close_id("user", key) for key in User.objects.filter(pk__in=keys).values_list("pk", flat=True)}
    ids |= {key: close_id("group", key) for key in Group.objects.filter(pk__in=keys).values_list("pk", flat=True)}
    return [
        {
            "id": close_id("save", view.pk),
            "name": view.name,
            "type": view.type,
            "s_query": view.s_query,
            "query": view.query,
            "description": view.description,
            "is_shared": view.is_shared,
            "is_user_dependent": view.is_user_dependent,
            "shared_with": [ids[key] for key in view.shared_with if key in ids],
            "selected_fields": view.selected_fields,
            "user_id": close_id("user", view.user_id),
            "organization_id": close_id("orga", view.organization_id),
            "date_created": close_datetime(view.date_created),
            "date_updated": close_datetime(view.date_updated),
        }
        for view in views
    ]


class _SavedSearchView(CloseView):
    def answer(self, view: SavedSearch) -> Response:
        return Response(pick_fields(show_saved_searches([view])[0], self.fields))


class SavedSearchesView(_SavedSearchView):
    @describe(
        "saved_search_list",
        "Lists the Smart Views that the caller sees, by name.",
        answer=page("SavedSearchPage", SavedSearchAnswer),
        query=[
            OpenApiParameter("type", str, enum=_ALL_TYPES, default="lead", description="Without `type__in`: `lead`."),
            query_text("type__in", "Types, separated by commas."),
            *PAGING,
            FIELDS,
        ],
    )
    def get(self, request: CloseRequest) -> Response:
        views = views_for(request.caller).filter(type__in=self._types())

        def show(views: Sequence[SavedSearch]) -> list[dict[str, object]]:
            return [pick_fields(shown, self.fields) for shown in show_saved_searches(views)]

        return paginate(request, views, show)

    def _types(self) -> list[str]:
        """The types that are asked for: `type__in` and `type` both hold where both are given."""
        given = {name: self.request.query_params.get(name) for name in ("type", "type__in")}
        asked = {name: [word.strip() for word in value.split(",")] for name, value in given.items() if value}
        for name, types in asked.items():
            if not set(types) <= set(_ALL_TYPES):
                raise FieldErrors({name: f"Not a valid choice. One of: {', '.join(_ALL_TYPES)}"})
        if not asked:
            return ["lead"]
        return [name for name in _ALL_TYPES if all(name in types for types in asked.values())]

    @describe("saved_search_create", "Makes a Smart View.", body=SavedSearchBody, answer=SavedSearchAnswer)
    def post(self, request: CloseRequest) -> Response:
        return self.answer(create_saved_search(caller=request.caller, tz=request.tz, properties=self.body))


class SavedSearchView(_SavedSearchView):
    @describe("saved_search_get", "Gives a Smart View.", answer=SavedSearchAnswer, query=[FIELDS])
    def get(self, request: CloseRequest, id: str) -> Response:
        view = views_for(request.caller).filter(pk=parse_close_id("save", id)).first()
        if view is None:
            raise NotFound
        return self.answer(view)

    @describe(
        "saved_search_update",
        "Changes what is given of a Smart View.",
        body=SavedSearchChanges,
        answer=SavedSearchAnswer,
    )
    def put(self, request: CloseRequest, id: str) -> Response:
        key = parse_close_id("save", id)
        return self.answer(update_saved_search(caller=request.caller, tz=request.tz, view_id=key, properties=self.body))

    @describe("saved_search_delete", "Deletes a Smart View.", answer=NOTHING)
    def delete(self, request: CloseRequest, id: str) -> Response:
        delete_saved_search(caller=request.caller, view_id=parse_close_id("save", id))
        return Response({})


urlpatterns = [
    path("saved_search/", SavedSearchesView.as_view()),
    path("saved_search/<str:id>/", SavedSearchView.as_view()),
]
