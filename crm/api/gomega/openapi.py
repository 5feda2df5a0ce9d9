"""How the views of the gomega dialect say in `/api/schema/` what they take and give, by `@describe` on each method."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers

from crm.api.gomega.authentication import CUSTOMER_HEADER
from crm.idempotency import DAYS, HEADER, REPLAYED
from crm.models import Lifecycle, SourcePlatform, SourceType

View = TypeVar("View", bound=Callable[..., object])


class GomegaProblem(serializers.Serializer):
    type = serializers.ChoiceField(
        ["invalid_request_error", "authentication_error", "authorization_error", "not_found_error", "api_error",
         "rate_limit_error"]
    )  # fmt: skip
    code = serializers.IntegerField()
    message = serializers.CharField()


class GomegaError(serializers.Serializer):
    error = GomegaProblem()


class GomegaStage(serializers.Serializer):
    id = serializers.UUIDField()
    slug = serializers.CharField()
    name = serializers.CharField()
    color = serializers.CharField(allow_null=True)


class GomegaOwner(serializers.Serializer):
    id = serializers.UUIDField()
    name = serializers.CharField()
    role_name = serializers.CharField(allow_null=True)


class GomegaLead(serializers.Serializer):
    id = serializers.UUIDField()
    customer_id = serializers.UUIDField()
    contact_name = serializers.CharField(allow_null=True)
    contact_phone = serializers.CharField(allow_null=True)
    contact_email = serializers.CharField(allow_null=True)
    source_platform = serializers.ChoiceField(SourcePlatform.choices)
    source_type = serializers.ChoiceField(SourceType.choices)
    status = serializers.ChoiceField(Lifecycle.choices)
    score = serializers.IntegerField(allow_null=True)
    qualified = serializers.BooleanField(allow_null=True)
    current_stage = GomegaStage(allow_null=True)
    owner = GomegaOwner(allow_null=True)
    last_interaction_at = serializers.DateTimeField(allow_null=True)
    interaction_count = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    custom_fields = serializers.DictField(required=False, help_text="By slug; with include_custom_fields=true.")


class GomegaLeadAnswer(serializers.Serializer):
    lead = GomegaLead()


class GomegaLeadPage(serializers.Serializer):
    leads = GomegaLead(many=True)
    total = serializers.IntegerField(help_text="Of the filter, whatever the cursor and the offset.")
    limit = serializers.IntegerField()
    offset = serializers.IntegerField()
    next_cursor = serializers.CharField(allow_null=True)


class GomegaLeadBody(serializers.Serializer):
    contact_name = serializers.CharField(required=False, allow_null=True)
    contact_phone = serializers.CharField(required=False, allow_null=True)
    contact_email = serializers.CharField(required=False, allow_null=True)
    source_platform = serializers.ChoiceField(SourcePlatform.choices, required=False, allow_null=True)
    source_type = serializers.ChoiceField(SourceType.choices, required=False, allow_null=True)
    stage_slug = serializers.CharField(required=False, allow_null=True)
    lead_line = serializers.ChoiceField(["buyer", "seller"], required=False, allow_null=True)
    custom_fields = serializers.DictField(required=False, allow_null=True, help_text="By slug.")


def query_parameter(name: str, description: str, schema: object = str) -> OpenApiParameter:
    return OpenApiParameter(name, schema, OpenApiParameter.QUERY, description=description)


IDEMPOTENCY_KEY = OpenApiParameter(
    HEADER,
    str,
    OpenApiParameter.HEADER,
    description=f"1 to 255 printable ASCII characters. Sent again with the same key within {DAYS} days, the call is "
    f"answered as the first time, with `{REPLAYED}: true`. 409: the key came with another body before, or is in use.",
)
_CUSTOMER = OpenApiParameter(
    CUSTOMER_HEADER, str, OpenApiParameter.HEADER, required=True, description="The customer that the key belongs to."
)
_RATE_HEADERS = [
    OpenApiParameter(name, int, OpenApiParameter.HEADER, response=True, description=description)
    for name, description in (
        ("RateLimit-Limit", "Calls in the window that is nearer to its end."),
        ("RateLimit-Remaining", "Calls left in it."),
        ("RateLimit-Reset", "Seconds until it is full again."),
    )
]
_ERRORS = (400, 401, 403, 404, 405, 409, 415, 429)


def describe(
    operation_id: str,
    summary: str,
    *,
    answer: object,
    body: object = None,
    query: Sequence[OpenApiParameter] = (),
    status: int = 200,
) -> Callable[[View], View]:
    """Decorate a view's method. `status` is that of success; the errors and the headers of all answers are added."""
    return extend_schema(
        operation_id=operation_id,
        summary=summary,
        tags=["gomega"],
        request=body,
        responses={status: answer, **dict.fromkeys(_ERRORS, GomegaError)},
        parameters=[_CUSTOMER, *query, *_RATE_HEADERS],
    )


class GomegaAuthenticationScheme(OpenApiAuthenticationExtension):
    target_class = "crm.api.gomega.authentication.GomegaAuthentication"
    name = "megaKey"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "A key `mega_…`, with the header x-customer-id."}
