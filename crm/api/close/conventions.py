"""What all views of the Close dialect share, in whichever app they live. Every view derives from `CloseView`.

A view finds on its request: `request.caller` (organization, user, membership, key), `request.tz`, and the parsed JSON
object as `self.body`; it raises the exceptions of `crm.errors` and returns plain `Response`s.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import ClassVar

from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated, Throttled
from rest_framework.response import Response

from crm.api.close.authentication import CloseAuthentication
from crm.api.close.errors import answer_to
from crm.api.close.fields import Fields, parse_fields, pick_fields, wants, wants_custom
from crm.api.close.idempotency import answer_once, key_of
from crm.api.close.paging import page_of, paginate
from crm.api.close.requests import CloseRequest, parameters_of_body, zone_of
from crm.api.close.throttles import RATE_HEADER, EndpointThrottle, rate_body, untouched_rate
from crm.api.views import JsonView
from crm.errors import Forbidden
from crm.models import Permission

__all__ = [
    "CloseAuthentication",
    "CloseRequest",
    "CloseView",
    "Fields",
    "close_datetime",
    "page_of",
    "paginate",
    "parse_fields",
    "pick_fields",
    "wants",
    "wants_custom",
]


def close_datetime(moment: datetime) -> str:
    """`2031-03-16T00:19:50.141000+00:00`: the older of the two spellings, with an explicit zero offset."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


class CloseView(JsonView):
    """Authentication, error bodies, limits and headers of the Close dialect."""

    request_class = CloseRequest
    authentication_classes: ClassVar = [CloseAuthentication]
    throttle_classes: ClassVar = [EndpointThrottle]
    # What a caller must have for a method; without an entry every member may.
    permissions: ClassVar[Mapping[str, Permission]] = {}
    # Whether a POST makes something: an `Idempotency-Key` protects it, elsewhere the header is passed over. Such a POST
    # runs within a transaction of ours, so nothing in it may commit half-way (`durable`).
    creates: ClassVar[bool] = True
    request: CloseRequest

    def initial(self, request: CloseRequest, *args: object, **kwargs: object) -> None:
        self.begin(request)
        self.perform_authentication(request)
        self.prepare(request)
        self.is_under_way = True
        if request.method != request.effective_method:
            request._request.GET = parameters_of_body(request.data)
            request._request.method = request.effective_method
        elif request.method == "POST" and hasattr(self, "post") and self.creates and (key := key_of(request)):
            self.is_repeatable = True
            # A view lives for one request, so this is its handler for this one request.
            self.post = partial(self._post_once, self.post, key)

    def _post_once(
        self, handler: Callable[..., Response], key: str, request: CloseRequest, *args: object, **kwargs: object
    ) -> Response:
        return answer_once(request, key, partial(handler, request, *args, **kwargs))

    def prepare(self, request: CloseRequest) -> None:
        """Set what is known of the caller, count the request, and refuse what the caller may not do."""
        request.caller = request.auth
        self.check_throttles(request)
        self._check_permission(request.effective_method)
        request.tz = zone_of(request, request.caller)

    def answer_problem(self, exc: Exception) -> Response:
        if isinstance(exc, Throttled):
            response = Response(rate_body(self.request.rate), status=429)
            response["Retry-After"] = str(self.request.rate.reset)
            return response
        if isinstance(exc, NotAuthenticated | AuthenticationFailed):
            exc.auth_header = self.get_authenticate_header(self.request)
        response = answer_to(exc, may_be_repeated=self.may_be_repeated)
        if response is None:
            raise exc
        response.exception = True
        return response

    def finalize_response(self, request: CloseRequest, response: Response, *args: object, **kwargs: object) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        response[RATE_HEADER] = str(getattr(request, "rate", None) or untouched_rate())
        return response

    def permission_for(self, method: str) -> Permission | None:
        """What a caller must have for that method; None where every member may."""
        return self.permissions.get(method)

    def _check_permission(self, method: str) -> None:
        permission = self.permission_for(method)
        if permission is not None and not self.request.caller.may(permission):
            raise Forbidden(f"You do not have the permission '{permission.value}'.")

    @cached_property
    def body(self) -> dict[str, object]:
        """The JSON object that was sent, without `_fields`; an empty one when nothing was."""
        return {key: value for key, value in self.request.data.items() if key != "_fields"}

    @cached_property
    def fields(self) -> Fields:
        """The keys that the answer is to have: `_fields` of the query, or of the body of a POST or PUT."""
        asked = self.request.query_params.get("_fields")
        if asked is None and self.request.method in ("POST", "PUT"):
            asked = self.request.data.get("_fields")
        return parse_fields(asked)
