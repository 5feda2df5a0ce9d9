"""`Idempotency-Key`: a POST that creates, sent again, is answered again and not carried out again."""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote
from uuid import UUID

from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.utils.crypto import salted_hmac
from psycopg.errors import LockNotAvailable
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response

from crm.api.close.requests import CloseRequest
from crm.errors import Conflict, Invalid
from crm.ids import close_id
from crm.models import IdempotentAnswer

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
PATTERN = r"^[ -~]{1,255}$"  # printable ASCII
DAYS = 7

_DIFFERS = f"This {HEADER} came before with another body or other parameters."
_UNDER_WAY = f"A request with this {HEADER} is still under way. Try again."


@dataclass(frozen=True)
class Attempt:
    """One POST under its key. `request_sha256` stands for all that it says, `_fields` included."""

    organization_id: UUID
    owner: UUID
    path: str
    key: str
    request_sha256: str


def key_of(request: CloseRequest) -> str | None:
    """The key that came with the request. Raises `Invalid` for one that cannot be kept."""
    key = request.headers.get(HEADER)
    if key is not None and not re.fullmatch(PATTERN, key):
        raise Invalid([f"{HEADER} must have 1 to 255 printable ASCII characters."])
    return key


def answer_once(request: CloseRequest, key: str, run: Callable[[], Response]) -> Response:
    """What `run` answers, or the stored answer of the first time. Only answers of success are kept.

    The answer commits with what it tells of, so a process that dies before leaves neither. Of two at once the second
    waits for the first. Raises `Conflict` when it waits too long, or when the same key came with something else.
    """
    caller = request.caller
    owner = caller.api_key.pk if caller.api_key else caller.user.pk
    digest, *former = _digests_of(request)
    attempt = Attempt(caller.organization.pk, owner, quote(request.path_info), key, digest)
    with transaction.atomic():
        _take_turn(attempt)
        known = IdempotentAnswer.objects.filter(owner=owner, path=attempt.path, key=key).first()
        if known is None:
            response = run()
            if response.status_code < 300:
                _keep(attempt, response)
            return response
    if known.request_sha256 not in (digest, *former):
        raise Conflict(_DIFFERS)
    response = Response(json.loads(known.body) if known.body else None, status=known.status, headers=known.headers)
    response[REPLAYED] = "true"
    return response


def _take_turn(attempt: Attempt) -> None:
    """Wait until nobody else is at this key; ours until the transaction ends."""
    digest = hashlib.sha256(json.dumps([str(attempt.owner), attempt.path, attempt.key]).encode()).digest()
    # Two numbers: a space apart from the locks of jobs, which have one. Should two keys share them, they take turns.
    numbers = [int.from_bytes(digest[at : at + 4], signed=True) for at in (0, 4)]
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('lock_timeout', %s, true)", [f"{settings.IDEMPOTENCY_WAIT_SECONDS * 1000:.0f}ms"]
            )
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", numbers)
            cursor.execute("SET LOCAL lock_timeout TO DEFAULT")  # what is protected may wait as long as it always does
    except OperationalError as problem:
        if isinstance(problem.__cause__, LockNotAvailable):
            raise Conflict(_UNDER_WAY) from problem
        raise


def _keep(attempt: Attempt, response: Response) -> None:
    IdempotentAnswer.objects.create(
        **vars(attempt),
        status=response.status_code,
        headers={name: value for name, value in response.items() if name != "Content-Type"},
        body=JSONRenderer().render(response.data).decode(),
    )


def _digests_of(request: CloseRequest) -> list[str]:
    """By the `SECRET_KEY` and by each former one; equal for requests that say the same, in whatever order and spacing.

    Keyed, since a body may hold a password, and a plain digest would let whoever reads it try passwords out.
    """
    said = [request.data, sorted(request.query_params.lists())]
    text = json.dumps(said, sort_keys=True, separators=(",", ":"))
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return [salted_hmac(__name__, text, secret=key, algorithm="sha256").hexdigest() for key in keys]


_FORGET = """
DELETE FROM crm_idempotentanswer WHERE id IN (
    SELECT id FROM crm_idempotentanswer WHERE date_created < now() - make_interval(days => %s)
    ORDER BY date_created LIMIT %s FOR UPDATE SKIP LOCKED)
"""


def forget_old_answers(*, limit: int) -> int:
    """Delete up to `limit` answers that are too old to be given again; returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(_FORGET, [DAYS, limit])
        return cursor.rowcount


def forget_answers_with(organization_id: UUID, lead_id: UUID) -> int:
    """Delete the answers that name the lead; returns how many. One without its id (`_fields`) goes by its age."""
    answers = IdempotentAnswer.objects.filter(organization=organization_id, body__contains=close_id("lead", lead_id))
    return answers.delete()[0]
