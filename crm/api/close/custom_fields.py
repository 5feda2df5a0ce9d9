"""`/custom_field/<object>/` and `/custom_field_schema/<object>/` (close-api.md 4.6)."""

from collections.abc import Sequence
from uuid import UUID

from django.db.models import QuerySet
from django.urls import path
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.response import Response

from crm.api.close.conventions import CloseRequest, CloseView, close_datetime, paginate, pick_fields
from crm.api.close.openapi import FIELDS, NOTHING, PAGING, Answer, describe, page, strings
from crm.custom_fields import LONGEST_DESCRIPTION, create_field, delete_field, order_fields, update_field
from crm.errors import FieldErrors, NotFound
from crm.ids import close_id, parse_close_id
from crm.models import CustomField, FieldObject, FieldType, Permission, Role


class CustomFieldAnswer(Answer):
    id = serializers.CharField()
    name = serializers.CharField()
    type = serializers.ChoiceField(FieldType.choices)
    description = serializers.CharField(allow_null=True)
    choices = strings()
    accepts_multiple_values = serializers.BooleanField()
    editable_with_roles = strings()
    organization_id = serializers.CharField()
    created_by = serializers.CharField(allow_null=True)
    updated_by = serializers.CharField(allow_null=True)
    date_created = serializers.DateTimeField()
    date_updated = serializers.DateTimeField()


class _Properties(serializers.Serializer):
    description = serializers.CharField(
        max_length=LONGEST_DESCRIPTION, allow_null=True, allow_blank=True, required=False
    )
    choices = strings(allow_null=True, required=False)
    accepts_multiple_values = serializers.BooleanField(required=False)
    editable_with_roles = serializers.ListField(
        child=serializers.ChoiceField(Role.choices), allow_null=True, required=False
    )


class CustomFieldBody(_Properties):
    name = serializers.CharField(max_length=255)
    type = serializers.ChoiceField(FieldType.choices)


class CustomFieldChanges(_Properties):
    name = serializers.CharField(max_length=255, required=False)
    type = serializers.ChoiceField(FieldType.choices, required=False)


class CustomFieldSchema(Answer):
    object_type = serializers.ChoiceField(FieldObject.choices)
    fields = CustomFieldAnswer(many=True)


class FieldReference(serializers.Serializer):
    id = serializers.CharField()


class FieldOrder(serializers.Serializer):
    fields = FieldReference(many=True)


def show_field(field: CustomField) -> dict[str, object]:
    """A custom field as Close spells it."""
    return {
        "id": close_id("cf", field.pk),
        "name": field.name,
        "type": field.type,
        "description": field.description,
        "choices": field.choices,
        "accepts_multiple_values": field.accepts_multiple_values,
        "editable_with_roles": field.editable_with_roles,
        "organization_id": close_id("orga", field.organization_id),
        "created_by": _user(field.created_by_id),
        "updated_by": _user(field.updated_by_id),
        "date_created": close_datetime(field.date_created),
        "date_updated": close_datetime(field.date_updated),
    }


def _user(key: UUID | None) -> str | None:
    return close_id("user", key) if key else None


_OBJECTS = (FieldObject.LEAD, FieldObject.CONTACT, FieldObject.OPPORTUNITY)
_OBJECT_TYPE = OpenApiParameter("object_type", str, OpenApiParameter.PATH, enum=[str(name) for name in _OBJECTS])


class _FieldView(CloseView):
    @property
    def object_type(self) -> FieldObject:
        """The kind of record in the address; another kind is an unknown address."""
        name = self.kwargs["object_type"]
        if name not in _OBJECTS:
            raise NotFound
        return FieldObject(name)

    def custom_fields(self) -> QuerySet[CustomField]:
        return CustomField.objects.filter(organization=self.request.caller.organization, object_type=self.object_type)

    def field_of(self, id: str) -> CustomField:
        field = self.custom_fields().filter(pk=parse_close_id("cf", id)).first()
        if field is None:
            raise NotFound
        return field

    def answer(self, field: CustomField) -> Response:
        return Response(pick_fields(show_field(field), self.fields))


class CustomFieldsView(_FieldView):
    permissions = {"POST": Permission.MANAGE_CUSTOMIZATIONS}

    @describe(
        "custom_field_list",
        "Lists the custom fields of a kind of record.",
        answer=page("CustomFieldPage", CustomFieldAnswer),
        query=[_OBJECT_TYPE, FIELDS, *PAGING],
    )
    def get(self, request: CloseRequest, object_type: str) -> Response:
        def show(fields: Sequence[CustomField]) -> list[dict[str, object]]:
            return [pick_fields(show_field(field), self.fields) for field in fields]

        return paginate(request, self.custom_fields(), show)

    @describe(
        "custom_field_create",
        "Makes a custom field.",
        body=CustomFieldBody,
        answer=CustomFieldAnswer,
        query=[_OBJECT_TYPE],
    )
    def post(self, request: CloseRequest, object_type: str) -> Response:
        caller = request.caller
        field = create_field(
            organization=caller.organization, object_type=self.object_type, properties=self.body, by=caller.user
        )
        return self.answer(field)


class CustomFieldView(_FieldView):
    permissions = {"PUT": Permission.MANAGE_CUSTOMIZATIONS, "DELETE": Permission.MANAGE_CUSTOMIZATIONS}

    @describe("custom_field_get", "Gives a custom field.", answer=CustomFieldAnswer, query=[_OBJECT_TYPE, FIELDS])
    def get(self, request: CloseRequest, object_type: str, id: str) -> Response:
        return self.answer(self.field_of(id))

    @describe(
        "custom_field_update",
        "Changes what is given of a custom field. Its values stay as they are.",
        body=CustomFieldChanges,
        answer=CustomFieldAnswer,
        query=[_OBJECT_TYPE],
    )
    def put(self, request: CloseRequest, object_type: str, id: str) -> Response:
        return self.answer(update_field(field=self.field_of(id), properties=self.body, by=request.caller.user))

    @describe(
        "custom_field_delete",
        "Deletes a custom field and its values in all records.",
        answer=NOTHING,
        query=[_OBJECT_TYPE],
    )
    def delete(self, request: CloseRequest, object_type: str, id: str) -> Response:
        delete_field(field=self.field_of(id))
        return Response({})


class CustomFieldSchemaView(_FieldView):
    permissions = {"PUT": Permission.MANAGE_CUSTOMIZATIONS}

    @describe(
        "custom_field_schema_get",
        "Gives the custom fields of a kind of record, in order.",
        answer=CustomFieldSchema,
        query=[_OBJECT_TYPE],
    )
    def get(self, request: CloseRequest, object_type: str) -> Response:
        fields = [show_field(field) for field in self.custom_fields()]
        return Response({"object_type": self.object_type.value, "fields": fields})

    @describe(
        "custom_field_schema_update",
        "Puts these fields first, in this order.",
        body=FieldOrder,
        answer=CustomFieldSchema,
        query=[_OBJECT_TYPE],
    )
    def put(self, request: CloseRequest, object_type: str) -> Response:
        order_fields(
            organization=request.caller.organization,
            object_type=self.object_type,
            first=_keys_of(self.body.get("fields")),
        )
        return self.get(request, object_type)


def _keys_of(references: object) -> list[UUID]:
    """The keys behind `[{"id": "cf_…"}, …]`."""
    if not isinstance(references, list):
        raise FieldErrors({"fields": "Value must be a list."})
    keys = [parse_close_id("cf", one.get("id")) if isinstance(one, dict) else None for one in references]
    if None in keys:
        raise FieldErrors({"fields": "Object does not exist."})
    return [key for key in keys if key]


urlpatterns = [
    path("custom_field/<str:object_type>/", CustomFieldsView.as_view()),
    path("custom_field/<str:object_type>/<str:id>/", CustomFieldView.as_view()),
    path("custom_field_schema/<str:object_type>/", CustomFieldSchemaView.as_view()),
    # Old clients still use the plural.
    path("custom_fields/<str:object_type>/", CustomFieldsView.as_view(schema=None)),
    path("custom_fields/<str:object_type>/<str:id>/", CustomFieldView.as_view(schema=None)),
]
