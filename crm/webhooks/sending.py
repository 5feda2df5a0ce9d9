"""One HTTPS POST to an address that a customer has named: to the address that was checked, and no further.

The IP address to connect to is taken apart from the name that the certificate must have. Python's `http.client` follows
no redirect, reads no proxy from the environment and tries nothing twice.
"""

import hashlib
import hmac
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from time import monotonic

from django.conf import settings

from crm.errors import Invalid
from crm.mail.hosts import HostRefused, address_of
from crm.webhooks.targets import Target, target_of

_TEXT_LENGTH = 300  # of what is kept about a failure


class Blocked(Exception):
    """The address leads where nobody may send us: nothing was sent, and trying again is of no use."""


class Unanswered(Exception):
    """No answer came: not reached, no valid certificate, or the time was over. It may have arrived all the same."""


class Unsigned(Exception):
    """There is no secret to sign with: nothing was sent."""


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """`sha256=…`: HMAC-SHA256 of the timestamp, a dot and the body (gomega-api.md 9). `Unsigned` without a secret,
    since everybody could sign with that."""
    if not secret:
        raise Unsigned("The webhook has no secret to sign with.")
    return "sha256=" + hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


def post(url: str, body: bytes, headers: Mapping[str, str], *, timeout_seconds: float) -> int:
    """The status of the answer, whatever it is: a redirect is not followed, and the content of the answer not read.

    The name is resolved and checked now, and what was checked is connected to. Takes at most `timeout_seconds` and the
    time that the name takes. Raises `Blocked` or `Unanswered`.
    """
    try:
        target = target_of(url)
        address = address_of(target.host, allow_private=settings.ALLOW_PRIVATE_WEBHOOK_HOSTS)
    except (HostRefused, Invalid) as problem:
        raise Blocked(problem.errors[0]) from None
    except OSError as problem:
        raise Unanswered(_text(problem)) from None
    over = monotonic() + timeout_seconds
    http = HTTPConnection(target.host, target.port)
    try:
        http.sock = line = _connected(address, target, over)
        with _hung_up(line, over):
            http.request("POST", target.path, body=body, headers={"Host": target.authority, **headers})
            status = http.getresponse().status
    except (HTTPException, OSError, ValueError) as problem:
        if monotonic() < over:
            raise Unanswered(_text(problem)) from None
    finally:
        http.close()
    if monotonic() >= over:  # an answer that was cut off in its headers looks like one that ends there
        raise Unanswered(f"No answer within {timeout_seconds:g} s.")
    return status


def _connected(address: str, target: Target, over: float) -> ssl.SSLSocket:
    context = ssl.create_default_context()
    with socket.create_connection((address, target.port), _left(over)) as bare:
        # Unlike that of reading, which begins anew with every byte, the timeout of a handshake is for all of it.
        bare.settimeout(_left(over))
        return context.wrap_socket(bare, server_hostname=target.host.rstrip("."))


@contextmanager
def _hung_up(line: ssl.SSLSocket, over: float) -> Iterator[None]:
    """Hang up when the time is over, also where the server keeps saying a little."""

    def hang_up() -> None:
        with suppress(OSError):  # somebody has hung up already
            # Not its own `shutdown`: before it hangs up, that would let the other thread write and read without TLS.
            socket.socket.shutdown(line, socket.SHUT_RDWR)

    timer = threading.Timer(_left(over), hang_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _left(over: float) -> float:
    return max(0.001, over - monotonic())  # a timeout of 0 would mean not to wait at all


def _text(problem: Exception) -> str:
    text = "".join(character if character.isprintable() else " " for character in str(problem))
    return (text or type(problem).__name__)[:_TEXT_LENGTH]
