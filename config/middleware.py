"""What every request gets, whatever its dialect."""

import re
from collections.abc import Callable
from uuid import uuid4

import structlog
from django.http import HttpRequest, HttpResponse

from crm.ids import base62

Handler = Callable[[HttpRequest], HttpResponse]


class RequestId:
    """Gives each request an id that stands in the answer (`X-Request-Id`) and in every log line written for it."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request_id = f"req_{base62(uuid4())}"
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        request.request_id = request_id  # type: ignore[attr-defined]
        response = self._handler(request)
        response["X-Request-Id"] = request_id
        return response


class TidyPath:
    """Serves `/api/v1//lead` as `/api/v1/lead/`: clients join paths carelessly, and a redirect loses a POST's body."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info.startswith(("/api/", "//")):
            request.path_info = re.sub(r"/{2,}", "/", request.path_info)
            if request.path_info.startswith("/api/") and not request.path_info.endswith("/"):
                request.path_info += "/"
        return self._handler(request)
