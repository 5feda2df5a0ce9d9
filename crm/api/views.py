"""What the views of all dialects share, whatever their keys, errors and headers are."""

from typing import ClassVar

import structlog
from django.http import HttpRequest
from rest_framework.exceptions import ParseError
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from crm.api.close.requests import JsonParser
from crm.collisions import may_be_tried_again
from crm.errors import Conflict

log = structlog.get_logger(__name__)
_COLLIDED = "Others are changing the same records at this moment. Try again."


class JsonView(APIView):
    """Takes and gives JSON. A dialect says what its requests are (`request_class`) and what goes on in `initial`."""

    permission_classes: ClassVar = []
    parser_classes: ClassVar = [JsonParser]
    renderer_classes: ClassVar = [JSONRenderer]
    metadata_class = None
    request_class: ClassVar[type[Request]] = Request
    is_repeatable = False  # a POST under an Idempotency-Key: sent again, it does no harm
    is_under_way = False  # from here on something may have been written

    def initialize_request(self, request: HttpRequest, *args: object, **kwargs: object) -> Request:
        return self.request_class(
            request,
            parsers=self.get_parsers(),
            authenticators=self.get_authenticators(),
            negotiator=self.get_content_negotiator(),
            parser_context=self.get_parser_context(request),
        )

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[JSONRenderer, str]:
        return JSONRenderer(), JSONRenderer.media_type  # JSON whatever the Accept header says

    def begin(self, request: Request) -> None:
        """The first step of `initial`."""
        request.accepted_renderer, request.accepted_media_type = self.perform_content_negotiation(request)
        request.version, request.versioning_scheme = None, None
        if "Transfer-Encoding" in request.headers and "Content-Length" not in request.headers:
            # Django reads no body of unknown length: a lead would be made, an empty one.
            raise ParseError("The request must have a Content-Length.")

    def handle_exception(self, exc: Exception) -> Response:
        if may_be_tried_again(exc) and not self.may_be_repeated:
            # No 503, after which clients try again by themselves: it may have been the last of several transactions.
            log.info("api.collided", problem=str(exc).strip())
            exc = Conflict(_COLLIDED)
        return self.answer_problem(exc)

    def answer_problem(self, exc: Exception) -> Response:
        """The dialect's answer to what went wrong; raises it where there is none."""
        raise NotImplementedError

    @property
    def may_be_repeated(self) -> bool:
        """Whether nothing is done twice when the request comes again."""
        return not self.is_under_way or self.request.method == "GET" or self.is_repeatable
