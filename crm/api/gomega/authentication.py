"""The caller: a Bearer token, and the id of the one customer that it belongs to (gomega-api.md 1)."""

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from crm.auth import Caller, authenticate_secret
from crm.errors import Forbidden
from crm.ids import parse_uuid
from crm.models import Dialect, User

CUSTOMER_HEADER = "x-customer-id"


class GomegaAuthentication(BaseAuthentication):
    """Sets `request.user`, and the `Caller` as `request.auth`. A missing or unknown key or header: 401; the id of
    another customer: 403."""

    def authenticate(self, request: Request) -> tuple[User, Caller] | None:
        scheme, _, secret = request.headers.get("Authorization", "").strip().partition(" ")
        secret = secret.strip()
        known = scheme.lower() == "bearer" and secret and "\0" not in secret
        caller = authenticate_secret(secret, Dialect.GOMEGA) if known else None
        if caller is None:
            raise AuthenticationFailed("The API key is missing or not valid.")
        customer = parse_uuid(request.headers.get(CUSTOMER_HEADER, "").strip())
        if customer is None:
            raise AuthenticationFailed(f"The header {CUSTOMER_HEADER} is missing or no uuid.")
        if customer != caller.organization.pk:
            raise Forbidden("This API key belongs to another customer.")
        return caller.user, caller

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="api"'
