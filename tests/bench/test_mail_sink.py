"""The mail server of the benchmark counts each message that it has answered, and no other."""

import smtplib
import socket
from collections.abc import Iterator

import pytest

from bench.mail_sink import Sink, mail_sink

LARGE = b"Subject: large\r\n\r\n" + b"x" * 70 + b"\r\n" * 200_000


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    with mail_sink() as sink:
        yield sink


def test_messages_over_one_connection_and_over_several(sink: Sink) -> None:
    before = sink.n_taken
    for n_messages in (1, 3):
        with smtplib.SMTP("127.0.0.1", sink.port, timeout=10) as smtp:
            for _ in range(n_messages):
                assert smtp.sendmail("jo@oakvale.example", ["ida@oakvale.example"], "Subject: hello\r\n\r\n.\r\n") == {}
    assert sink.n_taken - before == 4


def test_a_message_in_many_pieces_is_one(sink: Sink) -> None:
    before = sink.n_taken
    with smtplib.SMTP("127.0.0.1", sink.port, timeout=10) as smtp:
        smtp.sendmail("jo@oakvale.example", ["ida@oakvale.example"], LARGE)
        assert sink.n_taken - before == 1
        assert smtp.noop()[0] == 250


def test_a_message_that_is_cut_off_does_not_count(sink: Sink) -> None:
    before = sink.n_taken
    with socket.create_connection(("127.0.0.1", sink.port), timeout=10) as client:
        assert client.recv(100).startswith(b"220")
        client.sendall(b"DATA\r\n")
        assert client.recv(100).startswith(b"354")
        client.sendall(b"Subject: hello\r\n")
        client.shutdown(socket.SHUT_WR)
        assert client.recv(100) == b"", "it hangs up"
    assert sink.n_taken == before
