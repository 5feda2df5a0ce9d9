"""What all views of the BlueAI dialect share, in whichever app they live. Every view derives from `BlueAIView`."""

from collections.abc import Callable, Collection
from datetime import UTC, date, datetime
from functools import cached_property, partial
from typing import ClassVar
from urllib.parse import quote
from uuid import UUID

from django.http.response import HttpResponseBase
from django.utils import timezone
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated, Throttled
from rest_framework.request import Request
from rest_framework.response import Response

from crm.api.blueai.authentication import BlueAIAuthentication
from crm.api.blueai.errors import answer_to
from crm.api.blueai.limits import LIMIT_HEADER, REMAINING_HEADER, Limit, MinuteThrottle, untouched
from crm.api.close.requests import zone_of
from crm.api.schema import CreatingSchema
from crm.api.views import JsonView
from crm.auth import Caller
from crm.errors import Forbidden, NotFound
from crm.idempotency import HEADER, Attempt, answer_once, digests_of, read_key
from crm.ids import hex_id, parse_hex_id
from crm.models import Organization, Permission

_MOST_NAMED = 20  # unknown keys in one Warning


def moment(value: datetime) -> str:
    """`2026-01-20T10:00:00Z`; what is behind the seconds is dropped."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def shown_id(prefix: str, key: UUID | None) -> str | None:
    return None if key is None else hex_id(prefix, key)


def key_in_path(prefix: str, text: str) -> UUID:
    """The key behind the id in an address. Raises `NotFound` for one of another form."""
    key = parse_hex_id(prefix, text)
    if key is None:
        raise NotFound
    return key


class BlueAIRequest(Request):
    """A request of this dialect, as `BlueAIView.initial` leaves it."""

    caller: Caller
    limit: Limit


class BlueAIView(JsonView):
    """Authentication, error bodies, limits and headers of the BlueAI dialect.

    A view finds `request.caller`, and the parsed JSON object by `self.body_of(known keys)`; it raises the exceptions of
    `crm.errors` and `Unprocessable`.
    """

    request_class = BlueAIRequest
    authentication_classes: ClassVar = [BlueAIAuthentication]
    throttle_classes: ClassVar = [MinuteThrottle]
    schema = CreatingSchema()
    # Whether a POST makes something: an `Idempotency-Key` protects it, within a transaction of ours.
    creates: ClassVar[bool] = False
    # What a caller must have for a method; without an entry every member may.
    permissions: ClassVar[dict[str, Permission]] = {}
    unknown_keys: tuple[str, ...] = ()
    request: BlueAIRequest

    def initial(self, request: BlueAIRequest, *args: object, **kwargs: object) -> None:
        self.begin(request)
        self.authorize(request)
        self.is_under_way = True
        if request.method == "POST" and self.creates and (key := read_key(request.headers.get(HEADER))):
            self.is_repeatable = True
            # A view lives for one request, so this is its handler for this one request.
            self.post = partial(self._post_once, self.post, key)

    def authorize(self, request: BlueAIRequest) -> None:
        """Set who calls, count the request, and refuse what the caller may not do."""
        self.perform_authentication(request)
        request.caller = request.auth
        self.check_throttles(request)
        permission = self.permissions.get("GET" if request.method == "HEAD" else request.method)
        if permission is not None:
            self.require(permission)

    def require(self, permission: Permission) -> None:
        if not self.request.caller.may(permission):
            raise Forbidden(f"You do not have the permission '{permission.value}'.")

    def _post_once(
        self, handler: Callable[..., Response], key: str, request: BlueAIRequest, *args: object, **kwargs: object
    ) -> Response:
        caller = request.caller
        owner = caller.api_key.pk if caller.api_key else caller.user.pk
        attempt = Attempt(caller.organization.pk, owner, quote(request.path_info), key, digests_of(self.said()))
        return answer_once(attempt, partial(handler, request, *args, **kwargs))

    def said(self) -> object:
        """All that a POST says, as far as it decides what is done."""
        return [self.request.data, sorted(self.request.query_params.lists())]

    def answer_problem(self, exc: Exception) -> Response:
        response = answer_to(exc, self.request._request, may_be_repeated=self.may_be_repeated)
        if response is None:
            raise exc
        if isinstance(exc, NotAuthenticated | AuthenticationFailed):
            response["WWW-Authenticate"] = self.get_authenticate_header(self.request)
        if isinstance(exc, Throttled):
            response["Retry-After"] = str(self.request.limit.reset)
        response.exception = True
        return response

    def finalize_response(
        self, request: Request, response: HttpResponseBase, *args: object, **kwargs: object
    ) -> HttpResponseBase:
        response = super().finalize_response(request, response, *args, **kwargs)
        limit = getattr(request, "limit", None) or untouched(request.path_info)
        response[LIMIT_HEADER], response[REMAINING_HEADER] = str(limit.limit), str(limit.remaining)
        if self.unknown_keys:
            response["Warning"] = _warning(self.unknown_keys)
        return response

    def body_of(self, known: Collection[str]) -> dict[str, object]:
        """The keys of the JSON object that was sent, as far as they are known; a `Warning` names the others."""
        self.unknown_keys = tuple(key for key in self.request.data if key not in known)
        return {key: value for key, value in self.request.data.items() if key in known}

    @property
    def organization(self) -> Organization:
        return self.request.caller.organization

    @cached_property
    def today(self) -> date:
        """The day in the caller's zone."""
        return timezone.now().astimezone(zone_of(self.request, self.request.caller)).date()


def _warning(keys: tuple[str, ...]) -> str:
    """RFC 7234 5.5, code 299. What a header cannot carry is escaped as in Python."""
    named = ", ".join(key[:100].encode("unicode_escape").decode() for key in keys[:_MOST_NAMED])
    more = f" and {len(keys) - _MOST_NAMED} more" if len(keys) > _MOST_NAMED else ""
    text = f"Unknown keys were ignored: {named}{more}".replace("\\", "\\\\").replace('"', '\\"')
    return f'299 - "{text}"'
