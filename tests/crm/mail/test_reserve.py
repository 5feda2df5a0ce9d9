"""Reserving many mails at once: each address once, none to those who must not be written to."""

import uuid
from collections.abc import Callable
from threading import Barrier, Thread
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from crm.errors import FieldErrors
from crm.mail import delivery, outbox
from crm.mail.outbox import NewMail, Refusal, Refused, Reserved, reserve_again
from crm.models import MailState, Organization, OutboxMail, Purpose, Suppression
from tests import factories
from tests.smtp import Post

pytestmark = pytest.mark.django_db


def new_mail(organization: Organization, address: str | None, source_id: UUID, **more: object) -> NewMail:
    return NewMail(
        **{
            "organization": organization,
            "account": None,
            "purpose": Purpose.BULK,
            "source_id": source_id,
            "address": address,
            "sender": "Jo Field <jo@oakvale.example>",
            "subject": "こんにちは",
            "body_text": "Hello",
            **more,
        }
    )


def test_thousands_of_mails_are_reserved_in_a_few_statements(organization: Organization) -> None:
    source = uuid.uuid4()
    mails = [new_mail(organization, f"ida{number}@oakvale.example", source) for number in range(2500)]

    with CaptureQueriesContext(connection) as queries:
        answers = outbox.reserve(mails)

    assert sum("INSERT" in query["sql"] for query in queries) == 3
    assert len(queries) <= 5  # and the savepoint
    assert all(isinstance(answer, Reserved) for answer in answers)
    stored = dict(OutboxMail.objects.values_list("message_id", "address"))
    assert {answer.message_id: answer.address for answer in answers} == stored
    assert [answer.address for answer in answers] == [mail.address for mail in mails]
    assert len(stored) == 2500


def test_each_mail_gets_its_answer_in_order(organization: Organization) -> None:
    source = uuid.uuid4()
    for address, reason in (
        ("no@x.example", "unsubscribed"),
        ("gone@x.example", "bounced"),
        ("ah@x.example", "manual"),
    ):
        Suppression.objects.create(organization=organization, address=address, reason=reason)
    Suppression.objects.create(
        organization=factories.OrganizationFactory.create(), address="ida@x.example", reason="manual"
    )
    addresses = [
        *("ida@x.example", "NO@x.example", " Ida@X.example ", "", None, "ida at home", "gone@x.example"),
        *("a\r\nBcc: b@x.example", "bo@x.example", "ah@x.example", "a\x00@x.example"),
    ]

    answers = outbox.reserve([new_mail(organization, address, source) for address in addresses])

    assert [answer.code if isinstance(answer, Refused) else answer.address for answer in answers] == [
        *("ida@x.example", Refusal.UNSUBSCRIBED, Refusal.DUPLICATE_ADDRESS, Refusal.NO_ADDRESS, Refusal.NO_ADDRESS),
        *(Refusal.INVALID_ADDRESS, Refusal.BOUNCED, Refusal.INVALID_ADDRESS, "bo@x.example", Refusal.MANUAL),
        Refusal.INVALID_ADDRESS,
    ]
    assert OutboxMail.objects.count() == 2


def test_what_was_reserved_before_is_a_duplicate_and_another_source_or_step_is_not(organization: Organization) -> None:
    source = uuid.uuid4()
    outbox.reserve([new_mail(organization, "ida@x.example", source)])

    again, other_step, other_source = outbox.reserve(
        [
            new_mail(organization, "ida@x.example", source),
            new_mail(organization, "ida@x.example", source, step="2"),
            new_mail(organization, "ida@x.example", uuid.uuid4()),
        ]
    )

    assert again == Refused(Refusal.DUPLICATE_ADDRESS, "ida@x.example")
    assert isinstance(other_step, Reserved)
    assert isinstance(other_source, Reserved)


@pytest.mark.django_db(transaction=True)
def test_two_transactions_that_reserve_the_same_mails_reserve_each_once(organization: Organization) -> None:
    source = uuid.uuid4()
    addresses = [f"ida{number}@x.example" for number in range(300)]
    start, kept = Barrier(2), []

    def work(order: list[str]) -> None:
        start.wait()
        try:
            with transaction.atomic():
                answers = outbox.reserve([new_mail(organization, address, source) for address in order])
            kept.extend(answer.address for answer in answers if isinstance(answer, Reserved))
        finally:
            connection.close()

    workers = [Thread(target=work, args=(order,)) for order in (addresses, addresses[::-1])]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(20)

    assert sorted(kept) == sorted(addresses)
    assert OutboxMail.objects.count() == 300


def test_an_unknown_mail_is_sent_again_only_when_a_person_confirms_it(
    organization: Organization, post: Post, reserve: Callable[..., OutboxMail]
) -> None:
    activity = factories.ActivityFactory.create(type="email", status="error")
    unknown = reserve(state=MailState.UNKNOWN, activity_id=activity.pk, error_code="worker_lost", attempts=3)
    sent = reserve("bo@oakvale.example", state=MailState.SENT)
    ids = [unknown.pk, sent.pk]

    for word in (False, None, "true", 1):
        with pytest.raises(FieldErrors, match="confirm_possible_duplicates"):
            reserve_again(ids, organization_id=organization.pk, confirm_possible_duplicates=word)
    assert reserve_again(ids, organization_id=uuid.uuid4(), confirm_possible_duplicates=True) == []
    assert reserve_again(ids, organization_id=organization.pk, confirm_possible_duplicates=True) == [unknown.pk]

    activity.refresh_from_db()
    assert activity.status == "outbox"
    delivery.deliver_slice(5)
    assert post.messages()[0]["Message-ID"] == unknown.message_id
    unknown.refresh_from_db()
    activity.refresh_from_db()
    assert (unknown.state, unknown.attempts, unknown.error_code) == (MailState.SENT, 1, None)
    assert (activity.status, activity.date_sent) == ("sent", unknown.date_sent)
