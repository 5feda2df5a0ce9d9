"""One HTTPS POST to an address that a customer has named: to the address that was checked, and no further.

urllib3's own connection, without its pool: it takes the IP address to connect to apart from the name that the
certificate must have, and follows no redirect, reads no proxy from the environment, tries nothing twice.
"""

import hashlib
import hmac
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPException
from time import monotonic

from django.conf import settings
from urllib3.connection import HTTPSConnection
from urllib3.exceptions import HTTPError

from crm.errors import Invalid
from crm.mail.hosts import HostRefused, address_of
from crm.webhooks.targets import target_of

_TEXT_LENGTH = 300  # of what is kept about a failure


class Blocked(Exception):
    """The address leads where nobody may send us: nothing was sent, and trying again is of no use."""


class Unanswered(Exception):
    """No answer came: not reached, no valid certificate, or the time was over. It may have arrived all the same."""


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """`sha256=…`: HMAC-SHA256 of the timestamp, a dot and the body (gomega-api.md 9)."""
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
    line = HTTPSConnection(
        address,
        target.port,
        timeout=timeout_seconds,
        ssl_context=ssl.create_default_context(),
        server_hostname=target.host,
    )
    try:
        with _deadline(line, timeout_seconds):
            line.request(
                "POST", target.path, body=body, headers={"Host": target.authority, **headers}, preload_content=False
            )
            return line.getresponse().status
    except (HTTPError, HTTPException, OSError, ValueError) as problem:
        raise Unanswered(_text(problem)) from None
    finally:
        line.close()


@contextmanager
def _deadline(line: HTTPSConnection, seconds: float) -> Iterator[None]:
    """Hang up when the time is over, also where the server keeps saying a little: each word would begin it anew."""
    over = monotonic() + seconds
    too_late = Unanswered(f"No answer within {seconds:g} s.")

    def hang_up() -> None:
        with suppress(OSError, AttributeError):  # not connected yet, or not any more
            line.sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, hang_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (HTTPError, HTTPException, OSError) as problem:
        if monotonic() < over:
            raise
        raise too_late from problem
    finally:
        timer.cancel()
    if monotonic() >= over:  # an answer that was cut off in its headers looks like one that ends there
        raise too_late


def _text(problem: Exception) -> str:
    text = "".join(character if character.isprintable() else " " for character in str(problem))
    return (text or type(problem).__name__)[:_TEXT_LENGTH]
