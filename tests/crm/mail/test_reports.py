"""What servers of several families report, read."""

from collections.abc import Callable
from uuid import uuid4

import pytest

from crm.mail.received import read
from crm.mail.reports import Bounce, Complaint, report_in
from crm.models import OutboxMail
from tests.crm.mail import samples

MAIL = OutboxMail(
    id=uuid4(),
    address="ida@oakvale.example",
    sender="Jo Field <jo@oakvale.example>",
    subject="Hello",
    message_id="<0198c5f2@oakvale.example>",
)
TO = "bounce+token@in.drover.example"


@pytest.mark.parametrize(
    ("sample", "status"),
    [
        (samples.postfix, "5.1.1"),
        (samples.exchange, "5.1.10"),
        (samples.exim, "5.1.1"),
        (samples.qmail, "5.1.1"),
        (samples.internationalized, "5.1.2"),
        (samples.full_mailbox, "5.2.2"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_the_code_and_the_mail_are_found_in_every_shape(
    sample: Callable[[OutboxMail, str], bytes], status: str, line_end: bytes
) -> None:
    report = report_in(read(sample(MAIL, TO).replace(b"\n", line_end)))
    assert isinstance(report, Bounce)
    assert (report.status, report.is_delay) == (status, False)
    assert report.original.message_ids == [MAIL.message_id]
    assert report.text


@pytest.mark.parametrize(("action", "found"), [("delayed", True), ("delivered", None), ("relayed", None)])
def test_a_delay_is_told_from_a_failure_and_success_is_no_bounce(action: str, found: bool | None) -> None:
    report = report_in(read(samples.postfix(MAIL, TO, status="4.4.1", action=action)))
    assert (report and report.is_delay) == found


def test_of_several_recipients_the_one_that_failed_counts() -> None:
    raw = samples.postfix(MAIL, TO).replace(
        b"\n\nFinal-Recipient",
        b"\n\nFinal-Recipient: rfc822; bo@b.example\nAction: relayed\nStatus: 2.0.0\n\nFinal-Recipient",
    )
    report = report_in(read(raw))
    assert isinstance(report, Bounce)
    assert report.status == "5.1.1"


def test_a_complaint_names_the_mail_by_all_that_is_left_of_it() -> None:
    link = f"http://127.0.0.1:8000/u/{'t' * 80}.{'s' * 43}"
    original = f"Message-ID: {MAIL.message_id}\nList-Unsubscribe: <{link}>,\n <mailto:x@in.drover.example>"
    report = report_in(read(samples.feedback(MAIL, original=original, envelope=TO)))
    assert isinstance(report, Complaint)
    assert report.kind == "abuse"
    assert report.original.envelope.startswith(f"<{TO}>")
    assert report.original.message_ids == [MAIL.message_id]
    assert report.original.unsubscribe_token == link.rpartition("/")[2]


def test_who_says_that_a_mail_is_no_spam_does_not_complain() -> None:
    assert report_in(read(samples.feedback(MAIL, original="X: y", kind="not-spam"))) is None


def test_a_persons_mail_about_codes_is_no_report() -> None:
    assert report_in(read(samples.reply(MAIL, Subject="550 5.1.1 what does this mean?"))) is None
