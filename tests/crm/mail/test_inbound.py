"""What comes back is tied to the mail that it is about, counts once, and is never answered."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone
from pytest_django import Settings

from crm.mail import events, inbound, message, unsubscribe, verp
from crm.mail.events import Happening, MailEvent
from crm.mail.outbox import forget_mails
from crm.mail.suppression import reasons_for
from crm.models import (
    Activity,
    Contact,
    ContactEmail,
    EmailAccount,
    InboundMail,
    MailState,
    Organization,
    OutboxMail,
    Purpose,
    Suppression,
)
from tests.crm.mail import samples
from tests.crm.mail.test_received import HOSTILE
from tests.factories import ActivityFactory, ContactFactory, LeadFactory, OrganizationFactory
from tests.sessions import other_session, wait_until_blocked

ELSEWHERE = "jo@oakvale.example"  # where bounces come without a domain of our own


@pytest.fixture(autouse=True)
def domain(settings: Settings) -> None:
    settings.INBOUND_MAIL_DOMAIN = "in.drover.example"


@pytest.fixture
def account(organization: Organization) -> EmailAccount:
    return EmailAccount.objects.create(organization=organization, sender_email="jo@oakvale.example")


@pytest.fixture
def contact(organization: Organization) -> Contact:
    contact = ContactFactory.create(lead=LeadFactory.create(organization=organization))
    ContactEmail.objects.create(organization=organization, contact=contact, email="Ida@oakvale.example")
    return contact


@pytest.fixture
def sent(reserve: Callable[..., OutboxMail], contact: Contact) -> OutboxMail:
    """A mail that has left, with its activity."""
    activity = ActivityFactory.create(lead=contact.lead, contact=contact, type="email", status="sent")
    return reserve(
        state=MailState.SENT, date_sent=timezone.now(), activity=activity, lead=contact.lead, contact=contact
    )


@pytest.fixture(autouse=True)
def heard(monkeypatch: pytest.MonkeyPatch) -> list[MailEvent]:
    """What others were told."""
    told: list[MailEvent] = []
    monkeypatch.setattr(events, "_handlers", {happening: [told.append] for happening in Happening})
    return told


def mails() -> int:
    return OutboxMail.objects.count()


@pytest.mark.parametrize(
    "sample",
    [samples.postfix, samples.exchange, samples.exim, samples.qmail, samples.internationalized],
    ids=lambda sample: sample.__name__,
)
@pytest.mark.parametrize("way", ["verp", "message id"])
@pytest.mark.parametrize("known", ["account", "nobody"])
def test_a_hard_bounce_suppresses_the_address_and_the_mail_is_an_error(
    sent: OutboxMail, account: EmailAccount, heard: list[MailEvent], sample: Callable, way: str, known: str
) -> None:
    before = mails()
    to = message.envelope_sender(sent) if way == "verp" else ELSEWHERE
    raw = sample(sent, to)
    if way == "verp":
        raw = raw.replace(sent.message_id.encode(), b"<changed-on-its-way@oakvale.example>")

    assert inbound.receive(raw, account=account if known == "account" else None) == "hard_bounce"

    sent.refresh_from_db()
    assert (sent.state, sent.error_code) == (MailState.ERROR, "hard_bounce")
    assert sent.error_message.startswith("5.1.")
    assert sent.date_sent is not None, "it counts against the account's limit all the same"
    assert Activity.objects.get(pk=sent.activity_id).status == "error"
    assert reasons_for(sent.organization_id, [sent.address]) == {sent.address: "bounced"}
    assert [(event.happening, event.mail, event.activity_id) for event in heard] == [
        (Happening.BOUNCE, sent, sent.activity_id)
    ]
    row = InboundMail.objects.get()
    assert (row.organization_id, row.mail_id, row.address) == (sent.organization_id, sent.pk, sent.address)
    assert mails() == before, "nothing is answered"


def test_the_same_message_again_does_nothing(sent: OutboxMail, account: EmailAccount) -> None:
    raw = samples.postfix(sent, message.envelope_sender(sent))
    inbound.receive(raw, account=account)
    Suppression.objects.all().delete()
    assert inbound.receive(raw, account=account) == "repeated"
    assert inbound.receive(raw) == "repeated"
    assert not Suppression.objects.exists()
    assert InboundMail.objects.count() == 1


def test_soft_bounces_suppress_the_third_time(
    reserve: Callable[..., OutboxMail], heard: list[MailEvent], organization: Organization
) -> None:
    for number in range(3):
        assert reasons_for(organization.pk, ["ida@oakvale.example"]) == {}
        mail = reserve(state=MailState.SENT, date_sent=timezone.now())
        raw = samples.full_mailbox(mail, message.envelope_sender(mail))
        assert inbound.receive(raw) == "soft_bounce"
        assert inbound.receive(raw) == "repeated"
        mail.refresh_from_db()
        assert (mail.state, mail.error_code) == (MailState.ERROR, "soft_bounce"), number
    assert reasons_for(organization.pk, ["ida@oakvale.example"]) == {"ida@oakvale.example": "bounced"}
    assert len(heard) == 1


def test_nothing_is_made_of_a_delay(sent: OutboxMail) -> None:
    raw = samples.postfix(sent, message.envelope_sender(sent), status="4.4.1", action="delayed")
    assert inbound.receive(raw) == "automatic"
    sent.refresh_from_db()
    assert sent.state == MailState.SENT
    assert not Suppression.objects.exists()


def test_a_notice_that_bounces_suppresses_nobody(reserve: Callable[..., OutboxMail]) -> None:
    mail = reserve(purpose=Purpose.NOTICE, state=MailState.SENT)
    assert inbound.receive(samples.postfix(mail, ELSEWHERE)) == "hard_bounce"
    mail.refresh_from_db()
    assert mail.state == MailState.ERROR
    assert not Suppression.objects.exists()


def test_a_mail_that_a_purge_has_emptied_suppresses_nobody(sent: OutboxMail, organization: Organization) -> None:
    raw = samples.postfix(sent, message.envelope_sender(sent))
    assert forget_mails(organization.pk, [], ["ida@oakvale.example"]) == 0, "a contact still has the address"
    ContactEmail.objects.all().delete()
    assert forget_mails(organization.pk, [], ["ida@oakvale.example"]) == 1
    assert inbound.receive(raw) == "unrelated"
    assert not Suppression.objects.exists()


def test_a_mail_that_has_not_left_cannot_bounce(reserve: Callable[..., OutboxMail]) -> None:
    mail = reserve()
    inbound.receive(samples.postfix(mail, message.envelope_sender(mail)))
    mail.refresh_from_db()
    assert mail.state == MailState.RESERVED
    assert not Suppression.objects.exists()


def test_an_account_hears_nothing_of_another_organizations_mail(sent: OutboxMail) -> None:
    other = EmailAccount.objects.create(organization=OrganizationFactory.create(), sender_email="eve@oakvale.example")
    link = f"List-Unsubscribe: <{unsubscribe.link_of(sent)}>"
    for raw in (
        samples.postfix(sent, message.envelope_sender(sent)),
        samples.feedback(sent, original=link, envelope=message.envelope_sender(sent)),
        samples.reply(sent),
        samples.reply(None, To=verp.address_of(verp.Box.UNSUBSCRIBE, sent.pk), Message_ID="<u@oakvale.example>"),
    ):
        assert inbound.receive(raw, account=other) == "unrelated"
    sent.refresh_from_db()
    assert sent.state == MailState.SENT
    assert not Suppression.objects.exists()
    assert Activity.objects.count() == 1


def test_a_report_about_nothing_of_ours_counts_for_nothing(account: EmailAccount, sent: OutboxMail) -> None:
    foreign = OutboxMail(pk=sent.pk, address=sent.address, sender=sent.sender, message_id="<other@oakvale.example>")
    forged = "bounce+" + "a" * 42 + "@in.drover.example"
    assert inbound.receive(samples.postfix(foreign, forged), account=account) == "unrelated"
    assert inbound.receive(samples.exim(foreign, ELSEWHERE)) == "unrelated"
    assert not Suppression.objects.exists()


@pytest.mark.parametrize("left", ["message id", "envelope", "link"])
def test_a_complaint_suppresses_by_whatever_the_provider_left_in(
    sent: OutboxMail, heard: list[MailEvent], left: str
) -> None:
    original = {
        "message id": f"Message-ID: {sent.message_id}",
        "link": f"List-Unsubscribe: <{unsubscribe.link_of(sent)}>",
    }
    envelope = message.envelope_sender(sent) if left == "envelope" else ""
    raw = samples.feedback(sent, original=original.get(left, "X-Redacted: yes"), envelope=envelope)

    assert inbound.receive(raw) == "complaint"

    assert reasons_for(sent.organization_id, [sent.address]) == {sent.address: "complained"}
    assert [event.happening for event in heard] == [Happening.COMPLAINT]
    sent.refresh_from_db()
    assert sent.state == MailState.SENT, "it did arrive"


def test_a_mail_to_the_box_of_the_header_unsubscribes(sent: OutboxMail, heard: list[MailEvent]) -> None:
    box = verp.address_of(verp.Box.UNSUBSCRIBE, sent.pk)
    assert inbound.receive(samples.reply(None, To=box, Subject="unsubscribe")) == "unsubscribe"
    assert reasons_for(sent.organization_id, [sent.address]) == {sent.address: "unsubscribed"}
    assert [event.happening for event in heard] == [Happening.UNSUBSCRIBE]
    assert Activity.objects.count() == 1


@pytest.mark.parametrize("known", ["account", "nobody"])
def test_a_persons_reply_is_an_activity_of_the_lead(
    sent: OutboxMail, account: EmailAccount, contact: Contact, heard: list[MailEvent], known: str
) -> None:
    raw = samples.reply(sent, Cc="bo@oakvale.example")
    assert inbound.receive(raw, account=account if known == "account" else None) == "reply"

    made = Activity.objects.get(direction="incoming")
    assert (made.lead_id, made.contact_id, made.type, made.status) == (contact.lead_id, contact.pk, "email", "inbox")
    assert (made.title, made.text) == ("Re: こんにちは", "Yes please, 苔\n")
    assert "<b>苔</b>" in made.html
    assert (made.local_address, made.recipients) == ("Ida Moss <Ida@Oakvale.example>", ["jo@oakvale.example"])
    assert made.details["message_ids"] == ["<reply-1@oakvale.example>"]
    assert made.details["references"] == ["<older@oakvale.example>", sent.message_id]
    assert made.details["in_reply_to_id"] == str(sent.activity_id)
    assert made.details["cc"] == ["bo@oakvale.example"]
    assert Activity.objects.get(pk=sent.activity_id).has_reply
    assert [(event.happening, event.mail, event.contact_id) for event in heard] == [(Happening.REPLY, sent, contact.pk)]
    assert inbound.receive(raw) == "repeated"
    assert Activity.objects.count() == 2


def test_a_known_contact_who_writes_by_itself_is_heard(
    account: EmailAccount, contact: Contact, heard: list[MailEvent]
) -> None:
    date = timezone.now() - timedelta(hours=2)
    assert (
        inbound.receive(samples.reply(None, Date=date.strftime("%a, %d %b %Y %H:%M:%S +0000")), account=account)
        == "reply"
    )
    made = Activity.objects.get()
    assert (made.lead_id, made.contact_id) == (contact.lead_id, contact.pk)
    assert abs(made.activity_at - date) < timedelta(seconds=1)
    (event,) = heard
    assert (event.mail, event.activity_id, event.address) == (None, made.pk, "ida@oakvale.example")


def test_a_colleague_who_answers_is_heard_on_the_same_lead(sent: OutboxMail, contact: Contact) -> None:
    assert inbound.receive(samples.reply(sent, From="bo@elsewhere.example")) == "reply"
    made = Activity.objects.get(direction="incoming")
    assert (made.lead_id, made.contact_id) == (contact.lead_id, contact.pk)


@pytest.mark.parametrize("sender", ["eve@elsewhere.example", "jo@oakvale.example", "", "undisclosed-recipients:;"])
def test_strangers_and_our_own_mails_are_unrelated(account: EmailAccount, contact: Contact, sender: str) -> None:
    assert inbound.receive(samples.reply(None, From=sender), account=account) == "unrelated"
    assert not Activity.objects.exists()


@pytest.mark.parametrize(
    "sign",
    [
        {"Auto-Submitted": "auto-replied"},
        {"Auto-Submitted": "auto-generated; x=y"},
        {"Precedence": "Bulk"},
        {"Precedence": "auto_reply"},
        {"X-Autoreply": "yes"},
        {"X-Autorespond": "absent"},
        {"Return-Path": "<>"},
        {"From": "MAILER-DAEMON@oakvale.example"},
        {"List-Id": "<list.oakvale.example>"},
    ],
    ids=str,
)
def test_automatic_mail_is_no_reply(sent: OutboxMail, sign: dict[str, str], heard: list[MailEvent]) -> None:
    assert inbound.receive(samples.reply(sent, **sign)) == "automatic"
    assert not Activity.objects.get().has_reply
    assert heard == []
    assert mails() == 1


def test_a_person_may_say_that_it_was_not_automatic(sent: OutboxMail) -> None:
    assert inbound.receive(samples.reply(sent, Auto_Submitted="no", Return_Path="<ida@oakvale.example>")) == "reply"


def test_a_reply_to_a_lead_that_was_deleted_is_unrelated(sent: OutboxMail, contact: Contact) -> None:
    contact.lead.deleted_at = timezone.now()
    contact.lead.save()
    assert inbound.receive(samples.reply(sent)) == "unrelated"


def test_a_reply_follows_its_lead_into_another(sent: OutboxMail) -> None:
    other = LeadFactory.create(organization=sent.organization)
    Activity.objects.filter(pk=sent.activity_id).update(lead=other)
    assert inbound.receive(samples.reply(sent)) == "reply"
    assert Activity.objects.get(direction="incoming").lead_id == other.pk


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_message_from_a_contact_is_stored_or_passed_over(
    account: EmailAccount, organization: Organization, contact: Contact, name: str
) -> None:
    assert inbound.receive(HOSTILE[name], account=account) in ("reply", "unrelated", "automatic")
    assert inbound.receive(HOSTILE[name], account=account) == "repeated"


@pytest.mark.django_db(transaction=True)
def test_the_same_message_brought_twice_at_once_counts_once(sent: OutboxMail) -> None:
    raw = samples.full_mailbox(sent, message.envelope_sender(sent))
    with other_session() as start:
        with transaction.atomic():
            assert inbound.receive(raw) == "soft_bounce"
            second = start(lambda: inbound.receive(raw))
            wait_until_blocked(second)
        assert second.result() == "repeated"
    assert InboundMail.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_report_that_overtakes_the_senders_commit_waits_for_it(sent: OutboxMail) -> None:
    raw = samples.postfix(sent, message.envelope_sender(sent))
    OutboxMail.objects.filter(pk=sent.pk).update(state=MailState.SENDING)
    with other_session() as start:
        with transaction.atomic():
            OutboxMail.objects.select_for_update().get(pk=sent.pk)
            report = start(lambda: inbound.receive(raw))
            wait_until_blocked(report)
            OutboxMail.objects.filter(pk=sent.pk).update(state=MailState.SENT)
        assert report.result() == "hard_bounce"
    sent.refresh_from_db()
    assert sent.state == MailState.ERROR
