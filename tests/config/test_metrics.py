"""What /metrics tells, read out of the database by a real scrape."""

import re
from datetime import timedelta

import pytest
from django.conf import settings as project_settings
from django.db import connection
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from bulk_actions.models import Batch, BulkAction
from bulk_actions.services import pause
from config.home import PROJECT
from crm.counters import count
from crm.ids import close_id
from crm.models import LeadStatus, MailState, Membership, OutboxMail, Purpose
from tests import factories
from tests.bulk_actions.helpers import check_invariant, make_leads, run_to_end, status_job
from tests.bulk_actions.mailing import mail_job, people, work
from tests.sessions import other_session, wait_until_blocked

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_doorbells")]


@pytest.fixture
def no_doorbells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bulk_actions.doorbell.ring", lambda *args, **kwargs: 0)


@pytest.fixture
def statuses(membership: Membership) -> list[LeadStatus]:
    return [factories.LeadStatusFactory.create(organization=membership.organization) for _ in range(2)]


def scrape(**headers: str) -> dict[tuple[str, ...], float]:
    """Each sample by its name and the values of its labels."""
    answer = Client().get("/metrics", headers=headers)
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
    }


def test_an_idle_service_has_every_metric_at_nought() -> None:
    seen = scrape()
    assert seen["drover_jobs", "edit", "running"] == 0
    assert seen["drover_oldest_waiting_job_seconds",] == 0
    assert seen["drover_leads_per_second", "delete"] == 0
    assert seen["drover_outbox_mails", "reserved"] == 0
    assert seen["drover_batches_rolled_back_total",] == seen["drover_sweeper_rescues_total",] == 0


def test_jobs_are_counted_by_kind_and_state_and_the_oldest_waiting_one_has_an_age(
    membership: Membership, statuses: list[LeadStatus]
) -> None:
    leads = make_leads(statuses[0], 3)
    paused, waiting, later, running = (status_job(membership, statuses[1], leads) for _ in range(4))
    pause(action=paused, by=membership.user)
    BulkAction.objects.filter(pk=waiting.pk).update(date_created=timezone.now() - timedelta(seconds=90))
    BulkAction.objects.filter(pk=later.pk).update(
        date_created=timezone.now() - timedelta(hours=3), run_at=timezone.now() + timedelta(hours=1)
    )
    BulkAction.objects.filter(pk=running.pk).update(
        status="processing", date_updated=timezone.now() - timedelta(seconds=40)
    )
    seen = scrape()
    assert [seen["drover_jobs", "edit", state] for state in ("running", "waiting", "paused")] == [1, 1, 1]
    assert 90 <= seen["drover_oldest_waiting_job_seconds",] < 120
    [(name, seconds)] = [(key, value) for key, value in seen.items() if key[0].endswith("seconds_since_commit")]
    assert name[1:] == (running.api_id, "edit", close_id("orga", membership.organization_id))
    assert 40 <= seconds < 70
    BulkAction.objects.filter(pk=waiting.pk).update(status="done")
    BulkAction.objects.filter(pk=paused.pk).update(
        status="resuming", date_updated=timezone.now() - timedelta(seconds=10)
    )
    assert 10 <= scrape()["drover_oldest_waiting_job_seconds",] < 40


def test_a_commit_and_the_rate_of_the_last_minute_are_read_from_the_ledger(
    membership: Membership, statuses: list[LeadStatus]
) -> None:
    job = run_to_end(status_job(membership, statuses[1], make_leads(statuses[0], 30)))
    assert scrape()["drover_leads_per_second", "edit"] == pytest.approx(0.5)
    Batch.objects.update(date_done=timezone.now() - timedelta(seconds=61))
    assert scrape()["drover_leads_per_second", "edit"] == 0
    BulkAction.objects.update(status="processing", date_updated=timezone.now() - timedelta(hours=1))
    [seconds] = [value for key, value in scrape().items() if key[0].endswith("seconds_since_commit")]
    assert 61 <= seconds < 90
    BulkAction.objects.update(status="done")
    check_invariant(job)


def test_the_outbox_has_depth_and_age_by_state(membership: Membership) -> None:
    now = timezone.now()
    for number, (state, column) in enumerate(
        [("reserved", "not_before"), ("sending", "claimed_at"), ("unknown", "date_created"), ("sent", "date_sent")]
    ):
        times = {column: now - timedelta(seconds=100 * (number + 1))}
        _mail(membership, f"{number}", state=MailState(state), **times)
    _mail(membership, "later", not_before=now + timedelta(hours=1))
    seen = scrape()
    assert [seen["drover_outbox_mails", state] for state in ("reserved", "sending", "unknown")] == [2, 1, 1]
    for number, state in enumerate(("reserved", "sending", "unknown")):
        assert seen["drover_outbox_oldest_seconds", state] == pytest.approx(100 * (number + 1), abs=20)


def test_mails_of_paused_jobs_are_set_aside_and_a_job_that_only_sends_does_not_stand(
    membership: Membership, statuses: list[LeadStatus]
) -> None:
    template = factories.EmailTemplateFactory.create(organization=membership.organization)
    leads = people(statuses[0], 3)
    sending, paused = (work(mail_job(membership, template, leads)) for _ in range(2))
    BulkAction.objects.filter(pk=sending.pk).update(date_updated=timezone.now() - timedelta(days=1))
    assert scrape()["drover_sending_jobs",] == 2
    pause(action=paused, by=membership.user)
    seen = scrape()
    assert [seen["drover_outbox_mails", state] for state in ("reserved", "set_aside")] == [3, 3]
    assert seen["drover_outbox_oldest_seconds", "reserved"] < 60
    assert seen["drover_sending_jobs",] == 1
    assert not [key for key in seen if key[0].endswith("seconds_since_commit")]
    for job in (sending, paused):
        check_invariant(job)


def test_accounts_that_send_nothing_now_are_counted_by_their_reason(membership: Membership) -> None:
    soon, past = timezone.now() + timedelta(hours=1), timezone.now() - timedelta(hours=1)
    for columns in (
        {"paused_until": soon, "send_status": "error"},
        {"paused_until": soon},
        {"waits_until": soon},
        {"waits_until": soon, "paused_until": past},
        {"waits_until": past},
        {},
    ):
        factories.EmailAccountFactory.create(organization=membership.organization, **columns)
    seen = scrape()
    reasons = ("account_error", "account_paused", "limit")
    assert [seen["drover_waiting_accounts", reason] for reason in reasons] == [1, 1, 2]


def _mail(membership: Membership, name: str, **columns: object) -> OutboxMail:
    return OutboxMail.objects.create(
        organization=membership.organization,
        purpose=Purpose.NOTICE,
        address="ida@oakvale.example",
        sender="x",
        subject="x",
        body_text="x",
        step=name,
        message_id=name,
        **columns,
    )


def test_counters_add_up_over_sessions() -> None:
    with other_session() as start:
        start(lambda: count("batches_rolled_back", 2)).result()
    count("batches_rolled_back")
    assert scrape()["drover_batches_rolled_back_total",] == 3


def test_with_a_token_only_its_bearer_reads(settings: Settings) -> None:
    settings.METRICS_TOKEN = "s3cret"
    for headers in ({}, {"Authorization": "Bearer other"}, {"Authorization": "Basic s3cret"}):
        refused = Client().get("/metrics", headers=headers)
        assert (refused.status_code, refused["WWW-Authenticate"]) == (401, "Bearer")
        assert b"drover_" not in refused.content
    assert scrape(Authorization="Bearer s3cret")


def test_nothing_but_reading_and_no_names_or_secrets(membership: Membership, statuses: list[LeadStatus]) -> None:
    job = status_job(membership, statuses[1], make_leads(statuses[0], 3))
    BulkAction.objects.filter(pk=job.pk).update(status="processing")
    assert Client().post("/metrics").status_code == 405
    answer = Client().get("/metrics")
    assert "no-store" in answer["Cache-Control"]
    text = answer.content.decode()
    for secret in (membership.organization.name, membership.user.email, project_settings.SECRET_KEY):
        assert secret not in text


def test_a_database_that_does_not_answer_in_time_is_a_503(settings: Settings) -> None:
    settings.METRICS_STATEMENT_TIMEOUT_SECONDS = 1
    with connection.cursor() as cursor:
        cursor.execute("BEGIN; LOCK TABLE crm_outboxmail IN ACCESS EXCLUSIVE MODE")
    try:
        with other_session() as start:
            asked = start(lambda: Client().get("/metrics"))
            wait_until_blocked(asked)
            assert asked.result().status_code == 503
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ROLLBACK")


def test_the_table_of_operations_names_every_metric_and_no_other(
    membership: Membership, statuses: list[LeadStatus]
) -> None:
    BulkAction.objects.filter(pk=status_job(membership, statuses[1], []).pk).update(status="processing")
    table = (PROJECT / "docs/operations.md").read_text().partition("\n## Metrics\n")[2].partition("\n## ")[0]
    told = dict(re.findall(r"^\| `(drover_\w+)` \| ([\w, ]*) \|", table, flags=re.MULTILINE))
    answer = Client().get("/metrics").content.decode()
    served = {
        sample.name: ", ".join(sample.labels)
        for family in text_string_to_metric_families(answer)
        for sample in family.samples
    }
    assert told == served
