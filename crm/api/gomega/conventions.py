"""What all views of the gomega dialect share. Every view derives from `GomegaView`.

A view finds on its request: `request.caller` (organization, user, membership, key), and the parsed JSON object as
`request.data`; it raises the exceptions of `crm.errors` and returns plain `Response`s.
"""

from collections.abc import Callable, Mapping
from typing import ClassVar
from urllib.parse import quote

from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated, Throttled
from rest_framework.request import Request
from rest_framework.response import Response

from crm import idempotency
from crm.api.gomega.authentication import GomegaAuthentication
from crm.api.gomega.errors import answer_to, error_body
from crm.api.gomega.rates import Rate, headers_of, rate_of, untouched
from crm.api.views import JsonView
from crm.auth import Caller
from crm.errors import Forbidden
from crm.idempotency import HEADER, Attempt, digests_of, read_key

READ = "public_api:leads:read"
WRITE = "public_api:leads:write"
MANAGE = "public_api:webhooks:manage"


class GomegaRequest(Request):
    """A request of the gomega dialect, as `GomegaView.initial` leaves it."""

    caller: Caller
    rate: Rate


class GomegaView(JsonView):
    """Authentication, error bodies, limits and headers of the gomega dialect."""

    request_class = GomegaRequest
    authentication_classes: ClassVar = [GomegaAuthentication]
    throttle_classes: ClassVar = []
    scopes: ClassVar[Mapping[str, str]] = {}  # what a key needs for a method
    is_bulk: ClassVar[bool] = False  # counted in the bulk bucket
    request: GomegaRequest

    def initial(self, request: GomegaRequest, *args: object, **kwargs: object) -> None:
        self.begin(request)
        self.perform_authentication(request)
        request.caller = request.auth
        request.rate = rate_of(request.caller, bulk=self.is_bulk)
        if request.rate.exceeded:
            raise Throttled
        scope = self.scopes.get("GET" if request.method == "HEAD" else request.method)
        if scope is not None and not request.caller.has_scope(scope):
            raise Forbidden(f"This API key lacks the scope {scope}.")
        self.is_under_way = True

    def answer_once(self, run: Callable[[], Response]) -> Response:
        """What `run` answers, or under an `Idempotency-Key` the stored answer of the first time (gomega-api.md 8)."""
        request = self.request
        key = read_key(request.headers.get(HEADER))
        if key is None:
            return run()
        self.is_repeatable = True
        customer = request.caller.organization.pk
        attempt = Attempt(customer, customer, quote(request.path_info), key, digests_of(request.data))
        return idempotency.answer_once(attempt, run)

    def answer_problem(self, exc: Exception) -> Response:
        if isinstance(exc, Throttled):
            return Response(error_body("The limit of calls is exceeded. See the header Retry-After.", 429), status=429)
        response = answer_to(exc, may_be_repeated=self.may_be_repeated)
        if response is None:
            raise exc
        if isinstance(exc, NotAuthenticated | AuthenticationFailed):
            response["WWW-Authenticate"] = self.get_authenticate_header(self.request)
        response.exception = True
        return response

    def finalize_response(
        self, request: GomegaRequest, response: Response, *args: object, **kwargs: object
    ) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        for name, value in headers_of(getattr(request, "rate", None) or untouched(bulk=self.is_bulk)).items():
            response[name] = value
        return response
