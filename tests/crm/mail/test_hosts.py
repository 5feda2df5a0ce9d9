"""What a member names as a mail server must not lead into our own network."""

import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from crm.errors import Invalid
from crm.mail import hosts
from crm.mail.hosts import HostRefused, address_of, clean_host, is_public


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1"),
        *("224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1%eth0", "fd00::1", "::ffff:127.0.0.1"),
        *("64:ff9b::7f00:1", "2002:7f00:1::", "ff02::1", "fec0::1"),
    ],
)
def test_an_address_of_our_own_network_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111"])
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "0x7f000001", "2130706433", "127.1"])
def test_every_spelling_of_a_private_host_is_refused(host: str) -> None:
    with pytest.raises((HostRefused, OSError)):
        address_of(host, allow_private=False)
    assert clean_host(host) == host


def test_a_private_host_may_be_allowed() -> None:
    assert address_of("127.0.0.1", allow_private=True) == "127.0.0.1"


def test_names_that_take_long_hold_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the name servers of some members do not answer; forty times, more than deliveries are in hand at once."""
    all_asked, answered = threading.Barrier(41), threading.Event()
    resolve = socket.getaddrinfo

    def slow(host: str, *arguments: object, **options: object) -> object:
        if host == "slow.example":
            all_asked.wait(3)
            answered.wait(20)
        return resolve("127.0.0.1" if host == "slow.example" else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    with ThreadPoolExecutor(40) as asking:
        waiting = [asking.submit(address_of, "slow.example", allow_private=True) for _ in range(40)]
        try:
            all_asked.wait(3)
            assert address_of("localhost", allow_private=True) in ("127.0.0.1", "::1")
        finally:
            answered.set()
        assert {asked.result() for asked in waiting} == {"127.0.0.1"}


def test_a_name_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(hosts, "RESOLVE_SECONDS", 0.1)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: over.wait(20))
    try:
        with pytest.raises(OSError, match="in time"):
            address_of("slow.example", allow_private=True)
    finally:
        over.set()


@pytest.mark.parametrize(
    "text", ["", "a b", "a\r\nb", "a\x00b", "-a.example", "a..b", "x" * 64 + ".example", "a/b", "a:25"]
)
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        clean_host(text)


@pytest.mark.parametrize(
    ("text", "host"),
    [(" Mail.OakVale.Example ", "mail.oakvale.example"), ("bücher.example", "xn--bcher-kva.example"), ("[::1]", "::1")],
)
def test_a_host_has_one_form(text: str, host: str) -> None:
    assert clean_host(text) == host
