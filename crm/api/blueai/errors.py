"""Error bodies of the BlueAI dialect (blueai-api.md 1, "Errors"): the union of the two shapes that are published."""

from collections.abc import Iterator, Mapping

import structlog
from django.core.exceptions import PermissionDenied
from django.db import DataError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response

from crm.api.blueai.limits import LIMIT_HEADER, REMAINING_HEADER, untouched
from crm.errors import Conflict, FieldErrors, Forbidden, Invalid, NotFound

log = structlog.get_logger(__name__)

# Status: `type` and `code`.
_WORDS = {
    400: ("invalid_request_error", "VALIDATION_ERROR"),
    401: ("authentication_error", "UNAUTHORIZED"),
    403: ("permission_error", "FORBIDDEN"),
    404: ("not_found_error", "NOT_FOUND"),
    409: ("conflict_error", "CONFLICT"),
    422: ("invalid_request_error", "VALIDATION_ERROR"),
    429: ("rate_limit_error", "RATE_LIMITED"),
    500: ("api_error", "INTERNAL_ERROR"),
}


class Unprocessable(FieldErrors):
    """Well-formed, but it speaks of something that is not there: a 422."""


def error_body(
    request: HttpRequest, status: int, message: str, fields: Mapping[str, object] | None = None
) -> dict[str, object]:
    """`fields`: what is wrong, by the key that is to blame."""
    kind, code = _WORDS.get(status) or _WORDS[500 if status >= 500 else 400]
    details = {key: list(messages) for key, messages in _flat(fields or {})}
    return {
        "error": {
            "type": kind,
            "code": code,
            "message": message,
            "param": next(iter(details), None),
            "details": details,
            "request_id": getattr(request, "request_id", None),
        }
    }


def plain_error(request: HttpRequest, message: str, status: int) -> JsonResponse:
    """What is told outside of any view."""
    limit = untouched(request.path_info)
    headers = {LIMIT_HEADER: str(limit.limit), REMAINING_HEADER: str(limit.remaining)}
    return JsonResponse(error_body(request, status, message), status=status, headers=headers)


def answer_to(problem: Exception, request: HttpRequest, *, may_be_repeated: bool) -> Response | None:
    """The answer that tells the caller of `problem`; None for a bug of ours, or where a repeat might do it twice."""

    def told(status: int, message: str, fields: Mapping[str, object] | None = None) -> Response:
        return Response(error_body(request, status, message, fields), status=status)

    match problem:
        case Invalid():
            status = 422 if isinstance(problem, Unprocessable) else 400
            return told(status, _message_of(problem), problem.field_errors)
        case NotFound() | Http404():
            return told(404, "There is no such object.")
        case Forbidden() | PermissionDenied():
            return told(403, str(problem) or "You do not have permission to do this.")
        case Conflict():
            return told(409, str(problem) or "The request collides with another one.")
        case DataError():
            # Odd input that passed every check of ours, such as a number that no column holds: the caller's, not a bug.
            log.warning("api.unstorable_value", exc_info=problem)
            return told(400, "A value is out of the range that can be stored.")
        case OperationalError() | InterfaceError() if may_be_repeated:
            log.warning("api.database_away", problem=str(problem).strip())
            response = told(503, "The database does not answer at the moment. Try again.")
            response["Retry-After"] = "2"
            return response
        case exceptions.Throttled():
            return told(429, "Too many requests. Try again later.")
        case exceptions.AuthenticationFailed() | exceptions.NotAuthenticated():
            return told(401, str(problem.detail))
        case exceptions.APIException():
            return told(problem.status_code, str(problem.detail))
    return None


def _message_of(problem: Invalid) -> str:
    if problem.errors:
        return " ".join(problem.errors)
    path, messages = next(_flat(problem.field_errors))
    return f"{path}: {messages[0]}"


def _flat(fields: Mapping[str, object], path: str = "") -> Iterator[tuple[str, list[str]]]:
    """`stages.0.slug` and what is wrong there, for each message in the nested `fields`."""
    for key, value in fields.items():
        at = f"{path}.{key}" if path else str(key)
        if isinstance(value, Mapping):
            yield from _flat(value, at)
        else:
            yield at, [str(message) for message in value] if isinstance(value, list) else [str(value)]
