"""The caller: an API key by HTTP Basic (as user name, empty password) or as a Bearer token (close-api.md 1.2)."""

import base64
import binascii

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from crm.auth import Caller, authenticate_secret
from crm.models import Dialect, User

REFUSAL = "The server could not verify that you are allowed to access this address."


def _secret(header: str) -> str | None:
    """The key that an Authorization header holds, or None where it holds none that we can read."""
    scheme, _, credentials = header.strip().partition(" ")
    credentials = credentials.strip()
    if scheme.lower() == "bearer":
        return credentials
    if scheme.lower() != "basic":
        return None
    try:
        user_name, _, password = base64.b64decode(credentials, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return None if password else user_name


class CloseAuthentication(BaseAuthentication):
    """Sets `request.user`, and the `Caller` as `request.auth`. No key, or an unknown one: 401."""

    def authenticate(self, request: Request) -> tuple[User, Caller] | None:
        header = request.headers.get("Authorization", "")
        secret = _secret(header)
        caller = authenticate_secret(secret, Dialect.CLOSE) if secret and "\0" not in secret else None
        if caller is None:
            raise AuthenticationFailed(REFUSAL)
        return caller.user, caller

    def authenticate_header(self, request: Request) -> str:
        return 'Basic realm="api", charset="UTF-8"'
