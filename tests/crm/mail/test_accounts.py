"""Mail of an account leaves by its own server, within its limits, and slows down when that server asks for it."""

from collections.abc import Callable
from datetime import timedelta
from threading import Barrier, Thread

import pytest
from django.core.cache import cache
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from crm.mail import accounts, delivery, limits
from crm.models import EmailAccount, MailState, OutboxMail, Suppression
from tests import factories
from tests.smtp import Post, drop_connections, nobody_listening, serving

Reserve = Callable[..., OutboxMail]
Account = Callable[..., EmailAccount]


def deliver_all() -> None:
    assert delivery.deliver_slice(20) is False


def count(**state: object) -> int:
    return OutboxMail.objects.filter(**state).count()


def many(reserve: Reserve, number: int, **columns: object) -> list[OutboxMail]:
    return [reserve(f"ida{place}@oakvale.example", **columns) for place in range(number)]


def test_an_account_sends_by_its_own_server(settings: Settings, account: Account, reserve: Reserve) -> None:
    theirs = Post(login=("jo", "secret"))
    with serving(theirs) as port:
        jo = account("secret", smtp_port=port, smtp_username="jo")
        mail = reserve(account=jo)
        deliver_all()
        drop_connections()
    mail.refresh_from_db()
    assert mail.state == MailState.SENT
    assert theirs.recipients == {mail.address: 1}


def test_an_account_without_a_server_sends_by_the_relay_of_the_installation(
    post: Post, account: Account, reserve: Reserve, settings: Settings
) -> None:
    settings.ALLOW_PRIVATE_SMTP_HOSTS = False  # that of EMAIL_URL is the operator's choice
    reserve(account=account(smtp_host="", smtp_port=None))
    deliver_all()
    assert len(post.letters) == 1


def test_each_worker_keeps_one_connection_per_account(post: Post, account: Account, reserve: Reserve) -> None:
    senders = [account(smtp_username="") for _ in range(2)]
    other = Post()
    with serving(other) as port:
        EmailAccount.objects.filter(pk=senders[1].pk).update(smtp_port=port)
        for number in range(40):
            reserve(f"ida{number}@oakvale.example", account=senders[number % 2])
        deliver_all()
        drop_connections()
    assert (len(post.letters), len(other.letters)) == (20, 20)
    assert (post.sessions, other.sessions) == (1, 1)


def test_an_account_whose_server_is_away_holds_up_nobody_and_loses_nothing(
    post: Post, account: Account, reserve: Reserve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "SHORTEST_PAUSE_SECONDS", 60)  # it is not over before it is looked at
    with nobody_listening() as port:
        away = account(smtp_port=port)
        waiting, free = reserve(account=away), reserve("bo@oakvale.example", account=account())
        deliver_all()

    away.refresh_from_db()
    waiting.refresh_from_db()
    assert (waiting.state, waiting.attempts) == (MailState.RESERVED, 0)
    assert (away.send_status, bool(away.send_error)) == ("error", True)
    reason, until = limits.waiting_of(away)
    assert reason == limits.Reason.ERROR
    assert timedelta() < until - timezone.now() <= timedelta(seconds=accounts.SHORTEST_PAUSE_SECONDS)
    assert post.recipients == {free.address: 1}
    assert not delivery.is_due()


def test_a_refused_login_is_shown_and_no_mail_is_lost(
    settings: Settings, account: Account, reserve: Reserve, caplog: pytest.LogCaptureFixture
) -> None:
    theirs = Post(login=("jo", "secret"))
    with serving(theirs) as port:
        jo = account("wr0ng-s3cret", smtp_port=port, smtp_username="jo")
        mail = reserve(account=jo)
        pauses = []
        for _ in range(3):
            deliver_all()
            jo.refresh_from_db()
            pauses.append(jo.pause_seconds)
            EmailAccount.objects.update(paused_until=None)
        mail.refresh_from_db()
        assert (mail.state, mail.attempts) == (MailState.RESERVED, 0)
        assert (jo.send_status, jo.send_error[:3]) == ("error", "535")
        assert pauses == [5, 10, 20]
        assert "wr0ng-s3cret" not in jo.send_error + caplog.text
        right = account("secret").smtp_password
        EmailAccount.objects.filter(pk=jo.pk).update(smtp_password=right)
        deliver_all()
        drop_connections()
    jo.refresh_from_db()
    assert (jo.send_status, jo.send_error, jo.pause_seconds, jo.paused_until) == ("ok", "", 0, None)
    assert len(theirs.letters) == 1


@pytest.mark.parametrize("answer", ["451 4.7.1 Slow down", "450 4.7.0 Too many", "421 4.7.0 Later"])
def test_a_server_that_asks_for_patience_slows_the_account_down(
    post: Post, account: Account, reserve: Reserve, answer: str
) -> None:
    post.refuse_recipient = {f"ida{number}@oakvale.example": answer for number in range(5)}
    jo = account()
    many(reserve, 5, account=jo)
    pauses = []
    for _ in range(3):
        deliver_all()
        jo.refresh_from_db()
        assert limits.waiting_of(jo)[0] == limits.Reason.PAUSED
        pauses.append(jo.pause_seconds)
        EmailAccount.objects.update(paused_until=None)
    assert pauses == [5, 10, 20]
    assert count(attempts=1) == 3  # one try for each pause
    post.refuse_recipient = {}
    OutboxMail.objects.update(not_before=timezone.now())
    deliver_all()
    jo.refresh_from_db()
    assert (jo.pause_seconds, jo.paused_until) == (0, None)
    assert set(post.recipients.values()) == {1}
    assert len(post.letters) == 5


def test_a_full_mailbox_slows_only_its_own_mail_down(post: Post, account: Account, reserve: Reserve) -> None:
    post.refuse_recipient["ida0@oakvale.example"] = "450 4.2.0 Greylisted"
    jo = account()
    many(reserve, 5, account=jo)
    deliver_all()
    jo.refresh_from_db()
    assert jo.paused_until is None
    assert (count(state="sent"), count(state="reserved", attempts=1)) == (4, 1)


def test_a_server_that_closes_after_some_letters_gets_the_rest_later(
    post: Post, account: Account, reserve: Reserve
) -> None:
    post.close_after = 3
    jo = account()
    many(reserve, 8, account=jo)
    deliver_all()
    jo.refresh_from_db()
    assert (count(state="sent"), count(state="reserved", attempts=0)) == (3, 5)
    assert limits.waiting_of(jo)[0] == limits.Reason.PAUSED
    post.close_after = 0
    EmailAccount.objects.update(paused_until=None)
    OutboxMail.objects.update(not_before=timezone.now())
    deliver_all()
    assert set(post.recipients.values()) == {1}
    assert len(post.letters) == 8


def test_a_refused_sender_is_the_accounts_fault_and_waits(post: Post, account: Account, reserve: Reserve) -> None:
    post.refuse_sender["eve@oakvale.example"] = "553 5.7.1 Not your address"
    jo = account()
    wrong = reserve(account=jo, sender="eve@oakvale.example")
    deliver_all()
    wrong.refresh_from_db()
    jo.refresh_from_db()
    assert (wrong.state, wrong.attempts, wrong.error_code) == (MailState.RESERVED, 1, "smtp_553")
    assert jo.send_status == "error"
    assert "eve@oakvale.example" in jo.send_error
    right = reserve("bo@oakvale.example", account=jo)
    deliver_all()
    jo.refresh_from_db()
    assert (jo.send_status, post.recipients) == ("ok", {right.address: 1})


@pytest.mark.parametrize(
    ("answer", "suppresses"),
    [
        *(("550 5.1.1 No such user", True), ("550 5.1.10 Null MX", True), ("551 5.1.6 Moved", True)),
        *(("550 5.1.2 No such domain", True), ("501 5.1.3 Bad syntax", True)),
        *(("552 5.3.4 Too large", False), ("554 5.7.1 Relay access denied", False), ("550 5.7.26 Unsigned", False)),
        *(
            ("554 5.6.0 Content", False),
            ("550 No such user", False),
            ("550 5.1.10.1 x", False),
            ("550 5.2.1 Off", False),
        ),
    ],
)
def test_a_dead_address_is_suppressed_and_no_other(post: Post, reserve: Reserve, answer: str, suppresses: bool) -> None:
    mail = reserve()
    post.refuse_recipient[mail.address] = answer
    deliver_all()
    mail.refresh_from_db()
    assert mail.state == MailState.ERROR
    found = Suppression.objects.filter(organization=mail.organization, address=mail.address)
    assert [row.reason for row in found] == (["bounced"] if suppresses else [])


@pytest.mark.parametrize("answer", ["550 5.7.1 Not authorized", "452 4.2.2 Mailbox full"])
def test_the_third_mail_given_up_suppresses_the_address(post: Post, reserve: Reserve, answer: str) -> None:
    post.refuse_recipient["ida@oakvale.example"] = answer
    for number in range(3):
        assert not Suppression.objects.exists()
        reserve(attempts=12, step=str(number))
        deliver_all()
    assert count(state="error") == 3
    assert Suppression.objects.get().reason == "bounced"


def test_a_server_that_hangs_up_before_the_content_gets_the_mail_later(post: Post, reserve: Reserve) -> None:
    post.hang_up_before_data.add("ida@oakvale.example")
    mail, other = reserve(), reserve("bo@oakvale.example")
    deliver_all()
    mail.refresh_from_db()
    assert (mail.state, mail.attempts) == (MailState.RESERVED, 1)
    assert post.recipients == {other.address: 1}


@pytest.mark.parametrize(
    ("limit", "window", "reason"),
    [("daily_limit", timedelta(days=1), "daily_limit"), ("hourly_limit", timedelta(hours=1), "hourly_limit")],
)
def test_a_limit_is_counted_from_what_has_left(
    post: Post, account: Account, reserve: Reserve, limit: str, window: timedelta, reason: str
) -> None:
    jo = account(**{limit: 5})
    now = timezone.now()
    reserve("a@x.example", account=jo, state="sent", date_sent=now - window * 1.01)  # has fallen out
    reserve("b@x.example", account=jo, state="sent", date_sent=now - window * 0.9)
    reserve("c@x.example", account=jo, state="unknown", date_sent=now)  # may have left
    many(reserve, 8, account=jo)

    deliver_all()
    cache.clear()  # a wiped Redis lifts no limit
    EmailAccount.objects.update(waits_until=None)
    deliver_all()

    assert len(post.letters) == 3
    jo.refresh_from_db()
    found, until = limits.waiting_of(jo)
    assert found == reason
    assert until == now - window * 0.9 + window
    assert jo.waits_until == until
    assert not delivery.is_due()
    assert count(state="reserved", attempts=0) == 5
    OutboxMail.objects.filter(state="sent").update(date_sent=now - window * 1.01)
    EmailAccount.objects.update(waits_until=None)
    deliver_all()
    assert len(post.letters) == 7


def test_the_limit_that_holds_longest_is_told(account: Account, reserve: Reserve) -> None:
    jo = account(daily_limit=1, hourly_limit=1, minimum_gap_seconds=60)
    reserve("b@x.example", account=jo, state="sent", date_sent=timezone.now())
    assert limits.waiting_of(jo)[0] == limits.Reason.DAILY
    assert limits.waiting_of(account()) is None


def test_between_two_mails_of_an_account_lies_its_minimum_gap(post: Post, account: Account, reserve: Reserve) -> None:
    jo = account(minimum_gap_seconds=30)
    many(reserve, 3, account=jo)
    for sent in (1, 2, 3):
        deliver_all()
        assert len(post.letters) == sent
        deliver_all()
        assert len(post.letters) == sent
        jo.refresh_from_db()
        last = OutboxMail.objects.filter(state="sent").latest("date_sent").date_sent
        if sent < 3:
            assert limits.waiting_of(jo) == (limits.Reason.GAP, last + timedelta(seconds=30))
        OutboxMail.objects.filter(state="sent").update(date_sent=timezone.now() - timedelta(seconds=31))
        EmailAccount.objects.update(waits_until=None)


@pytest.mark.django_db(transaction=True)
def test_several_workers_at_once_stay_below_the_limit(post: Post, account: Account, reserve: Reserve) -> None:
    jo = account(daily_limit=37)
    many(reserve, 80, account=jo)
    start = Barrier(3)

    def work() -> None:
        start.wait()
        try:
            for _ in range(8):
                EmailAccount.objects.update(waits_until=None)
                delivery.deliver_slice(5)
        finally:
            drop_connections()
            connection.close()

    workers = [Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)

    assert len(post.letters) == 37
    assert set(post.recipients.values()) == {1}
    assert (count(state="sent"), count(state="reserved")) == (37, 43)


def test_a_host_that_is_private_by_now_is_not_connected_to(
    post: Post, account: Account, reserve: Reserve, settings: Settings
) -> None:
    jo = account(smtp_host="localhost")
    settings.ALLOW_PRIVATE_SMTP_HOSTS = False
    mail = reserve(account=jo)
    deliver_all()
    mail.refresh_from_db()
    jo.refresh_from_db()
    assert (mail.state, mail.attempts, post.sessions) == (MailState.RESERVED, 0, 0)
    assert "private" in jo.send_error


def test_mail_of_a_deleted_account_does_not_leave_by_another(post: Post, account: Account, reserve: Reserve) -> None:
    jo = account()
    mail = reserve(account=jo)
    jo.delete()
    deliver_all()
    mail.refresh_from_db()
    assert (mail.state, mail.error_code) == (MailState.WITHHELD, "account_gone")
    assert not post.letters


@pytest.mark.parametrize(
    ("refusal", "status"), [(None, "sent"), ("550 5.1.1 No", "error"), ("452 4.2.2 Full", "outbox")]
)
def test_the_activity_follows_its_mail(post: Post, reserve: Reserve, refusal: str | None, status: str) -> None:
    activity = factories.ActivityFactory.create(type="email", status="outbox", details={"template_id": "tmpl_1"})
    mail = reserve(activity_id=activity.pk)
    if refusal:
        post.refuse_content[mail.address] = refusal
    deliver_all()
    mail.refresh_from_db()
    activity.refresh_from_db()
    assert (activity.status, activity.date_sent) == (status, mail.date_sent)
    assert activity.details["template_id"] == "tmpl_1"
    (attempt,) = activity.details["send_attempts"]
    assert (attempt["status"], attempt["error_message"]) == (mail.state, mail.error_message)
