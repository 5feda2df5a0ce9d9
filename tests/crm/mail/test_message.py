"""What goes over the wire says what the outbox row says, and nothing else."""

import email
import email.policy
from collections.abc import Callable
from datetime import timedelta
from email.message import EmailMessage
from email.utils import parsedate_to_datetime

import pytest
from django.utils import timezone

from crm.errors import Invalid
from crm.mail.message import as_octets, as_sender, build
from crm.models import OutboxMail, Purpose

Reserve = Callable[..., OutboxMail]


def over_the_wire(mail: OutboxMail) -> EmailMessage:
    octets = as_octets(mail)
    assert octets.isascii()
    assert octets.endswith(b"\r\n")
    assert max(map(len, octets.split(b"\r\n"))) <= 998
    assert octets.count(b"\n") == octets.count(b"\r\n") == octets.count(b"\r")
    return email.message_from_bytes(octets.replace(b"\r\n", b"\n"), policy=email.policy.default)


def body_of(part: EmailMessage) -> list[str]:
    return part.get_content().replace("\r\n", "\n").removesuffix("\n").split("\n")


def test_a_message_has_the_headers_of_its_row(reserve: Reserve) -> None:
    mail = reserve()

    message = over_the_wire(mail)

    assert message["From"] == "Jo Field <jo@oakvale.example>"
    assert message["To"] == "ida@oakvale.example"
    assert message["Subject"] == "Hello"
    assert message["Message-ID"] == mail.message_id
    assert message["MIME-Version"] == "1.0"
    assert abs(parsedate_to_datetime(message["Date"]) - timezone.now()) < timedelta(minutes=1)
    assert body_of(message) == ["Hello Ida"]


def test_only_notices_say_that_they_are_automatic(reserve: Reserve) -> None:
    assert over_the_wire(reserve(purpose=Purpose.NOTICE))["Auto-Submitted"] == "auto-generated"
    for purpose in (Purpose.BULK, Purpose.SEQUENCE, Purpose.SINGLE):
        assert "Auto-Submitted" not in over_the_wire(reserve(purpose=purpose))


@pytest.mark.parametrize(
    "text",
    [
        "一括編集が完了しました",
        "一括編集が完了しました。" * 30,
        "Zażółć gęślą jaźń",
        "Ready =? set, go?=",
        "half 半分 and half 半分, " * 12,
        "👩‍👩‍👧 family",
        "a " * 400,
        "x" * 900,
    ],
)
def test_names_and_subjects_survive_the_wire(reserve: Reserve, text: str) -> None:
    # A name of one encoded word: the standard library writes longer ones well, but reads them back with spaces between.
    name = text[:12].strip()
    mail = reserve(subject=text.strip(), sender=as_sender(name, "jo@oakvale.example"), body_text=text)

    message = over_the_wire(mail)

    assert message["Subject"] == text.strip()
    assert message["From"].addresses[0].display_name == name
    assert message["From"].addresses[0].addr_spec == "jo@oakvale.example"
    assert body_of(message) == [text]


def test_an_html_part_stands_beside_the_text(reserve: Reserve) -> None:
    html = "<p>佐藤さん、こんにちは</p>" + "<br>" * 500

    message = over_the_wire(reserve(body_html=html))

    assert message.get_content_type() == "multipart/alternative"
    assert body_of(message.get_body(("plain",))) == ["Hello Ida"]
    assert body_of(message.get_body(("html",))) == [html]


def test_a_row_may_bring_headers_of_its_own(reserve: Reserve) -> None:
    headers = {
        "In-Reply-To": "<1@oakvale.example>",
        "References": "<0@oakvale.example> <1@oakvale.example>",
    }

    message = over_the_wire(reserve(headers=headers))

    assert {name: message[name] for name in headers} == headers


def test_a_single_mail_names_all_its_recipients(reserve: Reserve) -> None:
    headers = {"To": ", ".join(f"{name * 20}@oakvale.example" for name in "abcdefg"), "Cc": "cy@oakvale.example"}
    mail = reserve(purpose=Purpose.SINGLE, headers=headers)

    for message in (over_the_wire(mail), build(mail)):
        assert {name: message[name] for name in headers} == headers
        assert len(message["To"].addresses) == 7


@pytest.mark.parametrize(
    "columns",
    [
        {"subject": "Hello\r\nBcc: eve@oakvale.example"},
        {"subject": "Hello\nBcc: eve@oakvale.example"},
        {"subject": "Hello\rBcc: eve@oakvale.example"},
        {"subject": "Hello\x1b[2J"},
        {"subject": "Hello\u2028Bcc: eve@oakvale.example"},
        {"subject": "=?utf-8?q?Hello=0D=0ABcc:_eve@oakvale.example?="},
        {"sender": "Jo\r\nBcc: eve@oakvale.example <jo@oakvale.example>"},
        {"sender": "=?utf-8?b?Sm8NCkJjYzogZXZl?= <jo@oakvale.example>"},
        {"sender": "jo@oakvale.example, eve@oakvale.example"},
        {"sender": "Jo"},
        {"sender": ""},
        {"address": "ida@oakvale.example\r\nBcc: eve@oakvale.example"},
        {"address": "ida@oakvale.example, eve@oakvale.example"},
        {"message_id": "<1@oakvale.example>\r\nBcc: eve@oakvale.example"},
        {"headers": {"X-Job": "1\r\nBcc: eve@oakvale.example"}},
        {"headers": {"X-Job\r\nBcc": "eve@oakvale.example"}},
        {"headers": {"X Job": "1"}},
        {"headers": {"X-Job: 1": "1"}},
        {"headers": {"": "1"}},
        {"headers": {"Bcc": "eve@oakvale.example"}},
        {"headers": {"To": "eve@oakvale.example"}},
        {"purpose": Purpose.SINGLE, "headers": {"To": "ida@oakvale.example\r\nBcc: eve@oakvale.example"}},
        {"purpose": Purpose.SINGLE, "headers": {"Cc": "ida@oakvale.example, "}},
        {"purpose": Purpose.SINGLE, "headers": {"cc": "eve@oakvale.example"}},
        {"headers": {"Subject": "Another"}},
        {"headers": {"Content-Type": "text/html"}},
    ],
    ids=repr,
)
def test_an_injected_header_is_refused(reserve: Reserve, columns: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        build(reserve(**columns))


def test_a_body_cannot_end_the_message_or_become_headers(reserve: Reserve) -> None:
    body = "\n.\r\nMAIL FROM:<eve@oakvale.example>\r\rBcc: eve@oakvale.example\n"

    message = over_the_wire(reserve(body_text=body))

    assert "Bcc" not in message
    assert body_of(message) == ["", ".", "MAIL FROM:<eve@oakvale.example>", "", "Bcc: eve@oakvale.example"]


@pytest.mark.parametrize("name", ["Jo\nField", "Jo\x00", "=?utf-8?q?Jo?="])
def test_a_senders_name_is_checked_when_it_is_stored(name: str) -> None:
    with pytest.raises(Invalid):
        as_sender(name, "jo@oakvale.example")


def test_a_senders_name_is_quoted_where_it_must_be() -> None:
    assert as_sender('Field, "Jo"', "Jo@OakVale.example") == '"Field, \\"Jo\\"" <jo@oakvale.example>'


@pytest.mark.parametrize(
    "text", ["Hello", "x" * 2000, "Grüße, " * 30 + "x" * 900, "佐藤さん、こんにちは\n" * 40, "", "a \r\n\r\n ."]
)
def test_what_goes_over_the_wire_is_what_the_standard_library_would_write(reserve: Reserve, text: str) -> None:
    mail = reserve(body_text=text, body_html=f"<p>{text}</p>", subject=(text.split("\n")[0] or "x").strip()[:300])
    wire = over_the_wire(mail)
    written = email.message_from_bytes(build(mail).as_bytes().replace(b"\r\n", b"\n"), policy=email.policy.default)
    assert [(name, value) for name, value in wire.items() if name not in ("Content-Type", "Date")] == [
        (name, value) for name, value in written.items() if name not in ("Content-Type", "Date")
    ]
    for kind in ("plain", "html"):
        assert body_of(wire.get_body((kind,))) == body_of(written.get_body((kind,)))
