"""POST /api/v1/data/search/ (close-api.md 3.1, 3.2)."""

from collections.abc import Callable, Mapping, Sequence

from django.conf import settings
from django.utils import timezone
from rest_framework import serializers
from rest_framework.response import Response

from crm.api.close import activity_schemas as schemas
from crm.api.close.activity_answers import serialize_activities
from crm.api.close.answers import serialize_contacts, serialize_leads
from crm.api.close.conventions import CloseRequest, CloseView, Fields, parse_fields
from crm.api.close.openapi import Answer, any_value, describe
from crm.api.close.opportunities import OpportunityAnswer
from crm.api.close.opportunity_answers import serialize_opportunities
from crm.api.close.record_schemas import ContactAnswer, LeadAnswer
from crm.errors import FieldErrors
from crm.ids import parse_close_id
from crm.models import Activity, CustomField
from search.compiler import found
from search.errors import shown
from search.limits import limited_in_time
from search.paging import Cursor, binding_of, page_of
from search.resolve import Resolved, resolve
from search.schema import OBJECT_TYPES, UNSUPPORTED_TYPES

DEFAULT_LIMIT = 100
MAX_LIMIT = 200


def _activities(rows: Sequence[Activity], fields: Fields, request: CloseRequest) -> list[dict[str, object]]:
    return serialize_activities(rows, fields)


_ANSWERS: Mapping[str, type[serializers.Serializer]] = {
    "lead": LeadAnswer,
    "contact": ContactAnswer,
    "opportunity": OpportunityAnswer,
    "activity.call": schemas.CallAnswer,
    "activity.email": schemas.EmailActivityAnswer,
    "activity.meeting": schemas.MeetingAnswer,
    "activity.note": schemas.NoteAnswer,
    "activity.sms": schemas.SmsAnswer,
}
_SERIALIZERS: Mapping[str, Callable[..., list[dict[str, object]]]] = {
    "lead": serialize_leads,
    "contact": serialize_contacts,
    "opportunity": serialize_opportunities,
    **{name: _activities for name in _ANSWERS if name.startswith("activity.")},
}


class SearchBody(serializers.Serializer):
    query = serializers.DictField(help_text="A query node, see docs/search.md.")
    _fields = serializers.DictField(required=False, help_text="Keys of the answer by object type; without: ids only.")
    _limit = serializers.IntegerField(required=False, min_value=0, max_value=MAX_LIMIT, default=DEFAULT_LIMIT)
    cursor = serializers.CharField(required=False, allow_null=True)
    results_limit = serializers.IntegerField(required=False, allow_null=True, min_value=0)
    include_counts = serializers.BooleanField(required=False, default=False)
    sort = serializers.ListField(required=False, child=serializers.DictField(), max_length=3)


class CountAnswer(Answer):
    total = serializers.IntegerField()
    limited = serializers.IntegerField()


class SearchAnswer(Answer):
    data = serializers.ListField(child=serializers.DictField(child=any_value()))
    cursor = serializers.CharField(allow_null=True, help_text="Null once the last page was handed out.")
    count = CountAnswer(help_text="Only with `include_counts`.")


class SearchView(CloseView):
    creates = False

    @describe("data_search", "Finds leads, contacts, deals or activities.", body=SearchBody, answer=SearchAnswer)
    def post(self, request: CloseRequest) -> Response:
        body, organization = self.body, request.caller.organization
        if "query" not in body:
            raise FieldErrors({"query": "This field is required."})
        page_limit = _page_limit(body.get("_limit"))
        include_counts = _boolean(body, "include_counts")
        asked = _fields_by_type(request.data.get("_fields"), request)

        binding = binding_of(
            organization.pk, request.caller.user.pk, body["query"], body.get("sort"), body.get("results_limit")
        )
        cursor = Cursor.read(body["cursor"], binding) if body.get("cursor") is not None else None
        began = cursor.began if cursor else timezone.now()
        resolved = resolve(
            query=body["query"],
            sort=body.get("sort"),
            results_limit=body.get("results_limit"),
            caller=request.caller,
            tz=request.tz,
            now=began,
            path="query",
            for_bulk=False,
        )

        given = cursor.given if cursor else 0
        size = min(page_limit, _most_rows(resolved) - given)
        with limited_in_time():
            page = page_of(resolved, organization.pk, size=size, after=cursor)
            total = found(resolved, organization.pk).count() if include_counts else None
        rows = list(page.rows)
        answer: dict[str, object] = {"data": self._show(resolved.object_type, rows, asked), "cursor": None}
        given += len(rows)
        if page.has_more and given < _most_rows(resolved):
            answer["cursor"] = Cursor(page.values, rows[-1].pk, given, began).sign(binding)
        if total is not None:
            limit = resolved.results_limit
            answer["count"] = {"total": total, "limited": total if limit is None else min(total, limit)}
        return Response(answer)

    def _show(self, object_type: str, rows: list, asked: Mapping[str, Fields]) -> list[dict[str, object]]:
        fields = asked.get(object_type, frozenset())
        shown_rows = _SERIALIZERS[object_type](rows, None if fields is None else fields | {"id"}, self.request)
        return [{"__object_type": object_type, **row} for row in shown_rows]


def _most_rows(resolved: Resolved) -> int:
    limit = resolved.results_limit
    return settings.SEARCH_WALK_LIMIT if limit is None else min(limit, settings.SEARCH_WALK_LIMIT)


def _page_limit(value: object) -> int:
    if value is None:
        return DEFAULT_LIMIT
    if isinstance(value, bool) or not isinstance(value, int):
        raise FieldErrors({"_limit": "Value must be a whole number."})
    if not 0 <= value <= MAX_LIMIT:
        bound = f"less than or equal to {MAX_LIMIT}" if value > 0 else "greater than or equal to 0"
        raise FieldErrors({"_limit": f"Input should be {bound}"})
    return value


def _boolean(body: Mapping[str, object], key: str) -> bool:
    value = body.get(key)
    if value is not None and not isinstance(value, bool):
        raise FieldErrors({key: "Value must be true or false."})
    return bool(value)


def _fields_by_type(value: object, request: CloseRequest) -> dict[str, Fields]:
    """The keys that the caller wants of each object type. An unknown type or key is refused."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise FieldErrors({"_fields": "Value must be an object: a list of keys for each object type."})
    asked = {}
    for object_type, names in value.items():
        if object_type not in OBJECT_TYPES and object_type not in UNSUPPORTED_TYPES:
            raise FieldErrors({"_fields": f"Unknown object type '{shown(object_type)}'."})
        fields = parse_fields(names) if names else frozenset()
        if fields and object_type in _ANSWERS:
            _check_fields(fields, object_type, request)
        asked[object_type] = fields
    return asked


def _check_fields(fields: frozenset[str], object_type: str, request: CloseRequest) -> None:
    known = set(_ANSWERS[object_type]().fields)
    strange = {name for name in fields if name not in known}
    if strange:
        own = CustomField.objects.filter(organization_id=request.caller.organization.pk, object_type=object_type)
        keys = set(own.values_list("pk", flat=True))
        strange = {
            name
            for name in strange
            if not name.startswith("custom.") or parse_close_id("cf", name.removeprefix("custom.")) not in keys
        }
    if strange:
        raise FieldErrors({"_fields": f"unknown field: {', '.join(shown(name) for name in sorted(strange)[:10])}"})
