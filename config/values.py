"""Reads values of the environment. A bad one raises ImproperlyConfigured with one sentence that names the variable.

No sentence repeats a whole address: there may be a password in it.
"""

import base64
import binascii
import re
from collections.abc import Iterable
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

env = environ.Env()


def whole_number(name: str, *, default: int, lowest: int, highest: int) -> int:
    text = env.str(name, default="").strip() or str(default)
    if not text.isascii() or not text.isdigit() or not lowest <= int(text) <= highest:
        raise ImproperlyConfigured(f"{name} must be a whole number from {lowest} to {highest}, not {text!r}.")
    return int(text)


def database(url: str) -> dict[str, object]:
    """Django's settings of the database behind a `postgres://` address."""
    scheme = _split("DATABASE_URL", url).scheme
    if scheme not in ("postgres", "postgresql"):
        raise ImproperlyConfigured(
            "DATABASE_URL must be an address such as postgres://user:password@host:5432/name, "
            f"not one that starts with {scheme + ':' if scheme else 'no scheme'}."
        )
    found = env.db_url_config(url)
    if not found["NAME"]:
        raise ImproperlyConfigured("DATABASE_URL must name a database: postgres://user:password@host:5432/name.")
    options = found.setdefault("OPTIONS", {})
    if "host" in options:  # `?host=/folder`, the socket form: where Django and its dbshell look for a host
        found["HOST"] = options.pop("host")
    return found


def redis_addresses(url: str) -> tuple[str, str]:
    """One Redis as redis-py and as Celery spell it: they agree on TCP, and differ on sockets."""
    parts = _split("REDIS_URL", url)
    if parts.scheme in ("redis", "rediss") and parts.hostname:
        return url, url
    if parts.scheme in ("unix", "redis+socket") and parts.path not in ("", "/"):
        query = parse_qs(parts.query)
        number = (query.get("db") or query.get("virtual_host") or ["0"])[0]
        return f"unix://{parts.path}?db={number}", f"redis+socket://{parts.path}?virtual_host={number}"
    raise ImproperlyConfigured(
        "REDIS_URL must be an address such as redis://host:6379/0, rediss://host:6379/0 or unix:///path/of/socket."
    )


def smtp_address(url: str) -> str:
    """The address as it is, or empty for the sink of the embedded stack."""
    if not url:
        return ""
    parts = _split("EMAIL_URL", url)
    if parts.scheme not in ("smtp", "smtp+tls", "smtp+ssl") or not parts.hostname:
        raise ImproperlyConfigured(
            "EMAIL_URL must be an address such as smtp://host:25, smtp+tls://user:password@host:587 or smtp+ssl://host:465."
        )
    return url


def mail_domain(name: str) -> str:
    """The domain as it is, in lower case, or empty. A host name of ASCII letters: others in A-labels."""
    if name and not re.fullmatch(r"(?=.{1,190}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}", name, re.I):
        raise ImproperlyConfigured(f"INBOUND_MAIL_DOMAIN must be a domain such as in.drover.example, not {name!r}.")
    return name.lower()


def public_address(url: str) -> str:
    """The base of mailed links, without a slash at its end."""
    parts = _split("PUBLIC_URL", url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ImproperlyConfigured(f"PUBLIC_URL must be an address such as https://drover.example, not {url!r}.")
    return url.rstrip("/")


def encryption_keys(keys: Iterable[str]) -> list[str]:
    """Each key is 32 bytes in URL-safe base 64; the first one encrypts, all of them decrypt."""
    found = list(keys)
    for place, key in enumerate(found, start=1):
        try:
            size = len(base64.b64decode(key, altchars=b"-_", validate=True))
        except (binascii.Error, ValueError):
            size = 0
        if size != 32:
            raise ImproperlyConfigured(f"ENCRYPTION_KEYS: key {place} is not 32 bytes in URL-safe base 64.")
    return found


def secret_key(key: str) -> str:
    if len(key) < 32:
        raise ImproperlyConfigured("SECRET_KEY must have 32 characters or more.")
    return key


def _split(name: str, url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port, unquote(parts.path)
    except ValueError as problem:
        raise ImproperlyConfigured(f"{name} is not an address: {problem}.") from None
    return parts
