"""What is refused outside of any view, in the shape of the dialect whose address was asked for; a page elsewhere."""

from collections.abc import Callable, Mapping

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views import defaults

from crm.api.blueai.errors import plain_error as blueai_error
from crm.api.close.errors import plain_error as close_error
from crm.api.gomega.errors import plain_error as gomega_error

# By the beginning of the address; the first that fits.
DIALECTS: Mapping[str, Callable[[HttpRequest, str, int], JsonResponse]] = {
    "/api/v1/crm/": blueai_error,
    "/api/v1/auth/": blueai_error,
    "/api/v1/api-keys/": blueai_error,
    "/api/agents/crm/": gomega_error,
    "/api/": close_error,
}


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """`handler400`: what Django itself refuses, such as a Host header that is no host."""
    return _told(request, "The request cannot be understood.", 400) or defaults.bad_request(request, exception)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """`handler404`"""
    return _told(request, "There is nothing at this address.", 404) or defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """`handler500`"""
    problem = "Something went wrong on our side. It has been logged."
    return _told(request, problem, 500) or defaults.server_error(request)


def _told(request: HttpRequest, message: str, status: int) -> HttpResponse | None:
    for beginning, error in DIALECTS.items():
        if request.path_info.startswith(beginning):
            return error(request, message, status)
    return None
