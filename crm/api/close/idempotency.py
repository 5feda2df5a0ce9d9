"""`Idempotency-Key` on the POSTs of the Close dialect."""

from collections.abc import Callable
from urllib.parse import quote

from rest_framework.response import Response

from crm import idempotency
from crm.api.close.requests import CloseRequest
from crm.idempotency import HEADER, Attempt, digests_of, read_key


def key_of(request: CloseRequest) -> str | None:
    """The key that came with the request. Raises `Invalid` for one that cannot be kept."""
    return read_key(request.headers.get(HEADER))


def answer_once(request: CloseRequest, key: str, run: Callable[[], Response]) -> Response:
    """What `run` answers, or the stored answer of the first time: `crm.idempotency.answer_once`, for the API key."""
    caller = request.caller
    owner = caller.api_key.pk if caller.api_key else caller.user.pk
    said = digests_of([request.data, sorted(request.query_params.lists())])
    attempt = Attempt(caller.organization.pk, owner, quote(request.path_info), key, said)
    return idempotency.answer_once(attempt, run)
