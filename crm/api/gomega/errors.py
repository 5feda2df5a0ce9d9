"""Error bodies of the gomega dialect: `{"error": {"type", "code", "message"}}` (gomega-api.md 2)."""

from collections.abc import Iterator, Mapping

import structlog
from django.db import DataError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response

from crm.api.gomega.rates import headers_of, untouched
from crm.errors import Conflict, Forbidden, Invalid, NotFound

log = structlog.get_logger(__name__)

_TYPES = {
    401: "authentication_error",
    403: "authorization_error",
    404: "not_found_error",
    409: "api_error",
    429: "rate_limit_error",
}
_UNSTORABLE = "A value is out of the range that can be stored."
_DATABASE_AWAY = "The database does not answer at the moment. Try again."


def error_body(message: str, code: int) -> dict[str, object]:
    kind = _TYPES.get(code, "api_error" if code >= 500 else "invalid_request_error")
    return {"error": {"type": kind, "code": code, "message": message}}


def answer_to(problem: Exception, *, may_be_repeated: bool) -> Response | None:
    """The answer that tells the caller of `problem`; None for a bug of ours, or where a repeat might do it twice."""
    match problem:
        case Invalid():
            return _answer("; ".join(messages_of(problem)), 400)
        case NotFound() | Http404():
            return _answer(str(problem) or "There is no such object.", 404)
        case Forbidden():
            return _answer(str(problem), 403)
        case Conflict():
            return _answer(str(problem), 409)
        case DataError():
            # Odd input that passed every check of ours, such as a number that no column holds: the caller's, not a bug.
            log.warning("api.unstorable_value", exc_info=problem)
            return _answer(_UNSTORABLE, 400)
        case OperationalError() | InterfaceError() if may_be_repeated:
            log.warning("api.database_away", problem=str(problem).strip())
            response = _answer(_DATABASE_AWAY, 503)
            response["Retry-After"] = "2"
            return response
        case exceptions.APIException():
            return _answer(str(problem.detail), problem.status_code)
    return None


def messages_of(problem: Invalid) -> list[str]:
    """All that is wrong, each with the place where it stands: `custom_fields.size: Value must be a number.`"""
    return [*problem.errors, *_placed(problem.field_errors, "")]


def plain_error(request: HttpRequest, message: str, code: int) -> JsonResponse:
    """What is told outside of any view."""
    return JsonResponse(error_body(message, code), status=code, headers=headers_of(untouched()))


def _placed(field_errors: Mapping[str, object], above: str) -> Iterator[str]:
    for key, told in field_errors.items():
        if isinstance(told, Mapping):
            yield from _placed(told, f"{above}{key}.")
        else:
            yield f"{above}{key}: {told}"


def _answer(message: str, code: int) -> Response:
    return Response(error_body(message, code), status=code)
