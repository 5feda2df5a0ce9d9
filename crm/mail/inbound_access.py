"""Who may hand in mail for an account: whoever has its inbound token. Only the token's SHA-256 is stored."""

import hashlib
import hmac
import secrets

from crm.ids import close_id, parse_close_id
from crm.models import EmailAccount

_PREFIX = "inbox"


def make_token(account: EmailAccount) -> str:
    """A new token, which is not kept and cannot be shown again. The one before it ends."""
    secret = secrets.token_urlsafe(24)
    account.inbound_token = _digest(secret)
    account.save(update_fields=["inbound_token"])
    return f"{close_id(_PREFIX, account.pk)}.{secret}"


def account_of(token: str) -> EmailAccount | None:
    """The account whose token this is, or None."""
    name, _, secret = token.partition(".")
    account = EmailAccount.objects.filter(pk=parse_close_id(_PREFIX, name)).first()
    if account is None or not hmac.compare_digest(account.inbound_token, _digest(secret)):
        return None
    return account


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
