"""Error bodies of the Close dialect (close-api.md 1.3 and 1.4): `errors` and `field-errors` for a 400, else `error`."""

import structlog
from django.core.exceptions import PermissionDenied
from django.db import DataError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, JsonResponse
from rest_framework import exceptions, status
from rest_framework.response import Response

from crm.api.close.throttles import RATE_HEADER, untouched_rate
from crm.errors import Conflict, Forbidden, Invalid, NotFound

log = structlog.get_logger(__name__)

NOT_FOUND = "The requested object does not exist."
FORBIDDEN = "You do not have permission to do this."
DATABASE_AWAY = "The database does not answer at the moment. Try again."
UNSTORABLE = "A value is out of the range that can be stored."


def _validation(errors: list[str], field_errors: dict[str, object]) -> Response:
    return Response({"errors": errors, "field-errors": field_errors}, status=status.HTTP_400_BAD_REQUEST)


def _plain(message: str, code: int) -> Response:
    return Response({"error": message}, status=code)


def answer_to(problem: Exception, *, may_be_repeated: bool) -> Response | None:
    """The answer that tells the caller of `problem`; None for a bug of ours, or where a repeat might do it twice."""
    match problem:
        case Invalid():
            return _validation(problem.errors, problem.field_errors)
        case NotFound() | Http404():
            return _plain(NOT_FOUND, status.HTTP_404_NOT_FOUND)
        case Forbidden() | PermissionDenied():
            return _plain(str(problem) or FORBIDDEN, status.HTTP_403_FORBIDDEN)
        case Conflict():
            return _plain(str(problem) or "The request collides with another one.", status.HTTP_409_CONFLICT)
        case DataError():
            # Odd input that passed every check of ours, such as a number that no column holds: the caller's, not a bug.
            log.warning("api.unstorable_value", exc_info=problem)
            return _validation([UNSTORABLE], {})
        case OperationalError() | InterfaceError() if may_be_repeated:
            # The official client tries again after a 503, whatever the method: what was carried out would be doubled.
            log.warning("api.database_away", problem=str(problem).strip())
            response = _plain(DATABASE_AWAY, status.HTTP_503_SERVICE_UNAVAILABLE)
            response["Retry-After"] = "2"
            return response
        case exceptions.ParseError():
            # A body that is no JSON: clients look for this in either of the two shapes (close-api.md 1.4).
            response = _validation([str(problem.detail)], {})
            response.data["error"] = str(problem.detail)
            return response
        case exceptions.APIException():
            response = _plain(str(problem.detail), problem.status_code)
            if header := getattr(problem, "auth_header", None):
                response["WWW-Authenticate"] = header
            return response
    return None


def plain_error(request: HttpRequest, message: str, code: int) -> JsonResponse:
    """What is told outside of any view."""
    return JsonResponse({"error": message}, status=code, headers={RATE_HEADER: str(untouched_rate())})
