"""The caller: an API key as a Bearer token, or the cookie of a browser that signed in (blueai-api.md 1)."""

from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from crm.auth import Caller, authenticate_secret
from crm.errors import Forbidden
from crm.models import Dialect, User
from crm.sign_in import authenticate_session

COOKIE = "better-auth.session_token"
KEY_PREFIX = "sk_live_"
REFUSAL = "Send `Authorization: Bearer sk_live_…` with a valid key, or sign in."
_SAFE = ("GET", "HEAD", "OPTIONS")


def speaks_blueai(request: HttpRequest) -> bool:
    """Whether the credential is one of this dialect's. A header goes before a cookie."""
    header = request.headers.get("Authorization")
    return COOKIE in request.COOKIES if header is None else (_bearer(header) or "").startswith(KEY_PREFIX)


def refuse_strange_origin(request: HttpRequest) -> None:
    """Raises `Forbidden` for what another site makes a browser send. Whoever sends no Origin is no browser."""
    origin = request.headers.get("Origin")
    if origin is None or origin in settings.CSRF_TRUSTED_ORIGINS:
        return
    if _host_of(origin) != request.get_host():
        raise Forbidden("This origin may not use the session of a browser.")


def _host_of(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:  # such as `http://[`
        return None


def _bearer(header: str) -> str | None:
    scheme, _, credentials = header.strip().partition(" ")
    return credentials.strip() if scheme.lower() == "bearer" else None


class BlueAIAuthentication(BaseAuthentication):
    """Sets `request.user`, and the `Caller` as `request.auth`. No credential, or an unknown one: 401."""

    def authenticate(self, request: Request) -> tuple[User, Caller] | None:
        caller = self._caller(request)
        if caller is None:
            raise AuthenticationFailed(REFUSAL)
        return caller.user, caller

    def _caller(self, request: Request) -> Caller | None:
        header = request.headers.get("Authorization")
        if header is not None:
            secret = _bearer(header)
            return authenticate_secret(secret, Dialect.BLUEAI) if secret else None
        token = request.COOKIES.get(COOKIE)
        caller = authenticate_session(token) if token else None
        if caller is not None and request.method not in _SAFE:
            refuse_strange_origin(request._request)
        return caller

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="api"'
