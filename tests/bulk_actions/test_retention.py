"""What goes when: long deleted leads and their values, old ledgers; and one lead at once."""

import io
import json
from collections.abc import Sequence
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone
from pytest_django import Settings

from bulk_actions import locks, slots
from bulk_actions.loading import load
from bulk_actions.models import Batch, BulkAction, Kind, LeadOutcome
from bulk_actions.progress import progress_of
from bulk_actions.retention import PIECE, purge, purge_ledgers
from bulk_actions.scrubbing import SCRUBBED, scrub_ledgers
from bulk_actions.services import cancel
from bulk_actions.undoing import undo
from crm.auth import make_api_key
from crm.ids import close_id
from crm.mail.inbound import forget_received
from crm.models import (
    Contact,
    CustomField,
    IdempotentAnswer,
    InboundMail,
    Lead,
    LeadStatus,
    Membership,
    OutboxMail,
    PurgedLead,
    SequenceSubscription,
)
from crm.models import Purpose as MailPurpose
from tests import factories
from tests.bulk_actions.helpers import (
    Elsewhere,
    caller_of,
    check_invariant,
    make_job,
    make_leads,
    run_to_end,
    status_job,
)
from tests.conftest import client_with

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_doorbells")]
FAR = float("inf")


@pytest.fixture
def field(membership: Membership) -> CustomField:
    return factories.CustomFieldFactory.create(organization=membership.organization, object_type="lead", type="text")


def field_job(membership: Membership, field: CustomField, value: str, leads: list[Lead]) -> BulkAction:
    params = {
        "type": "set_custom_field",
        "field_id": str(field.pk),
        "field_key": field.key,
        "operation": "replace",
        "value": value,
        "shown_value": value,
    }
    return make_job(membership, Kind.EDIT, params, leads)


def loaded(job: BulkAction) -> BulkAction:
    assert slots.start_if_free(job)
    load(job.pk)
    return job


def mark_deleted(leads: Sequence[Lead], **age: float) -> None:
    Lead.all_objects.filter(pk__in=[lead.pk for lead in leads]).update(deleted_at=timezone.now() - timedelta(**age))


def ledger_text() -> str:
    """All that the ledgers say."""
    batches = Batch.objects.values_list("before", "given")
    return json.dumps([list(batches), list(LeadOutcome.objects.values_list("message"))])


def befores(job: BulkAction) -> dict[object, object]:
    batches = Batch.objects.filter(action=job.pk, changed_ids__isnull=False)
    return {id: value for batch in batches for id, value in zip(batch.changed_ids, batch.before, strict=True)}


# --- leads ------------------------------------------------------------------------------------------------------------


def test_leads_are_purged_thirty_days_after_their_deletion(old_status: LeadStatus) -> None:
    old, young, live = make_leads(old_status, 3)
    mark_deleted([old], days=30, seconds=5)
    mark_deleted([young], days=29)
    purge()
    assert set(Lead.all_objects.values_list("pk", flat=True)) == {young.pk, live.pk}
    assert not PurgedLead.objects.exists()


def test_a_lead_that_somebody_holds_is_left_for_the_next_time_and_nobody_waits(old_status: LeadStatus) -> None:
    held, free = make_leads(old_status, 2)
    mark_deleted([held, free], days=31)
    with transaction.atomic():
        list(Lead.all_objects.select_for_update().filter(pk=held.pk))
        Elsewhere(purge).join(20)
        assert list(Lead.all_objects.values_list("pk", flat=True)) == [held.pk]
    purge()
    assert not Lead.all_objects.exists()


def test_more_than_one_transaction_s_worth_goes_in_one_run(old_status: LeadStatus) -> None:
    mark_deleted(make_leads(old_status, 2100), days=31)
    purge()
    assert not Lead.all_objects.exists()
    assert PIECE >= 2100


def test_a_purged_lead_s_values_leave_every_ledger_and_those_of_others_stay(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus, field: CustomField
) -> None:
    leads = make_leads(old_status, 30, custom={field.key: "first"})
    doomed, kept = leads[::7], [lead for lead in leads if lead not in leads[::7]]
    Lead.objects.filter(pk__in=[lead.pk for lead in doomed]).update(custom={field.key: "Ida's secret"})
    edit = run_to_end(field_job(membership, field, "second", leads))
    moved = run_to_end(status_job(membership, new_status, leads))
    taken_back = run_to_end(undo(action=edit, caller=caller_of(membership)))
    again = undo(action=taken_back, caller=caller_of(membership))
    again = run_to_end(again)
    assert "Ida's secret" in ledger_text()
    statuses = befores(moved)
    mark_deleted(doomed, days=31)
    purge()
    assert "Ida's secret" not in ledger_text()
    gone = {lead.pk for lead in doomed}
    assert befores(edit) == {lead.pk: None if lead.pk in gone else "first" for lead in leads}
    assert befores(moved) == {id: None if id in gone else value for id, value in statuses.items()}
    for batch in Batch.objects.filter(action=taken_back.pk):
        for id, given in zip(batch.lead_ids, batch.given, strict=True):
            assert given == (None if id in gone else {"from": "second", "to": "first"})
    for job in (edit, moved, taken_back, again):
        check_invariant(job)
    assert not PurgedLead.objects.exists()
    back = run_to_end(undo(action=again, caller=caller_of(membership)))
    assert (back.n_succeeded, back.n_skipped) == (len(kept), len(doomed))


def test_the_message_of_a_purged_lead_goes_and_its_outcome_stays(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    leads = make_leads(old_status, 5)
    job = loaded(status_job(membership, new_status, leads))
    mark_deleted(leads[:2], days=31)
    run_to_end(job)
    LeadOutcome.objects.update(message="Ida Moss, 12 Oak Street")
    purge()
    told = LeadOutcome.objects.filter(lead__in=[lead.pk for lead in leads[:2]])
    assert set(told.values_list("outcome", "code", "message")) == {("skipped", "lead_gone", SCRUBBED)}
    check_invariant(job)


def test_another_organization_s_ledgers_are_not_touched(
    membership: Membership, old_status: LeadStatus, field: CustomField
) -> None:
    stranger = factories.MembershipFactory.create()
    lead = make_leads(old_status, 1, custom={field.key: "first"})
    job = run_to_end(field_job(membership, field, "second", lead))
    scrub_ledgers(stranger.organization_id, [lead[0].pk], wait_seconds=1)
    assert list(befores(job).values()) == ["first"]
    check_invariant(job)


def test_a_ledger_that_is_being_copied_is_scrubbed_the_next_time(
    membership: Membership, old_status: LeadStatus, field: CustomField
) -> None:
    """An undo is being loaded from it, which takes as long as it takes; nothing waits for the purge."""
    leads = make_leads(old_status, 3, custom={field.key: "first"})
    job = run_to_end(field_job(membership, field, "second", leads))
    mark_deleted(leads[:1], days=31)
    with transaction.atomic():
        locks.share_ledger(job.pk)
        Elsewhere(purge).join(20)
        assert set(befores(job).values()) == {"first"}
        assert PurgedLead.objects.count() == 1
    purge()
    assert list(befores(job).values()).count(None) == 1
    assert not PurgedLead.objects.exists()
    check_invariant(job)


def test_a_run_whose_time_is_over_leaves_the_rest_to_the_next(
    membership: Membership, old_status: LeadStatus, field: CustomField
) -> None:
    leads = make_leads(old_status, 3, custom={field.key: "first"})
    job = run_to_end(field_job(membership, field, "second", leads))
    ids = [leads[0].pk]
    over = scrub_ledgers(membership.organization_id, ids, wait_seconds=1, deadline=0)
    assert (over.is_complete, over.n_batches) == (False, 0)
    for n_batches in (1, 0):
        scrubbed = scrub_ledgers(membership.organization_id, ids, wait_seconds=1)
        assert (scrubbed.is_complete, scrubbed.n_batches) == (True, n_batches)
    check_invariant(job)


# --- mail -------------------------------------------------------------------------------------------------------------


def mail(membership: Membership, address: str, **columns: object) -> OutboxMail:
    return OutboxMail.objects.create(
        **{
            "organization": membership.organization,
            "purpose": MailPurpose.BULK,
            "address": address,
            "sender": "us@oakvale.example",
            "subject": "Dear Ida",
            "body_text": "Dear Ida",
            "body_html": "<p>Dear Ida",
            "headers": {"X-Name": "Ida"},
            "message_id": f"<{OutboxMail.objects.count()}@x>",
            "error_message": "550 ida@moss.example",
            **columns,
        }
    )


def with_address(lead: Lead, address: str) -> Contact:
    contact = factories.ContactFactory.create(lead=lead)
    contact.emails.create(organization=lead.organization, email=address)
    return contact


def test_mails_to_a_purged_lead_say_nothing_any_more_and_do_not_leave(
    membership: Membership, old_status: LeadStatus
) -> None:
    doomed, other = make_leads(old_status, 2)
    with_address(doomed, "Ida@Moss.example")
    with_address(doomed, "both@moss.example")
    with_address(other, "both@moss.example")
    stranger = factories.MembershipFactory.create()
    waiting, sent = mail(membership, "ida@moss.example"), mail(membership, "ida@moss.example", state="sent", step="2")
    untouched = [
        mail(membership, "both@moss.example"),
        mail(stranger, "ida@moss.example"),
        mail(membership, "ida@moss.example", purpose=MailPurpose.NOTICE),
    ]
    mark_deleted([doomed], days=31)
    purge()
    for row, state in ((waiting, "withheld"), (sent, "sent")):
        row.refresh_from_db()
        told = (row.subject, row.body_text, row.body_html, row.headers, row.error_message)
        assert (told, row.state) == (("", "", None, {}, None), state)
        assert "moss" not in row.address
    for row in untouched:
        row.refresh_from_db()
        assert (row.body_text, row.state) == ("Dear Ida", "reserved")


def test_all_mails_of_a_purged_lead_are_emptied_but_not_those_that_moved_to_another(
    membership: Membership, old_status: LeadStatus
) -> None:
    doomed, other = make_leads(old_status, 2)
    with_address(doomed, "both@moss.example")
    with_address(other, "both@moss.example")
    gone, moved = (factories.ActivityFactory.create(lead=lead, type="email") for lead in (doomed, other))
    emptied = [
        mail(membership, "both@moss.example", lead=doomed, activity=gone),
        mail(membership, "copy@elm.example", lead=doomed, step="2"),
    ]
    kept = mail(membership, "both@moss.example", lead=doomed, activity=moved, step="3")
    mark_deleted([doomed], days=31)
    purge()
    assert {row.body_text for row in OutboxMail.objects.filter(pk__in=[row.pk for row in emptied])} == {""}
    kept.refresh_from_db()
    assert (kept.body_text, kept.state) == ("Dear Ida", "reserved")


def test_what_came_in_from_a_purged_lead_is_emptied_and_its_subscriptions_go(
    membership: Membership, old_status: LeadStatus
) -> None:
    doomed, other = make_leads(old_status, 2)
    contacts = with_address(doomed, "ida@moss.example"), with_address(other, "lev@elm.example")
    sequence = factories.SequenceFactory.create(organization=membership.organization)
    for contact in contacts:
        SequenceSubscription.objects.create(
            organization=membership.organization,
            sequence=sequence,
            lead=contact.lead,
            contact=contact,
            contact_email=contact.emails.get().email,
            sender_account=factories.EmailAccountFactory.create(organization=membership.organization),
            sender_name="Jo",
            sender_email="jo@oakvale.example",
        )
    sent = mail(membership, "ida@moss.example", state="sent", lead=doomed)
    for number, (address, about) in enumerate(
        [("ida@moss.example", None), ("mx@moss.example", sent), ("lev@elm.example", None)]
    ):
        InboundMail.objects.create(
            organization=membership.organization, message_id=f"<{number}>", address=address, detail="550", mail=about
        )
    mark_deleted([doomed], days=31)
    purge()
    assert list(InboundMail.objects.order_by("message_id").values_list("address", "detail")) == [
        ("", ""),
        ("", ""),
        ("lev@elm.example", "550"),
    ]
    assert [one.lead_id for one in SequenceSubscription.objects.all()] == [other.pk]


def test_what_is_noted_of_mail_that_came_in_goes_after_ninety_days(membership: Membership, settings: Settings) -> None:
    ages = [settings.INBOUND_MAIL_DAYS + 1] * 3 + [settings.INBOUND_MAIL_DAYS - 1]
    for number, age in enumerate(ages):
        InboundMail.objects.create(
            organization=membership.organization,
            message_id=f"<{number}>",
            date_created=timezone.now() - timedelta(days=age),
        )
    assert forget_received(older_than=timedelta(days=settings.INBOUND_MAIL_DAYS), limit=1) == 1
    assert InboundMail.objects.count() == 3
    purge()
    assert [row.message_id for row in InboundMail.objects.all()] == ["<3>"]


# --- ledgers ----------------------------------------------------------------------------------------------------------


def test_a_ledger_goes_ninety_days_after_its_job_s_end_and_the_counts_stay(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    leads = make_leads(old_status, 2500)
    old = loaded(status_job(membership, new_status, leads))
    mark_deleted(leads[:3], seconds=0)
    run_to_end(old)
    young = run_to_end(status_job(membership, old_status, leads))
    live = status_job(membership, new_status, leads)
    before = progress_of([old])[old.pk]
    BulkAction.objects.filter(pk=old.pk).update(date_finished=timezone.now() - timedelta(days=90, seconds=5))
    BulkAction.objects.filter(pk=young.pk).update(date_finished=timezone.now() - timedelta(days=89))
    purge()
    old.refresh_from_db()
    assert old.date_ledger_purged is not None
    assert not Batch.objects.filter(action=old.pk).exists()
    assert not LeadOutcome.objects.filter(action=old.pk).exists()
    after = progress_of([old])[old.pk]
    assert (after.n_leads, after.n_succeeded, after.n_skipped) == (2500, before.n_succeeded, 3)
    check_invariant(young)
    check_invariant(live)


def test_a_ledger_half_removed_when_the_time_is_over_is_finished_by_the_next_run(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    job = run_to_end(status_job(membership, new_status, make_leads(old_status, 10)))
    BulkAction.objects.update(date_finished=timezone.now() - timedelta(days=91))
    purge_ledgers(deadline=0)
    job.refresh_from_db()
    assert job.date_ledger_purged is not None, "the mark comes first: nobody reads half a ledger"
    assert Batch.objects.exists()
    purge_ledgers(FAR)
    assert not Batch.objects.exists()


def test_a_ledger_that_a_waiting_undo_is_to_read_stays(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    job = run_to_end(status_job(membership, new_status, make_leads(old_status, 10)))
    waiting = undo(action=job, caller=caller_of(membership))
    BulkAction.objects.filter(pk=job.pk).update(date_finished=timezone.now() - timedelta(days=91))
    purge()
    check_invariant(job)
    assert Batch.objects.filter(action=job.pk).exists()
    cancel(action=waiting, by=membership.user)
    purge()
    assert not Batch.objects.filter(action=job.pk).exists()


# --- one lead at once -------------------------------------------------------------------------------------------------


def erase(*arguments: str) -> str:
    output = io.StringIO()
    call_command("erase_lead", *arguments, stdout=output)
    return output.getvalue()


@pytest.mark.parametrize("is_live", [True, False])
def test_erasing_a_lead_leaves_nothing_of_it_anywhere(
    membership: Membership, old_status: LeadStatus, field: CustomField, is_live: bool
) -> None:
    api = client_with(make_api_key(membership=membership)[1])
    body = {"name": "Ida's mill", "contacts": [{"name": "Ida Moss", "emails": [{"email": "ida@moss.example"}]}]}
    api.post("/api/v1/lead/", body, headers={"Idempotency-Key": "1"})
    api.post("/api/v1/lead/", {"name": "another"}, headers={"Idempotency-Key": "2"})
    lead, other = Lead.objects.order_by("pk")
    Lead.objects.update(custom={field.key: "Ida's secret"})
    Lead.objects.filter(pk=other.pk).update(custom={})
    job = run_to_end(field_job(membership, field, "second", [lead, other]))
    mail(membership, "ida@moss.example", state="sent")
    if not is_live:
        mark_deleted([lead], days=1)
    told = erase(close_id("lead", lead.pk), "--organization", membership.organization.name, "--yes")
    for line in ("1 leads", "1 contacts", "1 mails emptied", "1 batches emptied", "1 answers kept for a repeat"):
        assert line in told
    assert everything_that_says("Ida") == []
    assert everything_that_says("moss.example") == []
    assert list(Lead.all_objects.all()) == [other]
    assert IdempotentAnswer.objects.get().key == "2"
    check_invariant(job)


def everything_that_says(word: str) -> list[str]:
    """The tables with a row that has the word in it, save those of its users."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'crm_user'")
        tables = [name for (name,) in cursor.fetchall()]
        found = []
        for table in tables:
            cursor.execute(f'SELECT count(*) FROM "{table}" AS row WHERE row::text LIKE %s', [f"%{word}%"])
            if cursor.fetchone()[0]:
                found.append(table)
    return found


def test_erasing_asks_first_and_a_no_changes_nothing(
    membership: Membership, old_status: LeadStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    [lead] = make_leads(old_status, 1)
    monkeypatch.setattr("builtins.input", lambda prompt: "y")
    with pytest.raises(CommandError):
        erase(str(lead.pk))
    assert Lead.objects.exists()
    monkeypatch.setattr("builtins.input", lambda prompt: " yes ")
    assert "Lead 0" in erase(str(lead.pk))
    assert not Lead.all_objects.exists()


def test_what_names_no_lead_of_the_organization_gets_one_sentence(
    membership: Membership, old_status: LeadStatus
) -> None:
    [lead] = make_leads(old_status, 1)
    stranger = factories.OrganizationFactory.create()
    for arguments in (["nonsense"], ["lead_doesNotExist"], [str(stranger.pk)]):
        with pytest.raises(CommandError):
            erase(*arguments, "--yes")
    with pytest.raises(CommandError):
        erase(str(lead.pk), "--organization", stranger.name, "--yes")
    assert Lead.objects.exists()


def test_erasing_while_a_batch_of_a_running_undo_is_in_hand_is_finished_by_the_purge(
    membership: Membership, old_status: LeadStatus, field: CustomField, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bulk_actions.retention._ERASE_LOCK_SECONDS", 1)
    leads = make_leads(old_status, 3, custom={field.key: "first"})
    job = run_to_end(field_job(membership, field, "second", leads))
    with transaction.atomic():
        locks.share_ledger(job.pk)
        told = Elsewhere(erase, str(leads[0].pk), "--yes").join(20)
    assert "within minutes" in str(told)
    assert set(befores(job).values()) == {"first"}
    purge()
    assert list(befores(job).values()).count(None) == 1
    check_invariant(job)
