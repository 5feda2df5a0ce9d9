"""`Idempotency-Key`: a POST that creates, sent again, is answered again and not carried out again.

The core that all dialects share: each says whose key it is, and what its request says.
"""

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.db.models import Q
from django.utils.crypto import salted_hmac
from psycopg.errors import LockNotAvailable
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response

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
    """One POST under its key. `owner` is whose keys they are: an API key, a user, or a whole organization.

    `path` is percent-encoded; `digests` stand for all that the request says (`digests_of`).
    """

    organization_id: UUID
    owner: UUID
    path: str
    key: str
    digests: Sequence[str]


def read_key(header: str | None) -> str | None:
    """The key that came with a request. Raises `Invalid` for one that cannot be kept."""
    if header is not None and not re.fullmatch(PATTERN, header):
        raise Invalid([f"{HEADER} must have 1 to 255 printable ASCII characters."])
    return header


def digests_of(said: object) -> list[str]:
    """By the `SECRET_KEY` and by each former one; equal for what says the same, in whatever order and spacing.

    `said` is made of what JSON is made of.

    Keyed, since a body may hold a password, and a plain digest would let whoever reads it try passwords out.
    """
    text = json.dumps(said, sort_keys=True, separators=(",", ":"))
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return [salted_hmac(__name__, text, secret=key, algorithm="sha256").hexdigest() for key in keys]


def answer_once(attempt: Attempt, run: Callable[[], Response]) -> Response:
    """What `run` answers, or the stored answer of the first time. Only answers of success are kept.

    The answer commits with what it tells of, so a process that dies before leaves neither. Of two at once the second
    waits for the first. Raises `Conflict` when it waits too long, or when the same key came with something else.
    """
    with transaction.atomic():
        _take_turn(attempt)
        known = IdempotentAnswer.objects.filter(owner=attempt.owner, path=attempt.path, key=attempt.key).first()
        if known is None:
            response = run()
            if response.status_code < 300:
                _keep(attempt, response)
            return response
    if known.request_sha256 not in attempt.digests:
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
        organization_id=attempt.organization_id,
        owner=attempt.owner,
        path=attempt.path,
        key=attempt.key,
        request_sha256=attempt.digests[0],
        status=response.status_code,
        headers={name: value for name, value in response.items() if name != "Content-Type"},
        body=JSONRenderer().render(response.data).decode(),
    )


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
    """Delete the answers that name the lead, in any dialect; returns how many. One without its id (such as by Close's
    `_fields`) goes by its age."""
    named = Q()
    for spelling in (close_id("lead", lead_id), lead_id.hex, str(lead_id)):
        named |= Q(body__contains=spelling)
    return IdempotentAnswer.objects.filter(named, organization=organization_id).delete()[0]
