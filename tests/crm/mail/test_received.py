"""Whatever comes in is read soon, and what comes out can be stored."""

import base64
import random
import time

import pytest

from crm.mail import received
from crm.mail.inbound import is_automatic
from crm.mail.received import READ_BYTES, TEXT_LENGTH, Unreadable, bodies, header, read
from crm.mail.reports import report_in

PLAIN = b"From: Ida <ida@oakvale.example>\nSubject: Hello\nMessage-ID: <1@oakvale.example>\n\nHello\n"


def nested(depth: int, filler: bytes = b"") -> bytes:
    parts = b"".join(
        b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (level, level) for level in range(depth)
    )
    return b"From: ida@oakvale.example\n" + parts + b"Content-Type: text/plain\n\ndeep\n" + filler


HOSTILE = {
    "nul": PLAIN.replace(b"Hello", b"He\0llo"),
    "a NUL in every header": b"From: a\0@b.co\nSubject: \0\nTo: a\0@b.co\nMessage-ID: <\0@b>\n\n\0",
    "unknown charset": PLAIN.replace(b"\n\n", b"\nContent-Type: text/plain; charset=klingon\n\n").replace(
        b"Hello\n", b"\xff\xfe"
    ),
    "a charset that is no text": PLAIN.replace(b"\n\n", b"\nContent-Type: text/plain; charset=zlib_codec\n\n"),
    "utf-7 and half surrogates": PLAIN.replace(b"\n\n", b"\nContent-Type: text/plain; charset=utf-16\n\n\xd8\x00\xd8"),
    "broken encoded words": PLAIN.replace(b"Hello\n", b"=?x?b?!!!?= =?utf-8?q?=ZZ?= =?utf-8?b?\xff?=\n"),
    "line breaks in encoded words": PLAIN.replace(b": Hello", b": =?utf-8?q?a=0D=0ABcc=3A_x=00?="),
    "broken base 64": PLAIN.replace(b"\n\n", b"\nContent-Transfer-Encoding: base64\n\n=====A"),
    "a type that is none": PLAIN.replace(b"\n\n", b'\nContent-Type: ;;=="\n\n'),
    "a boundary without end": b'From: a@b.co\nContent-Type: multipart/mixed; boundary="\n\n--x\n',
    "an empty boundary": b'From: a@b.co\nContent-Type: multipart/report; boundary=""\n\n--\n\n----\n',
    "a report of nothing": b"From: a@b.co\nContent-Type: multipart/report; boundary=x\n\n--x\n"
    b"Content-Type: message/delivery-status\n\n--x\nContent-Type: message/feedback-report\n\n--x--\n",
    "a lone status": b"From: a@b.co\nContent-Type: message/delivery-status\n\n\n\n\nAction\nStatus: \xff\n",
    "parameters without end": PLAIN.replace(
        b"\n\n", b"\nContent-Type: text/plain; a*0*=x'y'%ff; a*9999999999=z; a*x=1\n\n"
    ),
    "many comments": PLAIN.replace(b"Ida", b"(" * 100_000),
    "many addresses": PLAIN.replace(b"From: Ida", b"From: " + b"a@b.co," * 50_000),
    "a header of one megabyte": PLAIN.replace(b"Hello", b"x " * 500_000),
    "many headers": b"X: y\n" * 300_000 + PLAIN,
    "many message ids": PLAIN.replace(b"\n\n", b"\nReferences: " + b"<a@b>" * 100_000 + b"\n\n"),
    "deep parts": nested(20),
    "too many parts": nested(5000),
    "deep parts with many lines": nested(20, b"\n" * READ_BYTES),
    "deep messages": b"From: a@b.co\n" + b"Content-Type: message/rfc822\n\n" * 20_000 + b"x",
    "ten megabytes of text": PLAIN + b"Hello world\n" * 900_000,
    "ten megabytes in base 64": PLAIN.replace(b"\n\n", b"\nContent-Transfer-Encoding: base64\n\n")
    + base64.encodebytes(b"\0" * 7_500_000),
    "ten megabytes on one line": PLAIN + b"x" * 10_000_000,
    "html without end": PLAIN.replace(b"\n\n", b"\nContent-Type: text/html\n\n") + b"<table><tr><td>" * 30_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_message_is_read_soon_into_what_can_be_stored(name: str) -> None:
    started = time.process_time()

    message = read(HOSTILE[name])
    report_in(message)
    is_automatic(message)
    texts = [part or "" for part in bodies(message)]
    texts += [header(message, key) for key in ("From", "Subject", "Message-ID", "Date")]
    texts += received.addresses(message, "From", "To") + received.message_ids(message, "Message-ID", "References")

    assert time.process_time() - started < 10
    for text in texts:
        assert "\0" not in text
        assert len(text.encode()) <= 4 * TEXT_LENGTH
    assert "\n" not in header(message, "Subject")


@pytest.mark.parametrize("content", [b"", b"\n\n\n", b"no header here", b"\xff" * 1000, b"\0\0", b"{}", b"From \n\n"])
def test_what_has_no_header_is_no_message(content: bytes) -> None:
    with pytest.raises(Unreadable):
        read(content)


def test_random_damage_is_survived() -> None:
    chance = random.Random(5)
    source = nested(6) + PLAIN
    for _ in range(300):
        damaged = bytearray(source)
        for _ in range(chance.randrange(1, 40)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        try:
            message = read(bytes(damaged))
        except Unreadable:
            continue
        report_in(message)
        is_automatic(message)
        bodies(message)
        received.addresses(message, "From")


def test_texts_come_in_their_charset_and_attached_files_are_passed_over() -> None:
    raw = (
        (
            b"From: a@b.co\nSubject: =?iso-2022-jp?b?GyRCJDMkcyRLJEEkTxsoQg==?=\n"
            b"Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Disposition: attachment; filename=a\n\nfile\n"
            b"--x\nContent-Type: text/plain; charset=shift_jis\n\n"
        )
        + "こんにちは".encode("shift_jis")
        + b"\n--x--\n"
    )
    message = read(b"From ida@oakvale.example Mon Jun  2 10:30:00 2031\n" + raw)
    assert header(message, "Subject") == "こんにちは"
    assert bodies(message) == ("こんにちは", None)
