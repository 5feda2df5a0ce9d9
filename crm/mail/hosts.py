"""Which hosts we connect to for members, mail servers and webhooks: they must not lead into our own network."""

import ipaddress
import re
import socket
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TookTooLong
from threading import Thread

from crm.errors import Invalid

RESOLVE_SECONDS = 5
_MAX_LENGTH = 253  # RFC 1035 2.3.4, as text
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_PRIVATE = "Hosts on private, loopback or link-local addresses are not allowed."


class HostRefused(Invalid):
    """The host leads where nobody may send us."""


def clean_host(text: str) -> str:
    """A host name or an IP address, in lower case and A-labels. `Invalid` where it is neither."""
    host = text.strip().lower().removeprefix("[").removesuffix("]")
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        host = host.encode("idna").decode("ascii")
    except UnicodeError:
        raise Invalid(["Not a valid host name."]) from None
    if len(host) > _MAX_LENGTH or not _HOST.fullmatch(host):
        raise Invalid(["Not a valid host name."])
    return host


def refuse_private(host: str, *, allow_private: bool) -> None:
    """`HostRefused` where `host` leads to a private address now. One that does not resolve now is let pass: whoever
    connects asks again."""
    try:
        address_of(host, allow_private=allow_private)
    except OSError:
        return


def address_of(host: str, *, allow_private: bool) -> str:
    """The IP address to connect to: resolved and checked, so that what was checked is what is connected to.

    `HostRefused` where any of its addresses is not public, unless `allow_private`; OSError where it does not resolve
    within RESOLVE_SECONDS. Not the first public one of several: a name that answers with both is an attack.
    """
    try:
        found = _asked_for(host).result(RESOLVE_SECONDS)
    except TookTooLong:
        raise OSError("the name of the host could not be resolved in time") from None
    except UnicodeError:
        raise OSError("not a host name") from None
    addresses = [entry[4][0] for entry in found]
    if not allow_private and not all(map(is_public, addresses)):
        raise HostRefused([_PRIVATE])
    return addresses[0]


def _asked_for(host: str) -> "Future[list[tuple]]":
    """A look-up in a thread of its own. Nobody can end one: where the name server does not answer, it goes on for half
    a minute, though its caller has given up. A pool would fill with those, and the names of others would wait.
    """
    answer: Future[list[tuple]] = Future()

    def look_up() -> None:
        try:
            answer.set_result(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
        except Exception as problem:
            answer.set_exception(problem)

    Thread(target=look_up, name="resolve", daemon=True).start()
    return answer


def is_public(text: str) -> bool:
    """Whether this IP address is one of the whole internet. Not where it wraps another (6to4, Teredo, NAT64), and not
    of fec0::/10, which networks may still use among themselves (RFC 3879)."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            address = address.ipv4_mapped
        elif address.sixtofour or address.teredo or address in _NAT64 or address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


_NAT64 = ipaddress.ip_network("64:ff9b::/96")
