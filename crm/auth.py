"""Who is calling: API keys and what they allow."""

import hashlib
import secrets
import string
from collections.abc import Iterable
from dataclasses import dataclass

from django.db import connection
from django.utils import timezone

from crm.errors import Invalid
from crm.models import ApiKey, Dialect, Membership, Organization, User

# What a key of each dialect can be limited to. The other dialects know no scopes: their keys do what the member may do.
SCOPES: dict[str, tuple[str, ...]] = {
    Dialect.CLOSE: (),
    Dialect.BLUEAI: (),
    Dialect.GOMEGA: ("public_api:leads:read", "public_api:leads:write", "public_api:webhooks:manage"),
}
_PREFIX: dict[str, str] = {Dialect.CLOSE: "api_", Dialect.BLUEAI: "sk_live_", Dialect.GOMEGA: "mega_"}
_HINT_CHARACTERS = 4  # shown of the secret, after its prefix
_ALPHANUMERIC = string.ascii_letters + string.digits

# A row that another request is just now touching is left alone: nobody waits for a date.
_TOUCH = """
UPDATE crm_apikey SET date_last_used = now() WHERE id = (
    SELECT id FROM crm_apikey
    WHERE id = %s AND (date_last_used IS NULL OR date_last_used < now() - interval '1 minute')
    FOR NO KEY UPDATE SKIP LOCKED)
"""
_SECONDS_BETWEEN_TOUCHES = 60


@dataclass(frozen=True)
class Caller:
    """A member of an organization, speaking through one key, or through a session of a browser."""

    organization: Organization
    user: User
    membership: Membership
    api_key: ApiKey | None  # None: a person who signed in

    def may(self, permission: str) -> bool:
        """Whether the member has that `Permission`."""
        return permission in self.membership.permissions

    def has_scope(self, scope: str) -> bool:
        """Whether the key reaches that far (dialects with scopes)."""
        return self.api_key is not None and scope in self.api_key.scopes


def make_api_key(
    *, membership: Membership, dialect: str = Dialect.CLOSE, label: str = "", scopes: Iterable[str] = ()
) -> tuple[ApiKey, str]:
    """A new key and its secret, which is not kept and cannot be shown again. Without `scopes`: all of the dialect.

    Raises `Invalid` for a scope that the dialect does not have.
    """
    wanted = list(dict.fromkeys(scopes))
    unknown = [scope for scope in wanted if scope not in SCOPES[dialect]]
    if unknown:
        known = ", ".join(SCOPES[dialect]) or "none"
        raise Invalid([f"Unknown scopes for the dialect {dialect}: {', '.join(unknown)}. Known: {known}."])
    secret = _new_secret(dialect)
    key = ApiKey.objects.create(
        membership=membership,
        dialect=dialect,
        label=label,
        secret_sha256=digest(secret),
        hint=secret[: len(_PREFIX[dialect]) + _HINT_CHARACTERS],
        scopes=wanted or list(SCOPES[dialect]),
    )
    return key, secret


def authenticate_secret(secret: str, dialect: str) -> Caller | None:
    """The caller that `secret` stands for in that dialect, or None: unknown, revoked, or the member is gone.

    Notes the use of the key, at most once a minute.
    """
    key = (
        ApiKey.objects.select_related("membership__organization", "membership__user")
        .filter(
            secret_sha256=digest(secret),
            dialect=dialect,
            date_revoked__isnull=True,
            membership__is_active=True,
            membership__user__is_active=True,
        )
        .first()
    )
    if key is None:
        return None
    _note_use(key)
    return Caller(key.membership.organization, key.membership.user, key.membership, key)


def _note_use(key: ApiKey) -> None:
    if key.date_last_used and (timezone.now() - key.date_last_used).total_seconds() < _SECONDS_BETWEEN_TOUCHES:
        return
    with connection.cursor() as cursor:
        cursor.execute(_TOUCH, [key.pk])


def _new_secret(dialect: str) -> str:
    if dialect == Dialect.GOMEGA:
        return _PREFIX[dialect] + secrets.token_hex(32)
    if dialect == Dialect.BLUEAI:
        return _PREFIX[dialect] + _alphanumeric(40)
    return f"{_PREFIX[dialect]}{_alphanumeric(22)}.{_alphanumeric(22)}"


def _alphanumeric(length: int) -> str:
    return "".join(secrets.choice(_ALPHANUMERIC) for _ in range(length))


def digest(secret: str) -> str:
    """What is stored of a secret that only has to be known again."""
    # Whatever bytes a client sends are hashed: "surrogatepass" because a header may decode to anything.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
