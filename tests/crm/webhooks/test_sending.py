"""One POST over real TLS: to the address that was checked, in the name of the host, and no further."""

import hashlib
import hmac
import socket
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from pytest_django import Settings

from crm.errors import Invalid
from crm.webhooks.sending import Blocked, Unanswered, Unsigned, post, signature
from crm.webhooks.targets import check_url, target_of
from tests.https import HOST, Receiver, dribbling, receiving
from tests.smtp import nobody_listening


def send(url: str, seconds: float = 5) -> int:
    return post(url, b"{}", {"X-Mega-Delivery": "1"}, timeout_seconds=seconds)


def test_the_status_of_the_answer_is_given_and_the_address_is_pinned_under_the_name_of_the_host(
    receiver: Receiver,
) -> None:
    assert send(receiver.url) == 200
    came = receiver.received[0]
    assert (came.path, came.body, came.headers["X-Mega-Delivery"]) == ("/hooks?source=test", b"{}", "1")
    assert came.headers["Host"] == f"{HOST}:{receiver.port}"
    assert receiver.name == HOST  # the name of the handshake, though an address was connected to


def test_what_is_connected_to_is_what_was_checked(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads elsewhere at a second look (DNS rebinding): there is no second look."""
    looked_up: list[str] = []
    resolve = socket.getaddrinfo

    def noting(host: str, *arguments: object, **options: object) -> object:
        looked_up.append(host)
        return resolve(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", noting)
    send(receiver.url)
    assert looked_up[0] == HOST
    assert HOST not in looked_up[1:]


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.statuses, receiver.location = [307], receiver.url
    assert send(receiver.url) == 307
    assert len(receiver.received) == 1


def test_a_certificate_of_another_name_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.ALLOW_PRIVATE_WEBHOOK_HOSTS = True
    with receiving(tmp_path, name="elsewhere.example") as (receiver, authority):
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        with pytest.raises(Unanswered, match="ertificate"):
            send(receiver.url)
        assert receiver.received == []


def test_a_certificate_of_an_authority_that_nobody_knows_is_refused(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(Unanswered, match="certificate verify failed"):
        send(receiver.url)
    assert receiver.received == []


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "0x7f000001", "169.254.169.254", "10.0.0.8", "[::ffff:10.0.0.8]"]
)
def test_nothing_is_sent_to_an_address_that_is_not_public(host: str, receiver: Receiver, settings: Settings) -> None:
    settings.ALLOW_PRIVATE_WEBHOOK_HOSTS = False
    with pytest.raises((Blocked, Unanswered)) as problem:
        send(f"https://{host}:{receiver.port}/hooks")
    assert problem.type is Blocked or host.startswith("0x")  # what is no name for the resolver is not reached at all
    assert receiver.received == []


def test_a_server_that_says_a_little_now_and_then_does_not_stretch_the_time(receiver: Receiver) -> None:
    def dribble(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for _ in range(20):
            time.sleep(0.2)
            handler.wfile.write(b"X-Patience: please\r\n")

    receiver.answering = dribble
    began = time.monotonic()
    with pytest.raises(Unanswered, match="No answer within 1 s"):
        send(receiver.url, seconds=1)
    assert time.monotonic() - began < 2.5


@pytest.mark.parametrize("handshake_seconds", [0, 1.5, 30])
def test_a_server_that_is_slow_at_each_step_has_one_time_for_all_of_them(
    handshake_seconds: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.ALLOW_PRIVATE_WEBHOOK_HOSTS = True
    with dribbling(tmp_path, handshake_seconds=handshake_seconds) as (url, authority):
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        began = time.monotonic()
        with pytest.raises(Unanswered, match="No answer within 2 s"):
            send(url, seconds=2)
        assert time.monotonic() - began < 6  # a machine with much else to do included


def test_a_server_that_is_not_there_is_no_answer(settings: Settings) -> None:
    settings.ALLOW_PRIVATE_WEBHOOK_HOSTS = True
    with nobody_listening() as port, pytest.raises(Unanswered, match="refused"):
        send(f"https://localhost:{port}/")
    with pytest.raises(Unanswered):
        send("https://nowhere.invalid/")


def test_the_signature_is_what_the_receivers_compute() -> None:
    expected = hmac.new(b"mega_whsec_1", b'1893456000.{"a":1}', hashlib.sha256).hexdigest()
    assert signature("mega_whsec_1", 1893456000, b'{"a":1}') == f"sha256={expected}"
    with pytest.raises(Unsigned):
        signature("", 1893456000, b'{"a":1}')


@pytest.mark.parametrize(
    "url",
    [
        *("http://hooks.example/", "ftp://hooks.example/", "https://", "https:///x", "hooks.example", ""),
        *("https://user:password@hooks.example/", "https://hooks.example:0/", "https://hooks.example:99999/"),
        *("https://hooks.example/ x", "https://hooks.example/\nx", "https://hooks .example/", "https://[::1/"),
    ],
)
def test_what_is_no_https_address_is_refused(url: str) -> None:
    with pytest.raises(Invalid):
        target_of(url)


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("https://hooks.example", ("hooks.example", 443, "/", "hooks.example")),
        ("HTTPS://Hooks.Example:8443/a%20b?c=ü", ("hooks.example", 8443, "/a%20b?c=%C3%BC", "hooks.example:8443")),
        ("https://bücher.example/?q", ("xn--bcher-kva.example", 443, "/?q", "xn--bcher-kva.example")),
        ("https://[2606:4700::1111]/", ("2606:4700::1111", 443, "/", "[2606:4700::1111]")),
    ],
)
def test_an_address_is_taken_apart(url: str, parts: tuple[str, int, str, str]) -> None:
    target = target_of(url)
    assert (target.host, target.port, target.path, target.authority) == parts


def test_an_address_of_a_private_network_is_refused_when_it_is_given(settings: Settings) -> None:
    with pytest.raises(Invalid):
        check_url("https://localhost/")
    check_url("https://nowhere.invalid/")  # asked again when something is sent
    with pytest.raises(Invalid):
        check_url("https://hooks.example/" + "x" * 2048)
    settings.ALLOW_PRIVATE_WEBHOOK_HOSTS = True
    check_url("https://localhost/")
