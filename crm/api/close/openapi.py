"""How the views of the Close dialect say in `/api/schema/` what they take and give.

Every method of every `CloseView` carries `@describe`, with small serializers that are used for nothing else:

    class StatusAnswer(Answer):                     # what we give; with `_fields`, any key may be missing
        id = serializers.CharField()
        label = serializers.CharField()

    class StatusBody(serializers.Serializer):       # what we take; say `required=False`, `allow_null=True` where so
        label = serializers.CharField()

    class LeadStatusesView(CloseView):
        @describe("lead_status_list", "Lists them.", answer=page("LeadStatusPage", StatusAnswer), query=[FIELDS])
        def get(self, request): ...

        @describe("lead_status_create", "Makes a lead status.", body=StatusBody, answer=StatusAnswer)
        def post(self, request): ...

        @describe("lead_status_delete", "Deletes a lead status.", answer=NOTHING)
        def delete(self, request, id): ...

The first argument is the operation id, unique in the whole schema. Lists by offset add `*PAGING` to `query`. Free-form
values are `any_value()`, free-form objects `serializers.DictField()`. The error answers (400, 401, 403, 404, 405, 415,
429) and the `RateLimit` header are added to each, and `Idempotency-Key` with its 409 to each
POST of a view that `creates`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_field,
    inline_serializer,
)
from rest_framework import serializers

from crm.api.close.paging import MAX_LIMIT, MAX_SKIP
from crm.api.schema import CreatingSchema

View = TypeVar("View", bound=Callable[..., object])


class Answer(serializers.Serializer):
    """A part of an answer. No key is promised, since `_fields` may leave out any; types are."""

    def get_fields(self) -> dict[str, serializers.Field]:
        fields = super().get_fields()
        for field in fields.values():
            field.required = False
        return fields


@extend_schema_field(OpenApiTypes.ANY)
class AnyValue(serializers.JSONField):
    """Any JSON value."""


def any_value(**options: object) -> serializers.Field:
    return AnyValue(**options)


def strings(**options: object) -> serializers.Field:
    return serializers.ListField(child=serializers.CharField(), **options)


def page(name: str, answer: type[serializers.Serializer], *, total: bool = False) -> serializers.Serializer:
    """The envelope of a list: `data`, `has_more`, with `total` also `total_results`. `name`: unique in the schema."""
    fields: dict[str, serializers.Field] = {"data": answer(many=True), "has_more": serializers.BooleanField()}
    if total:
        fields["total_results"] = serializers.IntegerField()
    return inline_serializer(name, fields)


class Error(serializers.Serializer):
    error = serializers.CharField()


# `field-errors` has a hyphen: no class body can spell it.
BadRequest = type(
    "BadRequest",
    (serializers.Serializer,),
    {
        "__doc__": "`errors` and `field-errors` for values, or `error` for what is no JSON at all.",
        "errors": strings(required=False),
        "field-errors": serializers.DictField(child=AnyValue(), required=False),
        "error": serializers.CharField(required=False),
    },
)


class TooManyRequests(serializers.Serializer):
    error = serializers.CharField()
    message = serializers.CharField()
    rate_limit = serializers.IntegerField()
    rate_limit_type = serializers.ChoiceField(["key", "organization"])
    rate_reset = serializers.CharField()
    rate_window = serializers.IntegerField()
    rate_endpoint_group = serializers.CharField()


NOTHING = OpenApiResponse({"type": "object"}, description="An empty object.")


def query_text(name: str, description: str) -> OpenApiParameter:
    return OpenApiParameter(name, str, OpenApiParameter.QUERY, description=description)


def whole_number(name: str, maximum: int, default: int, description: str) -> OpenApiParameter:
    schema = {"type": "integer", "minimum": 0, "maximum": maximum, "default": default}
    return OpenApiParameter(name, schema, OpenApiParameter.QUERY, description=description)


FIELDS = query_text("_fields", "Keys that the answer is to have, separated by commas. `custom`: all custom fields.")
PAGING = [
    whole_number("_skip", MAX_SKIP, 0, "How many rows to pass over."),
    whole_number("_limit", MAX_LIMIT, 100, "How many rows to give at most."),
]
_ON_EVERY_ANSWER = OpenApiParameter(
    "RateLimit", str, OpenApiParameter.HEADER, response=True, description="`limit=100, remaining=57, reset=1`"
)


NO_OTHERS: Mapping[str, object] = {}


def describe(
    operation_id: str,
    summary: str,
    *,
    answer: object,
    body: object = None,
    query: Sequence[OpenApiParameter] = (),
    status: int = 200,
    conflict: bool = False,
    also: Mapping[str, object] = NO_OTHERS,
) -> Callable[[View], View]:
    """Decorate a view's method. `status` is that of success; `conflict`: it may also answer 409; `also`: in
    which other media types it answers, asked by `Accept`; or always, where there is no `answer`.
    """
    responses: dict[object, object] = {
        status: answer,
        400: BadRequest,
        401: Error,
        403: Error,
        404: Error,
        405: Error,
        415: Error,
        429: TooManyRequests,
    }
    if conflict:
        responses[409] = Error
    if answer is None and also:
        del responses[status]
    for media_type, other in also.items():
        responses[status, media_type] = other
    return extend_schema(
        operation_id=operation_id,
        summary=summary,
        request=body,
        responses=responses,
        parameters=[*query, _ON_EVERY_ANSWER],
    )


class CloseSchema(CreatingSchema):
    """Adds the 409 that such a POST may answer."""

    def get_operation(self, *args: object, **kwargs: object) -> dict[str, object] | None:
        operation = super().get_operation(*args, **kwargs)
        if operation is not None and self.takes_key:
            error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
            operation["responses"].setdefault("409", {"content": error, "description": ""})
        return operation


class CloseAuthenticationScheme(OpenApiAuthenticationExtension):
    """Basic with the key as user name, or Bearer."""

    target_class = "crm.api.close.authentication.CloseAuthentication"
    name = ["basicKey", "bearerKey"]

    def get_security_definition(self, auto_schema: object) -> list[dict[str, str]]:
        return [
            {"type": "http", "scheme": "basic", "description": "The API key as user name, an empty password."},
            {"type": "http", "scheme": "bearer", "description": "The API key as token."},
        ]
