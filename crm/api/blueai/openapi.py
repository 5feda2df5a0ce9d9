"""How the views of the BlueAI dialect say in `/api/schema/` what they take and give: `@describe`, as in Close's."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers

from crm.api.close.openapi import query_text

View = TypeVar("View", bound=Callable[..., object])


class BlueAIErrorDetail(serializers.Serializer):
    type = serializers.CharField()
    code = serializers.CharField()
    message = serializers.CharField()
    param = serializers.CharField(allow_null=True, help_text="The first key that is to blame.")
    details = serializers.DictField(child=serializers.ListField(child=serializers.CharField()))
    request_id = serializers.CharField(allow_null=True)


class BlueAIError(serializers.Serializer):
    error = BlueAIErrorDetail()


class Success(serializers.Serializer):
    success = serializers.BooleanField()


class GuidePagination(serializers.Serializer):
    page = serializers.IntegerField()
    per_page = serializers.IntegerField()
    total = serializers.IntegerField()
    total_pages = serializers.IntegerField()


def wrapped(name: str, key: str, answer: type[serializers.Serializer]) -> serializers.Serializer:
    """`{"contact": {…}}`. `name`: unique in the schema."""
    return inline_serializer(name, {key: answer()})


def listed(name: str, answer: type[serializers.Serializer]) -> serializers.Serializer:
    """A list in either dialect: `items`, `total`, `limit`, `offset`; or `object`, `data`, `pagination`."""
    return inline_serializer(
        name,
        {
            "items": answer(many=True, required=False),
            "total": serializers.IntegerField(required=False),
            "limit": serializers.IntegerField(required=False),
            "offset": serializers.IntegerField(required=False),
            "object": serializers.CharField(required=False, help_text="`list`, where `page` or `per_page` is given."),
            "data": answer(many=True, required=False),
            "pagination": GuidePagination(required=False),
        },
    )


LIST_QUERY = [
    query_text("limit", "How many at most, 1 to 200; 50 unless given."),
    query_text("offset", "How many to pass over."),
    query_text("page", "From 1 on; asks for the answer of the guides."),
    query_text("per_page", "1 to 100, 50 unless given; asks for the answer of the guides."),
    query_text("created_after", "Only what was made after this moment (ISO 8601)."),
    query_text("created_before", "Only what was made before this moment (ISO 8601)."),
]
ORDER_QUERY = [
    query_text("sort", "A column, or `column:asc,column:desc`; `created_at` unless given."),
    query_text("order", "`asc` or `desc`; `desc` unless given."),
]
SEARCH = query_text("search", "Case-insensitive part of the text.")


def _header(name: str, description: str) -> OpenApiParameter:
    return OpenApiParameter(name, int, OpenApiParameter.HEADER, response=True, description=description)


_ON_EVERY_ANSWER = [
    _header("X-RateLimit-Limit", "Requests per minute."),
    _header("X-RateLimit-Remaining", "Those left in this minute."),
]


def describe(
    operation_id: str,
    summary: str,
    *,
    answer: object,
    body: object = None,
    query: Sequence[OpenApiParameter] = (),
    status: int = 200,
    also: Sequence[int] = (),
    media_type: str = "application/json",
) -> Callable[[View], View]:
    """Decorate a view's method. `status` (`also` these) and `media_type` are those of success."""
    problems = dict.fromkeys((400, 401, 403, 404, 405, 409, 415, 422, 429), BlueAIError)
    return extend_schema(
        operation_id=f"blueai_{operation_id}",
        summary=summary,
        request=body,
        responses={(one, media_type): answer for one in (status, *also)} | problems,
        parameters=[*query, *_ON_EVERY_ANSWER],
        tags=["blueai"],
    )


class BlueAIAuthenticationScheme(OpenApiAuthenticationExtension):
    """Bearer, or the cookie of a browser."""

    target_class = "crm.api.blueai.authentication.BlueAIAuthentication"
    name = ["blueaiKey", "blueaiSession"]

    def get_security_definition(self, auto_schema: object) -> list[dict[str, str]]:
        return [
            {"type": "http", "scheme": "bearer", "description": "A key `sk_live_…` as token."},
            {"type": "apiKey", "in": "cookie", "name": "better-auth.session_token"},
        ]
