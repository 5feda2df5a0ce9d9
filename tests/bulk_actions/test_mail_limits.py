"""A job whose account may send little runs for days: it waits in the database alone, and says for what."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from bulk_actions import doorbell, mails, sweeper
from bulk_actions.api.answers import show_actions
from bulk_actions.models import BulkAction
from bulk_actions.progress import progress_of
from bulk_actions.services import pause, resume
from bulk_actions.states import Status
from crm.connected_accounts import update_account
from crm.mail import accounts, delivery
from crm.models import EmailAccount, EmailTemplate, LeadStatus, MailState, Membership, OutboxMail
from tests import factories
from tests.bulk_actions.helpers import caller_of, check_invariant
from tests.bulk_actions.mailing import deliver, mail_job, people, run, work
from tests.smtp import Post, drop_connections

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_doorbells")]
DAY = timedelta(days=1)


@pytest.fixture
def account(membership: Membership) -> EmailAccount:
    return factories.EmailAccountFactory.create(organization=membership.organization, daily_limit=200)


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The jobs that the sweeper rings for."""
    rung: list[object] = []
    monkeypatch.setattr(doorbell, "ring_again", lambda action_id: rung.append(action_id) or 1)
    return rung


def wait_of(action: BulkAction) -> mails.Wait | None:
    return mails.waits_of([action]).get(action.pk)


def a_day_passes(account: EmailAccount) -> None:
    OutboxMail.objects.filter(date_sent__isnull=False).update(date_sent=F("date_sent") - DAY)
    EmailAccount.objects.filter(pk=account.pk).update(waits_until=F("waits_until") - DAY)


def everything_restarts() -> None:
    """No process keeps anything: connections are new, and Redis is empty."""
    drop_connections()
    connection.close()
    cache.clear()


def test_two_hundred_a_day_leave_and_the_rest_waits_for_its_day_without_a_worker(
    membership: Membership,
    status: LeadStatus,
    template: EmailTemplate,
    account: EmailAccount,
    post: Post,
    settings: Settings,
    rung: list[object],
) -> None:
    settings.BULK_MAX_RUNNING_PER_ORGANIZATION = 1
    action = work(mail_job(membership, template, people(status, 450), email_account_id=str(account.pk)))
    for day, sent in enumerate((200, 400, 450)):
        deliver()
        everything_restarts()
        deliver()
        assert len([to for to, _ in post.letters if to.startswith("ida")]) == sent, f"day {day}"
        check_invariant(action)
        if sent == 450:
            break
        assert not delivery.is_due(), "delivery is not rung for it"
        sweeper.sweep()
        assert rung == [], "nor is any worker"
        [shown] = show_actions([action])
        assert (shown["status"], shown["waiting_for"], shown["n_objects_processed"]) == (
            "processing", "daily_limit", sent,
        )  # fmt: skip
        _, until = wait_of(action)
        assert timedelta(hours=23, minutes=59) < until - timezone.now() <= DAY
        a_day_passes(account)
    sweeper.sweep()
    assert rung == [action.pk], "the last one has left: a worker is to end it"
    work(action)
    assert (action.status, action.n_succeeded) == (Status.DONE, 450)
    assert {n for to, n in post.recipients.items() if to.startswith("ida")} == {1}


def test_a_job_that_waits_for_its_day_holds_no_slot(
    membership: Membership,
    status: LeadStatus,
    template: EmailTemplate,
    account: EmailAccount,
    post: Post,
    settings: Settings,
) -> None:
    settings.BULK_MAX_RUNNING_PER_ORGANIZATION = 1
    EmailAccount.objects.update(daily_limit=2)
    waiting = work(mail_job(membership, template, people(status, 3), email_account_id=str(account.pk)))
    deliver()
    work(waiting)
    assert progress_of([waiting])[waiting.pk].n_succeeded == 2
    assert work(mail_job(membership, template, [])).status == Status.DONE
    check_invariant(waiting)


def test_a_page_of_waiting_jobs_takes_no_more_queries_than_one_of_them(
    membership: Membership, status: LeadStatus, template: EmailTemplate, account: EmailAccount, post: Post
) -> None:
    EmailAccount.objects.update(daily_limit=1)
    leads, counts = people(status, 2), []
    jobs = [work(mail_job(membership, template, leads, email_account_id=str(account.pk))) for _ in range(5)]
    deliver()
    for page in (jobs[1:2], jobs[1:]):
        with CaptureQueriesContext(connection) as captured:
            shown = show_actions(page)
        counts.append(len(captured))
        assert {one["waiting_for"] for one in shown} == {"daily_limit"}
    assert counts[0] == counts[1]
    for job in jobs:
        check_invariant(job)


def test_a_raised_limit_counts_at_once(
    membership: Membership, status: LeadStatus, template: EmailTemplate, account: EmailAccount, post: Post
) -> None:
    EmailAccount.objects.update(daily_limit=2)
    action = work(mail_job(membership, template, people(status, 5), email_account_id=str(account.pk)))
    deliver()
    assert not delivery.is_due()
    update_account(caller=caller_of(membership), account_id=account.pk, columns={"daily_limit": 4})
    deliver()
    assert progress_of([action])[action.pk].n_succeeded == 4
    check_invariant(action)


def test_mail_that_a_dead_worker_did_not_give_back_after_a_resume_is_given_back_by_the_next(
    membership: Membership, status: LeadStatus, template: EmailTemplate, post: Post, rung: list[object]
) -> None:
    action = work(mail_job(membership, template, people(status, 3)))
    pause(action=action, by=membership.user)
    resume(action=action, by=membership.user)
    BulkAction.objects.filter(pk=action.pk).update(status=Status.PROCESSING)  # and there it died
    deliver()
    assert not post.letters
    sweeper.sweep()
    assert rung == [action.pk]
    run(action)
    assert (action.status, action.n_succeeded) == (Status.DONE, 3)


def test_the_mails_of_one_paused_job_cost_another_of_its_account_nothing(
    membership: Membership, status: LeadStatus, template: EmailTemplate, post: Post
) -> None:
    """A resumed job looks for mails of its own that were set aside, by an index that has no others."""
    leads = people(status, 400)
    paused = work(mail_job(membership, template, leads))
    pause(action=paused, by=membership.user)
    other = work(mail_job(membership, template, leads[:1]))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE crm_outboxmail")
    with CaptureQueriesContext(connection) as captured:
        mails.let_go(other)
    update = next(query["sql"] for query in captured if "UPDATE crm_outboxmail" in query["sql"])
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        cursor.execute(f"EXPLAIN {update}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
        cursor.execute("RESET enable_seqscan")
    assert "outbox_set_aside" in plan
    check_invariant(paused)


def test_speed_and_remaining_time_are_those_of_the_mails_that_leave(
    membership: Membership, status: LeadStatus, template: EmailTemplate, account: EmailAccount, post: Post
) -> None:
    EmailAccount.objects.update(daily_limit=20)
    assert run(mail_job(membership, template, people(status, 30))).status == Status.DONE
    action = work(mail_job(membership, template, people(status, 50), email_account_id=str(account.pk)))
    assert progress_of([action])[action.pk].leads_per_second is None, "nothing of it has left"
    BulkAction.objects.filter(pk=action.pk).update(date_updated=timezone.now() - timedelta(minutes=5))
    action.refresh_from_db()
    deliver()
    progress = progress_of([action])[action.pk]
    assert (progress.leads_per_second, progress.eta_seconds) == (2.0, 15.0), "20 in the last 10 s, 30 to come"
    OutboxMail.objects.filter(source_id=action.pk, state=MailState.SENT).update(
        date_sent=timezone.now() - timedelta(seconds=11)
    )
    later = progress_of([action])[action.pk]
    assert (later.leads_per_second, later.eta_seconds) == (None, None), "it waits for its day"
    check_invariant(action)


def test_a_job_tells_that_its_server_has_asked_for_patience(
    membership: Membership, status: LeadStatus, template: EmailTemplate, post: Post, settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    settings.ALLOW_PRIVATE_SMTP_HOSTS = True
    monkeypatch.setattr(accounts, "SHORTEST_PAUSE_SECONDS", 60)  # it is not over before it is looked at
    own = factories.EmailAccountFactory.create(
        organization=membership.organization, smtp_host="127.0.0.1", smtp_security="none",
        smtp_port=int(settings.EMAIL_URL.rpartition(":")[2]),
    )  # fmt: skip
    post.close_after = 3
    action = work(mail_job(membership, template, people(status, 5), email_account_id=str(own.pk)))
    deliver()
    reason, until = wait_of(action)
    assert (reason, until > timezone.now()) == ("account_paused", True)
    assert len(post.letters) == 3
    post.close_after = 0
    EmailAccount.objects.update(paused_until=timezone.now())
    assert wait_of(action) is None
    run(action)
    assert (action.status, action.n_succeeded) == (Status.DONE, 5)
