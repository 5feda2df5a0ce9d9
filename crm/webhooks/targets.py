"""Where events may be posted to: public HTTPS addresses (gomega-api.md 9)."""

from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from django.conf import settings

from crm.errors import FieldErrors, Invalid
from crm.mail.hosts import clean_host, refuse_private

LONGEST_URL = 2048  # characters
_HTTPS_PORT = 443
_KEPT_IN_PATHS = "/%:@!$&'()*+,;=~?"  # RFC 3986 3.3 and 3.4, and what is quoted already


@dataclass(frozen=True)
class Target:
    """An address taken apart. `host` is a name or an IP address without brackets; `path` holds the parameters too."""

    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The `Host` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _HTTPS_PORT else f"{host}:{self.port}"


def target_of(url: str) -> Target:
    """The parts of an HTTPS address. Raises `Invalid` for any other, and for one that holds a password."""
    if any(character.isspace() or not character.isprintable() for character in url):
        raise Invalid(["A URL has no blanks in it."])
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Invalid(["Not a valid URL."]) from None
    if parts.scheme.lower() != "https" or not parts.hostname:
        raise Invalid(["The URL must begin with https:// and a host."])
    if "@" in parts.netloc:
        raise Invalid(["The URL must not hold a user name or a password."])
    if port == 0:
        raise Invalid(["Not a valid port."])
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(clean_host(parts.hostname), port or _HTTPS_PORT, quote(path, safe=_KEPT_IN_PATHS))


def check_url(url: str) -> None:
    """`FieldErrors("url")` unless events may be posted there. A host that does not resolve now is let pass: it is
    resolved and checked again whenever something is sent."""
    if len(url) > LONGEST_URL:
        raise FieldErrors({"url": f"A URL has at most {LONGEST_URL} characters."})
    try:
        refuse_private(target_of(url).host, allow_private=settings.ALLOW_PRIVATE_WEBHOOK_HOSTS)
    except Invalid as problem:
        raise FieldErrors({"url": problem.errors[0]}) from None
