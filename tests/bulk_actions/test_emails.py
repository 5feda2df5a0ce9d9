"""Bulk emails: each address once, every mail counted at every moment, and none leaves while the job stands still."""

import time
import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bulk_actions import locks, slots
from bulk_actions.actions.email import Email
from bulk_actions.loading import load
from bulk_actions.progress import progress_of
from bulk_actions.results import all_of, page_of
from bulk_actions.retrying import retry
from bulk_actions.services import cancel, pause, resume
from bulk_actions.states import Status
from bulk_actions.targets import OUTCOMES
from bulk_actions.undoing import undo
from crm.errors import Conflict, FieldErrors, Invalid
from crm.mail.outbox import new_message_id
from crm.mail.suppression import suppress
from crm.models import (
    Activity,
    Contact,
    EmailTemplate,
    Lead,
    LeadStatus,
    MailState,
    Membership,
    OutboxMail,
    Purpose,
)
from tests import factories
from tests.bulk_actions.helpers import caller_of, check_invariant, make_leads
from tests.bulk_actions.mailing import deliver, deliver_in_a_thread, mail_job, people, run, told, with_address, work
from tests.smtp import Post

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_doorbells")]


def test_each_lead_gets_one_mail_and_the_job_is_done_when_the_last_has_left(
    membership: Membership, status: LeadStatus, template: EmailTemplate, post: Post
) -> None:
    leads = people(status, 5)
    action = work(mail_job(membership, template, leads))

    progress = progress_of([action])[action.pk]
    assert (action.status, progress.n_pending, progress.n_leads_processed) == (Status.PROCESSING, 5, 0)
    deliver()
    check_invariant(action)
    work(action)

    assert (action.status, action.n_succeeded, action.n_objects) == (Status.DONE, 5, 5)
    letters = {to: n for to, n in post.recipients.items() if to.endswith("moss.example")}
    assert letters == {f"ida{n}@moss.example": 1 for n in range(5)}
    shown = Activity.objects.filter(details__bulk_email_action_id=str(action.pk))
    assert {one.lead_id for one in shown.filter(status="sent", type="email")} == {lead.pk for lead in leads}


def test_who_gets_no_mail_is_skipped_with_the_reason(
    membership: Membership, status: LeadStatus, template: EmailTemplate, post: Post
) -> None:
    nobody, left, wrong, first, twice, gone = make_leads(status, 6)
    factories.ContactFactory.create(lead=nobody)
    for lead, address in ((left, "left@moss.example"), (wrong, "ida at moss"), (gone, "gone@moss.example")):
        with_address(lead, address)
    with_address(first, "ida@moss.example")
    with_address(twice, "Ida@Moss.example")
    suppress(membership.organization.pk, "left@moss.example", "unsubscribed")
    action = mail_job(membership, template, [nobody, left, wrong, first, twice, gone])
    slots.start_if_free(action)
    load(action.pk)
    Lead.objects.filter(pk=gone.pk).update(deleted_at=timezone.now())

    run(action)

    rows = {row.lead_id: (row.outcome, row.code, row.email) for row in all_of(action, OUTCOMES)}
    assert rows == {
        nobody.pk: ("skipped", "no_address", None),
        left.pk: ("skipped", "unsubscribed", "left@moss.example"),
        wrong.pk: ("skipped", "invalid_address", "ida at moss"),
        first.pk: ("succeeded", None, "ida@moss.example"),
        twice.pk: ("skipped", "duplicate_address", "Ida@Moss.example"),
        gone.pk: ("skipped", "lead_gone", None),
    }
    assert action.status == Status.DONE


def test_all_contacts_of_a_lead_are_objects_of_their_own(
    membership: Membership, status: LeadStatus, template: EmailTemplate, post: Post
) -> None:
    first, second = make_leads(status, 2)
    with_address(first, "a@moss.example", "b@moss.example")
    with_address(first, "c@moss.example")
    with_address(second, "d@moss.example")

    by_contact = run(mail_job(membership, template, [first, second], contact_preference="contact"))
    assert (by_contact.n_leads, by_contact.n_objects, by_contact.n_succeeded) == (2, 3, 3)
    by_address = run(mail_job(membership, template, [first, second], contact_preference="all"))
    assert (by_address.n_leads, by_address.n_objects, by_address.n_succeeded) == (2, 4, 4)

    walked, after = [], 0
    while page := page_of(by_address, OUTCOMES, after=after, size=1):
        walked += [row.email for row in page]
        after = page[-1].key
    assert walked == [f"{name}@moss.example" for name in "abcd"]


def test_what_the_server_refuses_has_failed_and_so_has_what_cannot_be_rendered(
    membership: Membership, status: LeadStatus, template: EmailTemplate, post: Post
) -> None:
    template.undefined = "error"
    template.body = "<p>{{ contact.title }}</p>"
    template.save()
    leads = people(status, 3)
    Contact.objects.exclude(lead=leads[0]).update(title="Miller")
    post.refuse_recipient["ida1@moss.example"] = "550 5.1.1 No such user"

    action = run(mail_job(membership, template, leads))

    assert told(action) == {
        "ida0@moss.example": ("failed", "template_error"),
        "ida1@moss.example": ("failed", "smtp_550"),
        "ida2@moss.example": ("succeeded", None),
    }


def test_the_session_does_not_lie_idle_while_mails_are_rendered(
    membership: Membership, status: LeadStatus, template: EmailTemplate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bulk_actions.actions.email._STIR_SECONDS", 0)
    with CaptureQueriesContext(connection) as queries:
        work(mail_job(membership, template, people(status, 5)))
    assert [query["sql"] for query in queries].count("SELECT") == 5


def test_after_a_pause_no_mail_leaves_and_other_mail_of_the_account_does(
    membership: Membership, status: LeadStatus, template: EmailTemplate, post: Post
) -> None:
    post.seconds_per_letter = 0.05
    action = work(mail_job(membership, template, people(status, 40)))
    worker = deliver_in_a_thread()
    deadline = time.monotonic() + 20
    while not post.letters:
        assert time.monotonic() < deadline
        time.sleep(0.01)

    pause(action=action, by=membership.user)
    left = len(post.letters)
    worker.join()
    deliver()

    assert 0 < left < 40
    assert len(post.letters) == left
    check_invariant(action)
    assert not OutboxMail.objects.filter(source_id=action.pk, not_before__lt=timezone.now()).exclude(
        state=MailState.SENT
    )
    sender = "jo@oakvale.example"
    other = OutboxMail.objects.create(
        organization=membership.organization, purpose=Purpose.SINGLE, source_id=uuid.uuid4(), address="bo@moss.example",
        sender=sender, subject="Hello", body_text="Hello", message_id=new_message_id(sender),
    )  # fmt: skip
    deliver()
    other.refresh_from_db()
    assert other.state == MailState.SENT

    resume(action=action, by=membership.user)
    run(action)
    assert action.status == Status.DONE
    assert {to: n for to, n in post.recipients.items() if to.startswith("ida")} == {
        f"ida{n}@moss.example": 1 for n in range(40)
    }


def test_a_pause_waits_for_the_mail_on_the_wire(
    membership: Membership, status: LeadStatus, template: EmailTemplate, post: Post
) -> None:
    post.seconds_per_letter = 1.0
    action = work(mail_job(membership, template, people(status, 3)))
    worker = deliver_in_a_thread()
    deadline = time.monotonic() + 20
    while not locks.holders(action.pk, locks.Purpose.MAIL):
        assert time.monotonic() < deadline
        time.sleep(0.01)

    pause(action=action, by=membership.user)
    left = len(post.letters)
    worker.join()

    assert len(post.letters) == left
    assert not OutboxMail.objects.filter(state=MailState.UNKNOWN).exists()


def test_a_cancel_withholds_what_has_not_left(
    membership: Membership, status: LeadStatus, template: EmailTemplate, post: Post
) -> None:
    action = work(mail_job(membership, template, people(status, 3)))

    cancel(action=action, by=membership.user)
    deliver()

    action.refresh_from_db()
    check_invariant(action)
    assert set(told(action).values()) == {("skipped", "cancelled")}
    assert (action.n_skipped, not any(to.startswith("ida") for to in post.recipients)) == (3, True)


def test_an_unsubscribe_withholds_the_mail_of_the_running_job(
    membership: Membership, status: LeadStatus, template: EmailTemplate, post: Post
) -> None:
    action = work(mail_job(membership, template, people(status, 2)))
    suppress(membership.organization.pk, "ida0@moss.example", "unsubscribed")

    deliver()
    work(action)

    assert told(action) == {
        "ida0@moss.example": ("skipped", "unsubscribed"),
        "ida1@moss.example": ("succeeded", None),
    }


def test_mails_that_may_have_left_are_sent_again_only_on_a_persons_word(
    membership: Membership, status: LeadStatus, template: EmailTemplate, post: Post
) -> None:
    post.hang_up_after_data.add("ida1@moss.example")
    action = run(mail_job(membership, template, people(status, 3)))
    deliver()
    work(action)
    assert (action.status, action.n_unknown, action.n_succeeded) == (Status.DONE, 1, 2)
    caller = caller_of(membership)

    with pytest.raises(FieldErrors) as problem:
        retry(action=action, outcomes=("unknown",), caller=caller)
    assert set(problem.value.field_errors) == {"confirm_possible_duplicates"}
    post.hang_up_after_data.clear()
    again = retry(action=action, outcomes=("unknown",), caller=caller, confirm_possible_duplicates=True)
    with pytest.raises(Conflict):
        retry(action=action, outcomes=("unknown",), caller=caller, confirm_possible_duplicates=True)
    run(again)

    assert (again.status, again.n_objects, again.n_succeeded) == (Status.DONE, 1, 1)
    assert post.recipients["ida1@moss.example"] == 2
    assert len({message["Message-ID"] for message in post.messages() if message["To"] == "ida1@moss.example"}) == 1
    check_invariant(action)
    assert told(action)["ida1@moss.example"] == ("unknown", "sent_again")


def test_a_retry_writes_to_nobody_who_has_the_mail(
    membership: Membership, status: LeadStatus, template: EmailTemplate, post: Post
) -> None:
    [lead] = make_leads(status, 1)
    with_address(lead, "a@moss.example")
    with_address(lead, "b@moss.example")
    post.refuse_recipient["b@moss.example"] = "554 5.6.0 Not this"
    action = run(mail_job(membership, template, [lead], contact_preference="contact"))
    assert (action.n_succeeded, action.n_failed) == (1, 1)
    post.refuse_recipient.clear()

    again = run(retry(action=action, outcomes=("failed",), caller=caller_of(membership)))

    assert told(again) == {
        "a@moss.example": ("skipped", "duplicate_address"),
        "b@moss.example": ("succeeded", None),
    }
    assert (post.recipients["a@moss.example"], post.recipients["b@moss.example"]) == (1, 1)


def test_mail_cannot_be_unsent(membership: Membership, status: LeadStatus, template: EmailTemplate, post: Post) -> None:
    action = run(mail_job(membership, template, people(status, 1)))
    with pytest.raises(Invalid, match="unsent"):
        undo(action=action, caller=caller_of(membership))


def test_the_mails_of_a_canary_leave_before_the_job_pauses_behind_them(
    membership: Membership, status: LeadStatus, template: EmailTemplate, post: Post
) -> None:
    action = work(mail_job(membership, template, people(status, 5), canary_leads=2))
    assert action.status == Status.PROCESSING

    run(action)

    assert action.status == Status.PAUSED
    assert len(post.letters) == 2
    resume(action=action, by=membership.user)
    run(action)
    assert (action.status, action.n_succeeded) == (Status.DONE, 5)


def test_a_job_over_too_many_leads_ends_before_any_mail(
    membership: Membership, status: LeadStatus, template: EmailTemplate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Email, "max_leads", 2)
    action = work(mail_job(membership, template, people(status, 3)))
    assert (action.status, action.error_code) == (Status.ERROR, "too_many_leads")
    assert not OutboxMail.objects.filter(source_id=action.pk, purpose=Purpose.BULK).exists()


def test_a_job_whose_template_is_gone_ends_with_an_error(
    membership: Membership, status: LeadStatus, template: EmailTemplate
) -> None:
    action = mail_job(membership, template, people(status, 1))
    template.delete()
    work(action)
    assert (action.status, action.error_code) == (Status.ERROR, "template_gone")
