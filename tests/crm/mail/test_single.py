"""Single mails: email activities that are really sent."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.http import HttpResponse
from django.utils import timezone

from crm.auth import make_api_key
from crm.ids import close_id, parse_close_id
from crm.mail import delivery
from crm.models import Activity, EmailAccount, LeadStatus, MailState, Membership, Organization, OutboxMail, Suppression
from tests import factories
from tests.crm.api.close.conftest import Close
from tests.smtp import Post

pytestmark = pytest.mark.django_db(transaction=True)
SENDER = "Jo Field <jo@oakvale.example>"
PATH = "/activity/email/"


@pytest.fixture
def close(membership: Membership, status: LeadStatus) -> Close:
    return Close(make_api_key(membership=membership)[1])


@pytest.fixture
def account(organization: Organization) -> EmailAccount:
    return EmailAccount.objects.create(
        organization=organization,
        sender_email="jo@oakvale.example",
        sender_name="Jo Field",
        identities=[{"email": "sales@oakvale.example", "name": "Sales"}],
    )


@pytest.fixture
def lead(close: Close) -> dict[str, object]:
    contacts = [{"name": "Ida Moss", "emails": [{"email": "ida@oakvale.example"}]}]
    return close.post("/lead/", {"name": "Oakvale Mills", "contacts": contacts}).json()


@pytest.fixture
def write(close: Close, lead: dict[str, object], account: EmailAccount) -> Callable[..., HttpResponse]:
    """Posts an email that is to be sent now; keyword arguments replace its keys."""

    def write(**keys: object) -> HttpResponse:
        body = {
            "lead_id": lead["id"],
            "status": "outbox",
            "sender": SENDER,
            "to": ["ida@oakvale.example"],
            "subject": "Hello",
            "body_text": "Hello Ida",
            **keys,
        }
        return close.post(PATH, {key: value for key, value in body.items() if value is not ...})

    return write


Write = Callable[..., HttpResponse]


def ok(answer: HttpResponse) -> dict[str, object]:
    assert answer.status_code == 200, answer.json()
    return answer.json()


def problems(answer: HttpResponse) -> dict[str, object]:
    assert answer.status_code == 400, answer.json()
    return answer.json()["field-errors"]


def deliver() -> None:
    assert delivery.deliver_slice(20) is False


def test_a_mail_is_sent_and_its_activity_says_so(post: Post, write: Write, close: Close) -> None:
    made = ok(write(subject="Angebot für 湖", body_html="<p>Hello <b>Ida</b></p>", body_text=...))
    assert (made["status"], made["direction"], made["date_sent"]) == ("outbox", "outgoing", None)
    assert made["sender"] == SENDER
    deliver()
    (letter,) = post.messages()
    assert (letter["From"], letter["To"], letter["Subject"]) == (SENDER, "ida@oakvale.example", "Angebot für 湖")
    assert [letter["Message-ID"]] == made["message_ids"]
    assert letter.get_body(("plain",)).get_content().strip() == "Hello Ida"
    assert letter.get_body(("html",)).get_content().strip() == "<p>Hello <b>Ida</b></p>"
    sent = ok(close.get(f"{PATH}{made['id']}/"))
    assert sent["status"] == "sent"
    assert sent["date_sent"] is not None
    assert [attempt["status"] for attempt in sent["send_attempts"]] == ["sent"]


def test_each_recipient_gets_one_message_with_all_but_the_hidden_ones(post: Post, write: Write) -> None:
    write(
        to=["Ida Moss <ida@oakvale.example>", "IDA@oakvale.example", "lev@oakvale.example"],
        cc=["cy@oakvale.example"],
        bcc=["bo@oakvale.example", "cy@oakvale.example"],
    )
    deliver()
    everybody = ("ida", "lev", "cy", "bo")
    assert post.recipients == {f"{name}@oakvale.example": 1 for name in everybody}
    for letter in post.messages():
        assert letter["To"] == "ida@oakvale.example, lev@oakvale.example"
        assert letter["Cc"] == "cy@oakvale.example"
        assert letter["Bcc"] is None
    assert not any(b"bo@oakvale" in content for _, content in post.letters)


def test_a_template_is_rendered_by_the_server(post: Post, write: Write, close: Close, lead: dict[str, object]) -> None:
    template = close.post(
        "/email_template/",
        {
            "name": "Hello",
            "subject": "Hello {{ contact.first_name }}",
            "body": "<p>{{ lead.name }} & {{ user.first_name }}</p>",
            "bcc": ["log@oakvale.example"],
            "attachments": [{"url": "https://oakvale.example/a.pdf?x=1&y=2", "filename": "Offer <1>"}],
        },
    ).json()
    made = ok(write(template_id=template["id"], subject=..., body_text=...))
    assert (made["subject"], made["body_text"]) == ("Hello Ida", "Oakvale Mills & Jo")
    assert (made["template_id"], made["template_name"]) == (template["id"], "Hello")
    assert made["bcc"] == ["log@oakvale.example"]
    deliver()
    assert post.recipients == {"ida@oakvale.example": 1, "log@oakvale.example": 1}
    letter = post.messages()[0]
    text, html = (letter.get_body((kind,)).get_content() for kind in ("plain", "html"))
    assert text.strip().endswith("Offer <1>: https://oakvale.example/a.pdf?x=1&y=2")
    assert '<a href="https://oakvale.example/a.pdf?x=1&amp;y=2">Offer &lt;1&gt;</a>' in html
    assert close.get(f"/email_template/{template['id']}/").json()["last_used_at"] is not None
    own = ok(write(template_id=template["id"], subject="Mine", body_text="My own"))
    assert (own["subject"], own["body_text"]) == ("Mine", "My own")


def test_a_template_with_a_gap_makes_no_mail(write: Write, close: Close) -> None:
    body = {"name": "x", "subject": "x", "body": "{{ contact.title }}", "undefined": "error"}
    template = close.post("/email_template/", body).json()
    refused = problems(write(template_id=template["id"], body_text=...))
    assert refused == {"template_id": "body: contact.title has no value (line 1)."}
    assert not OutboxMail.objects.exists()
    assert not Activity.objects.exists()


def test_a_scheduled_mail_waits_and_can_be_changed_and_called_off(post: Post, write: Write, close: Close) -> None:
    later = (timezone.now() + timedelta(hours=2)).isoformat()
    made = ok(write(status="scheduled", date_scheduled=later))
    path = f"{PATH}{made['id']}/"
    assert made["status"] == "scheduled"
    assert datetime.fromisoformat(made["date_scheduled"]) == datetime.fromisoformat(later)
    deliver()
    assert not post.letters
    assert ok(close.put(path, {"contact_id": None}))["message_ids"] == made["message_ids"], "the mail itself stays"
    changed = ok(close.put(path, {"subject": "Better", "to": ["lev@oakvale.example"]}))
    mail = OutboxMail.objects.get()
    assert (mail.subject, mail.address) == ("Better", "lev@oakvale.example")
    assert (changed["status"], mail.not_before) == ("scheduled", datetime.fromisoformat(later).astimezone(UTC))
    assert ok(close.put(path, {"status": "draft"}))["status"] == "draft"
    assert not OutboxMail.objects.exists()
    assert ok(close.put(path, {"status": "outbox"}))["status"] == "outbox"
    deliver()
    assert post.recipients == {"lev@oakvale.example": 1}
    for change in ({"status": "outbox"}, {"status": "scheduled"}):
        assert problems(close.put(path, change)).keys() == {"status"}


def test_some_seconds_to_think_again(post: Post, write: Write, close: Close) -> None:
    made = ok(write(send_in=30))
    deliver()
    assert not post.letters
    assert close.delete(f"{PATH}{made['id']}/").json() == {}
    assert not OutboxMail.objects.exists()


def test_what_is_leaving_is_neither_changed_nor_deleted(write: Write, close: Close) -> None:
    made = ok(write())
    OutboxMail.objects.update(state=MailState.SENDING, claimed_at=timezone.now(), claim=1)
    path = f"{PATH}{made['id']}/"
    for answer in (close.put(path, {"subject": "x"}), close.put(path, {"status": "draft"}), close.delete(path)):
        assert answer.status_code == 400
        assert "leaving" in answer.json()["errors"][0]
    assert OutboxMail.objects.get().subject == "Hello"


@pytest.mark.parametrize("ask", ["put", "delete"])
def test_a_mail_that_delivery_puts_back_meanwhile_is_not_sent_twice_nor_after_its_end(
    write: Write, close: Close, ask: str
) -> None:
    path = f"{PATH}{ok(write())['id']}/"
    OutboxMail.objects.update(state=MailState.SENDING, claim=1, claimed_at=timezone.now())
    looks = 0

    def put_back(execute: Callable[..., object], sql: str, *rest: object) -> object:
        """Right behind the first look at the mails."""
        nonlocal looks
        found = execute(sql, *rest)
        if "crm_outboxmail" in sql:
            looks += 1
            if looks == 1:
                OutboxMail.objects.update(state=MailState.RESERVED, claim=None, claimed_at=None)
        return found

    with connection.execute_wrapper(put_back):
        answer = close.put(path, {"subject": "Another"}) if ask == "put" else close.delete(path)
    assert answer.status_code == 400, answer.content
    assert looks > 2, "at the mails, the one above among them"
    assert OutboxMail.objects.count() == Activity.objects.count() == 1


def test_who_does_not_want_mail_gets_none(write: Write, organization: Organization) -> None:
    Suppression.objects.create(organization=organization, address="lev@oakvale.example", reason="unsubscribed")
    refused = problems(write(cc=["LEV@oakvale.example"]))
    assert refused == {"cc": {"0": "lev@oakvale.example gets no mail: unsubscribed."}}
    assert not OutboxMail.objects.exists()
    assert not Activity.objects.exists()


def test_after_an_error_only_those_who_got_nothing_are_written_to_again(post: Post, write: Write, close: Close) -> None:
    post.refuse_recipient["lev@oakvale.example"] = "550 5.7.1 not today"
    made = ok(write(cc=["lev@oakvale.example"]))
    deliver()
    path = f"{PATH}{made['id']}/"
    failed = ok(close.get(path))
    assert failed["status"] == "error", "whoever of the two came last"
    assert sorted(attempt["status"] for attempt in failed["send_attempts"]) == ["error", "sent"]
    Suppression.objects.all().delete()
    post.refuse_recipient.clear()
    ok(close.put(path, {"status": "outbox"}))
    deliver()
    assert post.recipients == {"ida@oakvale.example": 1, "lev@oakvale.example": 1}
    assert ok(close.get(path))["status"] == "sent"


def test_what_may_have_left_is_sent_again_only_on_a_persons_word(post: Post, write: Write, close: Close) -> None:
    made = ok(write())
    OutboxMail.objects.update(state=MailState.UNKNOWN)
    Activity.objects.update(status="error")
    path = f"{PATH}{made['id']}/"
    assert problems(close.put(path, {"status": "outbox"})).keys() == {"confirm_possible_duplicates"}
    ok(close.put(path, {"status": "outbox", "confirm_possible_duplicates": True}))
    deliver()
    assert post.recipients == {"ida@oakvale.example": 1}
    assert [post.messages()[0]["Message-ID"]] == made["message_ids"]


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"to": ...}, "to"),
        ({"to": []}, "to"),
        ({"to": ["nobody"]}, "to"),
        ({"to": ["ida@oakvale.example\r\nBcc: all@oakvale.example"]}, "to"),
        ({"cc": ["a@x.example, b@x.example"]}, "cc"),
        ({"bcc": ["\x1b@x.example"]}, "bcc"),
        ({"subject": "Hello\r\nBcc: all@oakvale.example"}, "subject"),
        ({"subject": "Hello\x85"}, "subject"),
        ({"sender": ...}, "sender"),
        ({"sender": "Jo\r\nBcc: x@x.example <jo@oakvale.example>"}, "sender"),
        ({"sender": "boss@elsewhere.example"}, "sender"),
        ({"sender": "a@x.example, jo@oakvale.example"}, "sender"),
        ({"status": "error", "sender": ...}, "sender"),
        ({"email_account_id": "emailacct_x"}, "email_account_id"),
        ({"template_id": "tmpl_x"}, "template_id"),
        ({"status": "scheduled"}, "date_scheduled"),
        ({"status": "scheduled", "date_scheduled": "2001-01-01T00:00:00Z"}, "date_scheduled"),
        ({"status": "scheduled", "date_scheduled": "soon"}, "date_scheduled"),
        ({"send_in": 60}, "send_in"),
        ({"send_in": -1}, "send_in"),
        ({"status": "draft", "send_in": 5}, "send_in"),
        ({"status": "flying"}, "status"),
        ({"followup_date": "2031-01-01"}, "followup_date"),
        ({"attachments": [{"url": "javascript:alert(1)"}]}, "attachments"),
    ],
)
def test_what_is_wrong_is_refused_and_nothing_is_written(write: Write, keys: dict[str, object], problem: str) -> None:
    assert list(problems(write(**keys))) == [problem]
    assert not Activity.objects.exists()
    assert not OutboxMail.objects.exists()


def test_senders_are_the_identities_of_ones_accounts(
    write: Write, account: EmailAccount, membership: Membership, organization: Organization
) -> None:
    assert ok(write(sender="jo@oakvale.example"))["sender"] == SENDER
    assert ok(write(sender="sales@Oakvale.example"))["sender"] == "Sales <sales@oakvale.example>"
    assert ok(write(sender="Me <sales@oakvale.example>"))["sender"] == "Me <sales@oakvale.example>"
    assert set(OutboxMail.objects.values_list("account", flat=True)) == {account.pk}
    key = close_id("emailacct", account.pk)
    assert ok(write(sender=..., email_account_id=key))["sender"] == SENDER
    mine = ok(write(sender=membership.user.email))
    assert mine["sender"] == f"Jo Field <{membership.user.email}>"
    assert OutboxMail.objects.get(source_id=parse_close_id("acti", mine["id"])).account_id is None
    colleague = factories.MembershipFactory.create(organization=organization).user
    EmailAccount.objects.update(user=colleague)
    assert problems(write()).keys() == {"sender"}
    assert problems(write(email_account_id=key)).keys() == {"email_account_id"}


def test_their_accounts_and_templates_do_not_exist(write: Write) -> None:
    theirs = factories.OrganizationFactory.create()
    account = EmailAccount.objects.create(organization=theirs, sender_email="jo@oakvale.example")
    gone = {"email_account_id": "Object does not exist."}
    assert problems(write(email_account_id=close_id("emailacct", account.pk))) == gone
    assert problems(write(template_id=close_id("tmpl", account.pk))) == {"template_id": "Object does not exist."}


@pytest.mark.parametrize("state", ["draft", "inbox", "sent"])
def test_their_account_is_not_written_down_either(write: Write, close: Close, state: str) -> None:
    theirs = close_id("emailacct", factories.EmailAccountFactory.create().pk)
    gone = {"email_account_id": "Object does not exist."}
    assert problems(write(status=state, email_account_id=theirs)) == gone
    made = ok(write(status=state))
    assert problems(close.put(f"{PATH}{made['id']}/", {"email_account_id": theirs})) == gone
    assert close.get(f"{PATH}{made['id']}/").json()["email_account_id"] is None


def test_what_is_only_written_down_is_not_sent(write: Write, close: Close) -> None:
    for status in ("draft", "sent", "inbox", "error"):
        made = ok(write(status=status, sender="Anybody <x@elsewhere.example>"))
        assert (made["status"], made["date_sent"] is None) == (status, status in ("draft", "error"))
    assert not OutboxMail.objects.exists()
