"""A reserved mail leaves once, whatever servers do to it."""

import uuid
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from math import inf
from threading import Barrier, Thread
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from crm.mail import answers, delivery
from crm.models import MailState, OutboxMail, Purpose, Suppression
from tests.factories import OrganizationFactory
from tests.smtp import Post, drop_connections, nobody_listening, serving

Reserve = Callable[..., OutboxMail]


@pytest.fixture(params=[False, True], ids=["one by one", "in groups"])
def takes_groups(request: pytest.FixtureRequest) -> bool:
    return request.param


def state_of(mail: OutboxMail) -> str:
    return OutboxMail.objects.values_list("state", flat=True).get(pk=mail.pk)


def make_due(mail: OutboxMail) -> None:
    OutboxMail.objects.filter(pk=mail.pk).update(not_before=timezone.now())


def deliver_all() -> None:
    assert delivery.deliver_slice(20) is False


def test_a_reserved_mail_is_sent_once(post: Post, reserve: Reserve) -> None:
    mail = reserve()

    deliver_all()
    deliver_all()

    mail.refresh_from_db()
    assert (mail.state, mail.attempts, mail.claim, mail.error_code) == (MailState.SENT, 1, None, None)
    assert mail.date_sent is not None
    assert post.recipients == {"ida@oakvale.example": 1}
    assert post.messages()[0]["Message-ID"] == mail.message_id


def test_many_mails_leave_over_one_connection(post: Post, reserve: Reserve) -> None:
    for number in range(35):
        reserve(f"ida{number}@oakvale.example")

    deliver_all()

    assert set(post.recipients.values()) == {1}
    assert len(post.letters) == 35
    assert post.sessions == 1


def test_a_mail_waits_for_its_time(post: Post, reserve: Reserve) -> None:
    mail = reserve(not_before=timezone.now() + timedelta(minutes=1))

    deliver_all()

    assert state_of(mail) == MailState.RESERVED
    assert not post.letters


def test_commands_go_in_a_group_where_the_server_offers_that(post: Post, reserve: Reserve, takes_groups: bool) -> None:
    for number in range(3):
        reserve(f"ida{number}@oakvale.example")

    deliver_all()

    assert (len(post.letters), post.groups) == (3, 3 if takes_groups else 0)


def deliver_around(post: Post, reserve: Reserve) -> OutboxMail:
    """Delivers a mail to ida, whom the server treats badly, and others behind it: those leave, hers does not."""
    mail, others = reserve(), [reserve(f"bo{number}@oakvale.example") for number in range(3)]
    deliver_all()
    assert {state_of(other) for other in others} == {MailState.SENT}
    assert post.recipients == {f"bo{number}@oakvale.example": 1 for number in range(3)}
    mail.refresh_from_db()
    return mail


def test_nothing_is_left_of_a_group_whose_recipient_was_refused_even_where_the_content_was_asked_for(
    post: Post, reserve: Reserve
) -> None:
    post.takes_data_for_nobody = True
    post.refuse_recipient["ida@oakvale.example"] = "550 5.1.1 No such user"
    assert deliver_around(post, reserve).state == MailState.ERROR


def test_an_answer_that_is_neither_yes_nor_no_sends_nothing(post: Post, reserve: Reserve) -> None:
    post.vague_about_recipient.add("ida@oakvale.example")
    assert deliver_around(post, reserve).state == MailState.RESERVED


def test_lines_that_start_with_a_dot_arrive_whole(post: Post, reserve: Reserve) -> None:
    reserve(body_text=".\n..\n.hidden\n")

    deliver_all()

    assert post.messages()[0].get_content() == ".\n..\n.hidden\n"


@pytest.mark.parametrize("where", ["refuse_recipient", "refuse_content"])
def test_a_mail_refused_for_now_is_tried_later_with_growing_delay(post: Post, reserve: Reserve, where: str) -> None:
    getattr(post, where)["ida@oakvale.example"] = "451 4.7.1 Come back later"
    mail, other = reserve(), reserve("bo@oakvale.example")

    for seconds in (60, 120, 240):
        before = timezone.now()
        deliver_all()
        mail.refresh_from_db()
        assert (mail.state, mail.error_code) == (MailState.RESERVED, "smtp_451")
        assert before <= mail.not_before - timedelta(seconds=seconds) <= timezone.now()
        make_due(mail)
    getattr(post, where).clear()
    deliver_all()

    mail.refresh_from_db()
    assert (mail.state, mail.attempts, mail.error_code) == (MailState.SENT, 4, None)
    assert state_of(other) == MailState.SENT
    assert post.recipients == {"ida@oakvale.example": 1, "bo@oakvale.example": 1}
    assert [message["Message-ID"] for message in post.messages()][-1] == mail.message_id


def test_a_mail_refused_for_now_for_three_days_is_given_up(post: Post, reserve: Reserve) -> None:
    post.refuse_recipient["ida@oakvale.example"] = "452 4.2.2 Mailbox full"
    mail = reserve(attempts=answers.MAX_ATTEMPTS - 1)

    deliver_all()

    mail.refresh_from_db()
    assert (mail.state, mail.error_code) == (MailState.ERROR, "smtp_452")
    waited = timedelta(seconds=answers.FIRST_RETRY_SECONDS * (2 ** (answers.MAX_ATTEMPTS - 1) - 1))
    assert timedelta(hours=60) < waited < timedelta(hours=72)


@pytest.mark.parametrize("where", ["refuse_recipient", "refuse_content"])
def test_a_mail_refused_for_good_is_an_error(post: Post, reserve: Reserve, where: str) -> None:
    getattr(post, where)["ida@oakvale.example"] = "550 5.1.1 No such mailbox " + "x" * 400
    mail, other = reserve(), reserve("bo@oakvale.example")

    deliver_all()
    deliver_all()

    mail.refresh_from_db()
    assert (mail.state, mail.error_code, mail.date_sent) == (MailState.ERROR, "smtp_550", None)
    assert mail.error_message.startswith("5.1.1 No such mailbox")
    assert len(mail.error_message) <= 300
    assert state_of(other) == MailState.SENT
    assert post.sessions == 1


def test_no_answer_after_the_content_means_unknown_and_is_never_resent(post: Post, reserve: Reserve) -> None:
    post.hang_up_after_data.add("ida@oakvale.example")
    mail, others = reserve(), [reserve(f"bo{number}@oakvale.example") for number in range(3)]

    deliver_all()
    delivery.sweep_lost()
    deliver_all()

    mail.refresh_from_db()
    assert (mail.state, mail.error_code) == (MailState.UNKNOWN, "no_answer")
    assert {state_of(other) for other in others} == {MailState.SENT}
    assert set(post.recipients.values()) == {1}
    assert len(post.letters) == 4


def test_a_server_that_answers_too_late_means_unknown(post: Post, reserve: Reserve, settings: Settings) -> None:
    settings.SMTP_TIMEOUT_SECONDS = 0.3
    post.seconds_per_letter = 1
    mail = reserve()

    deliver_all()

    assert state_of(mail) == MailState.UNKNOWN


def test_a_mail_that_makes_the_server_hang_up_does_not_stop_the_rest(
    post: Post, reserve: Reserve, takes_groups: bool
) -> None:
    post.hang_up_at_recipient.add("ida@oakvale.example")

    mail = deliver_around(post, reserve)

    assert (mail.state, mail.attempts) == (MailState.RESERVED, 1)
    assert mail.not_before > timezone.now()
    assert post.groups == takes_groups, "one by one afterwards: it is to be known at which command it hangs up again"


def test_a_server_that_takes_nothing_is_not_held_against_the_mails(post: Post, reserve: Reserve) -> None:
    post.hang_up_at_mail = True
    mails = [reserve(f"ida{number}@oakvale.example") for number in range(3)]
    before = timezone.now()

    deliver_all()

    assert post.sessions == 1  # not asked again at once
    for mail in mails:
        mail.refresh_from_db()
        assert (mail.state, mail.attempts) == (MailState.RESERVED, 0)
        assert before <= mail.not_before - timedelta(seconds=delivery.RELAY_RETRY_SECONDS) <= timezone.now()
        make_due(mail)
    post.hang_up_at_mail = False
    deliver_all()
    assert set(post.recipients.values()) == {1}
    assert len(post.letters) == 3


def test_mail_waits_while_the_server_is_down_and_leaves_when_it_is_back(settings: Settings, reserve: Reserve) -> None:
    mail = reserve()

    with nobody_listening() as port:
        settings.EMAIL_URL = f"smtp://127.0.0.1:{port}"
        deliver_all()

    mail.refresh_from_db()
    assert (mail.state, mail.attempts) == (MailState.RESERVED, 0)
    assert delivery.is_due()
    post = Post()
    with serving(post, port):
        deliver_all()
    assert state_of(mail) == MailState.SENT
    with serving(post, port):  # started anew: the kept connection is of no use
        second = reserve("bo@oakvale.example")
        deliver_all()
        deliver_all()
    assert state_of(second) == MailState.SENT
    assert set(post.recipients.values()) == {1}


def test_without_an_address_the_embedded_sink_is_used(settings: Settings, reserve: Reserve) -> None:
    settings.EMAIL_URL = ""
    settings.HOME.sink_port_file.unlink(missing_ok=True)
    mail = reserve()
    deliver_all()
    assert state_of(mail) == MailState.RESERVED
    post = Post()

    with serving(post) as port:
        settings.HOME.sink_port_file.write_text(str(port))
        deliver_all()

    settings.HOME.sink_port_file.unlink()
    assert state_of(mail) == MailState.SENT


def test_a_slow_server_gets_few_mails_per_chunk_and_the_rest_go_back(post: Post, reserve: Reserve) -> None:
    post.seconds_per_letter = 0.15
    mails = [reserve(f"ida{number}@oakvale.example") for number in range(5)]

    assert delivery.deliver_chunk() == 5

    states = [state_of(mail) for mail in mails]
    assert states == [MailState.SENT] * 2 + [MailState.RESERVED] * 3
    deliver_all()
    assert set(post.recipients.values()) == {1}
    assert len(post.letters) == 5


@pytest.mark.django_db(transaction=True)
def test_a_chunk_that_has_left_takes_the_next_one_in_hand_with_its_own_commit(
    post: Post, reserve: Reserve, settings: Settings
) -> None:
    settings.MAIL_CHUNK_SECONDS = 10
    for number in range(35):
        reserve(f"ida{number}@oakvale.example")
    in_hand: list[int] = []

    def look(sources: set[UUID]) -> set[UUID]:
        in_hand.append(OutboxMail.objects.filter(state=MailState.SENDING).count())
        return sources

    delivery.register_gate(Purpose.BULK, look)
    with CaptureQueriesContext(connection) as queries:
        assert delivery.deliver_chunk(until=inf) == 35

    assert in_hand == [10, 10, 10, 5], "never more than one chunk"
    assert post.recipients == {f"ida{number}@oakvale.example": 1 for number in range(35)}
    assert [query["sql"] for query in queries].count("COMMIT") == 1 + 4, "the first claim, and each chunk"


@pytest.mark.django_db(transaction=True)
def test_a_listener_hears_of_a_source_once_none_of_its_mail_is_in_hand(
    post: Post, reserve: Reserve, settings: Settings
) -> None:
    settings.MAIL_CHUNK_SECONDS = 10
    sources = [uuid.uuid4(), uuid.uuid4()]
    for number in range(25):
        reserve(f"ida{number}@oakvale.example", source_id=sources[number >= 15])
    told: list[tuple[set[UUID], Counter[str]]] = []

    def listen(keys: set[UUID]) -> None:
        told.append((keys, Counter(OutboxMail.objects.filter(source_id__in=keys).values_list("state", flat=True))))

    delivery.register_listener(Purpose.BULK, listen)
    assert delivery.deliver_chunk(until=inf) == 25

    assert told == [({sources[0]}, Counter(sent=15)), ({sources[1]}, Counter(sent=10))]


def test_behind_a_chunk_with_trouble_nothing_is_taken_in_hand(post: Post, reserve: Reserve, settings: Settings) -> None:
    settings.MAIL_CHUNK_SECONDS = 10
    mails = [reserve(f"ida{number}@oakvale.example") for number in range(15)]
    post.refuse_recipient["ida3@oakvale.example"] = "450 4.2.1 Mailbox busy"

    assert delivery.deliver_chunk(until=inf) == 10
    assert Counter(map(state_of, mails)) == {MailState.SENT: 9, MailState.RESERVED: 6}
    assert delivery.deliver_chunk(until=inf) == 5
    assert Counter(map(state_of, mails)) == {MailState.SENT: 14, MailState.RESERVED: 1}


def test_a_mail_that_cannot_be_built_is_an_error_and_stops_nobody(post: Post, reserve: Reserve) -> None:
    bad = reserve(subject="Hello\r\nBcc: eve@oakvale.example")
    good = reserve("bo@oakvale.example")

    deliver_all()

    bad.refresh_from_db()
    assert (bad.state, bad.error_code) == (MailState.ERROR, "invalid_message")
    assert state_of(good) == MailState.SENT
    assert post.recipients == {"bo@oakvale.example": 1}


def test_a_suppressed_address_is_withheld_except_for_notices(post: Post, reserve: Reserve) -> None:
    mail = reserve()
    notice = reserve(purpose=Purpose.NOTICE)
    Suppression.objects.create(organization=mail.organization, address=mail.address, reason="unsubscribed")

    deliver_all()

    mail.refresh_from_db()
    assert (mail.state, mail.error_code, mail.error_message) == (MailState.WITHHELD, "suppressed", "unsubscribed")
    assert state_of(notice) == MailState.SENT
    assert len(post.letters) == 1


def test_another_organizations_suppression_counts_for_nothing(post: Post, reserve: Reserve) -> None:
    mail = reserve()
    Suppression.objects.create(organization=OrganizationFactory.create(), address=mail.address, reason="manual")

    deliver_all()

    assert state_of(mail) == MailState.SENT


@pytest.mark.django_db(transaction=True)
def test_an_address_suppressed_after_the_claim_is_withheld(post: Post, reserve: Reserve) -> None:
    """A gate is asked after the claim has been committed: the moment to suppress from elsewhere."""
    mail = reserve()

    def suppress(sources: set[UUID]) -> set[UUID]:
        in_another_session(
            lambda: Suppression.objects.create(
                organization=mail.organization, address=mail.address, reason="complained"
            )
        )
        return sources

    delivery.register_gate(Purpose.BULK, suppress)
    deliver_all()

    assert state_of(mail) == MailState.WITHHELD
    assert not post.letters


def test_a_gate_holds_back_the_mail_of_its_source_and_no_other(post: Post, reserve: Reserve) -> None:
    paused = uuid.uuid4()
    held = [reserve(f"ida{number}@oakvale.example", source_id=paused) for number in range(25)]
    notice = reserve(source_id=paused, purpose=Purpose.NOTICE)
    free = reserve("bo@oakvale.example")
    asked: list[set[UUID]] = []
    closed = {paused}

    def gate(sources: set[UUID]) -> set[UUID]:
        asked.append(sources)
        return sources - closed

    delivery.register_gate(Purpose.BULK, gate)
    deliver_all()

    assert {state_of(mail) for mail in held} == {MailState.RESERVED}
    assert {state_of(notice), state_of(free)} == {MailState.SENT}
    assert asked == [{paused}, {free.source_id}]  # a closed source is asked about once in a slice
    closed.clear()
    deliver_all()
    assert {state_of(mail) for mail in held} == {MailState.SENT}
    assert {mail.attempts for mail in OutboxMail.objects.all()} == {1}
    assert len(post.letters) == 27


def test_mail_leaves_only_when_every_gate_agrees(post: Post, reserve: Reserve) -> None:
    mail = reserve()
    delivery.register_gate(Purpose.BULK, lambda sources: sources)
    delivery.register_gate(Purpose.BULK, lambda sources: set())

    deliver_all()

    assert state_of(mail) == MailState.RESERVED


@pytest.mark.django_db(transaction=True)
def test_several_delivery_workers_at_once_send_no_mail_twice(post: Post, reserve: Reserve) -> None:
    for number in range(200):
        reserve(f"ida{number}@oakvale.example")
    start = Barrier(4)

    def work() -> None:
        start.wait()
        try:
            deliver_all()
        finally:
            drop_connections()
            connection.close()

    workers = [Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert set(post.recipients.values()) == {1}
    assert len(post.letters) == 200
    assert set(OutboxMail.objects.values_list("state", "attempts")) == {(MailState.SENT, 1)}


@pytest.mark.django_db(transaction=True)
def test_the_sweep_leaves_alone_what_a_live_worker_has_in_hand(post: Post, reserve: Reserve) -> None:
    mail = reserve(state=MailState.SENDING, claim=1, claimed_at=timezone.now() - timedelta(minutes=1))
    fresh = reserve("bo@oakvale.example", state=MailState.SENDING, claim=2, claimed_at=timezone.now())
    with transaction.atomic():
        OutboxMail.objects.select_for_update().get(pk=mail.pk)
        in_another_session(delivery.sweep_lost)
    assert state_of(mail) == MailState.SENDING

    assert delivery.sweep_lost() == 1

    assert (state_of(mail), state_of(fresh)) == (MailState.UNKNOWN, MailState.SENDING)
    deliver_all()
    assert not post.letters


def in_another_session(work: Callable[[], object]) -> None:
    def run() -> None:
        try:
            work()
        finally:
            connection.close()

    thread = Thread(target=run)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
