"""Imports as jobs: stopped and gone on with at any point, tried first, kept for a while, erased."""

import io
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st
from pytest_django import Settings

from bulk_actions import file_imports, staging, uploads
from bulk_actions.import_results import counts_of
from bulk_actions.kept_files import files_with
from bulk_actions.models import Batch, BulkAction, ImportRow, Kind, TriedKey, Upload
from bulk_actions.retention import erase, purge
from bulk_actions.retrying import retry
from bulk_actions.runner import run_slice
from bulk_actions.scrubbing import SCRUBBED
from bulk_actions.services import Order, cancel, create_bulk_action, pause, resume
from bulk_actions.states import Status
from bulk_actions.undoing import undo
from crm.ids import close_id
from crm.models import Contact, Lead, LeadStatus, Membership, User
from tests import factories
from tests.bulk_actions.helpers import (
    Elsewhere,
    caller_of,
    check_invariant,
    make_leads,
    refusing,
    run_to_end,
)
from tests.bulk_actions.importing import import_of
from tests.sessions import wait_until_blocked

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("no_doorbells", "status", "folder"),
]


def names(n: int) -> str:
    return "Company,Email\n" + "".join(f"Lead {i},l{i}@x.example\n" for i in range(n))


def test_a_pause_while_rows_are_read_keeps_what_is_staged_and_nothing_is_read_twice(
    membership: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "PIECE", 10)
    action = import_of(membership, names(45))
    write, n_pieces = staging._write, 0

    def pause_before_third(*given: object) -> bool:
        nonlocal n_pieces
        n_pieces += 1
        if n_pieces == 3:
            Elsewhere(pause, action=action, by=membership.user).join()
        return write(*given)

    monkeypatch.setattr(staging, "_write", pause_before_third)
    run_slice(action.pk)
    action.refresh_from_db()
    assert (action.status, ImportRow.objects.filter(action=action.pk).count()) == (Status.PAUSED, 20)
    assert not Lead.objects.exists()
    check_invariant(action)
    resume(action=action, by=membership.user)
    action = run_to_end(action)
    assert (action.status, action.n_succeeded) == (Status.DONE, 45)
    assert sorted(Lead.objects.values_list("name", flat=True)) == sorted(f"Lead {i}" for i in range(45))


def test_a_cancel_while_rows_are_read_imports_nothing(membership: Membership, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "PIECE", 10)
    action = import_of(membership, names(45))
    write = staging._write

    def cancel_first(*given: object) -> bool:
        Elsewhere(cancel, action=action, by=membership.user).join()
        return write(*given)

    monkeypatch.setattr(staging, "_write", cancel_first)
    run_slice(action.pk)
    action.refresh_from_db()
    assert (action.status, action.error_code, Lead.objects.count()) == (Status.ERROR, "cancelled", 0)
    assert not ImportRow.objects.filter(action=action.pk).exists()
    check_invariant(action)


@pytest.mark.parametrize("records", ["leads", "contacts"])
def test_a_field_that_is_deleted_before_the_file_is_read_ends_the_import_with_its_column(
    membership: Membership, records: str
) -> None:
    field = factories.CustomFieldFactory.create(
        organization=membership.organization, object_type="contact", name="Size"
    )
    action = import_of(membership, "Name,custom.Size\nA,5\n", records=records)
    field.delete()
    action = run_to_end(action)
    assert (action.status, action.error_code) == (Status.ERROR, "field_gone")
    assert "'custom.Size'" in action.error_message
    assert not ImportRow.objects.filter(action=action.pk).exists()


def stopping_at(
    monkeypatch: pytest.MonkeyPatch, n_steps: int, stop: Callable[..., object], **given: object
) -> list[Elsewhere]:
    """Lets `stop` be asked for while the transaction with that number is in hand: it has to wait for it."""
    apply_rows, asked, n_seen = file_imports.apply_rows, [], 0

    def apply(*arguments: object) -> int:
        nonlocal n_seen
        n_seen += 1
        if n_seen == n_steps:
            asked.append(Elsewhere(stop, **given))
            wait_until_blocked()
        return apply_rows(*arguments)

    monkeypatch.setattr(file_imports, "apply_rows", apply)
    return asked


def test_after_a_pause_no_row_is_merged_until_it_is_resumed_and_then_each_once(
    membership: Membership, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.BULK_STORED_BATCH = 5
    action = import_of(membership, names(60))
    asked = stopping_at(monkeypatch, 3, pause, action=action, by=membership.user)
    run_slice(action.pk)
    asked[0].join()
    merged = ImportRow.objects.filter(action=action.pk, outcome="created").count()
    assert 15 <= merged < 60
    assert Lead.objects.count() == merged
    run_slice(action.pk)
    assert Lead.objects.count() == merged
    action.refresh_from_db()
    assert action.status == Status.PAUSED
    check_invariant(action)
    resume(action=action, by=membership.user)
    action = run_to_end(action)
    assert (action.status, action.n_succeeded, Lead.objects.count()) == (Status.DONE, 60, 60)
    order = [row.lead_id for row in ImportRow.objects.filter(action=action.pk).order_by("number")]
    assert order == sorted(order), "rows are merged in their order"


def test_a_cancel_keeps_what_is_merged_tells_it_and_can_be_taken_back(
    membership: Membership, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.BULK_STORED_BATCH = 5
    action = import_of(membership, names(60))
    asked = stopping_at(monkeypatch, 3, cancel, action=action, by=membership.user)
    run_slice(action.pk)
    asked[0].join()
    action.refresh_from_db()
    merged = counts_of(action)["created"]
    assert (action.status, action.error_code, action.n_succeeded) == (Status.ERROR, "cancelled", merged)
    assert 15 <= merged == Lead.objects.count() < 60
    run_slice(action.pk)
    assert Lead.objects.count() == merged
    check_invariant(action)
    taken_back = run_to_end(undo(action=action, caller=caller_of(membership), force=False))
    assert (taken_back.n_succeeded, Lead.objects.count()) == (merged, 0)


def test_only_the_row_that_the_database_refuses_fails_and_it_is_told_and_tried_again(
    membership: Membership, status: LeadStatus
) -> None:
    sealed = make_leads(status, 1)[0]
    contact = factories.ContactFactory.create(lead=sealed)
    contact.emails.create(organization=sealed.organization, email="l7@x.example")
    with refusing(sealed):
        action = run_to_end(import_of(membership, names(20)))
    assert (action.status, action.n_succeeded, action.n_failed) == (Status.DONE, 19, 1)
    assert counts_of(action) == {"created": 19, "updated": 0, "skipped": 0, "failed": 1}
    [row] = ImportRow.objects.filter(action=action.pk).exclude(outcome="created")
    assert (row.number, row.outcome, row.code) == (8, "failed", "refused_by_database")
    assert row.message == "this lead is under seal"
    again = run_to_end(retry(action=action, outcomes=["failed"], caller=caller_of(membership)))
    assert counts_of(again) == {"created": 0, "updated": 1, "skipped": 0, "failed": 0}
    sealed.refresh_from_db()
    assert (sealed.name, Lead.objects.count()) == ("Lead 7", 20)


EACH_WAY = "Company,Email,Phone\n" + "".join(
    f"{row}\n"
    for row in (
        "A,a@x.example,", "A again,A@x.example,03-1111-1111", "By its number,,0311111111", "B,b@x.example,",
        "Old,old@x.example,03-2222-2222", "Old by its number,,0322222222", "Nobody,,", "B again,b@x.example,", "C,c@x,",
        "D,d@x.example,03-3333-3333", "E,e@x.example,0333333333",
    )
)  # fmt: skip


@pytest.mark.parametrize("size", [1, 2, 3, 4, 100])
@pytest.mark.parametrize("policy", ["create", "update", "skip", "fail"])
def test_a_dry_run_tells_what_the_import_then_does_however_far_rows_lie_apart(
    membership: Membership, status: LeadStatus, settings: Settings, policy: str, size: int
) -> None:
    settings.BULK_STORED_BATCH = size
    old = make_leads(status, 1)[0]
    contact = factories.ContactFactory.create(lead=old)
    contact.emails.create(organization=old.organization, email="old@x.example")
    tried = run_to_end(import_of(membership, EACH_WAY, on_duplicate=policy, dry_run=True))
    assert tried.status == Status.DONE
    assert (Lead.objects.count(), TriedKey.objects.count()) == (1, 0)
    told = [(row.number, row.outcome, row.code) for row in ImportRow.objects.filter(action=tried.pk)]
    done = run_to_end(import_of(membership, EACH_WAY, on_duplicate=policy))
    assert told == [(row.number, row.outcome, row.code) for row in ImportRow.objects.filter(action=done.pk)]
    assert {outcome for _, outcome, _ in told} >= {"created", "failed"}


@given(
    rows=st.lists(st.tuples(st.sampled_from("-abc"), st.sampled_from("-123")), min_size=2, max_size=12),
    policy=st.sampled_from(["skip", "fail"]),
    size=st.integers(1, 4),
)
@settings_of_hypothesis(max_examples=30)
def test_a_dry_run_tells_the_same_whichever_rows_share_addresses_and_numbers(
    membership: Membership, settings: Settings, rows: list[tuple[str, str]], policy: str, size: int
) -> None:
    settings.BULK_STORED_BATCH = size
    Lead.objects.all().delete()
    text = "Company,Email,Phone\n" + "".join(
        f"L{i},{'' if email == '-' else f'{email}@x.example'},{'' if phone == '-' else f'03-0000-000{phone}'}\n"
        for i, (email, phone) in enumerate(rows)
    )
    tried = run_to_end(import_of(membership, text, on_duplicate=policy, dry_run=True))
    done = run_to_end(import_of(membership, text, on_duplicate=policy))
    [told, became] = [
        [(row.number, row.outcome, row.code) for row in ImportRow.objects.filter(action=action.pk)]
        for action in (tried, done)
    ]
    assert told == became
    assert tried.n_repeated == done.n_repeated


@pytest.mark.parametrize("size", [1, 3, 100])
@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize("policy", ["update", "skip", "fail"])
@pytest.mark.parametrize("records", ["leads", "contacts"])
def test_rows_that_are_about_what_an_earlier_one_is_about_are_told(
    membership: Membership, status: LeadStatus, settings: Settings, records: str, policy: str, dry_run: bool, size: int
) -> None:
    settings.BULK_STORED_BATCH = size
    contact = factories.ContactFactory.create(lead=make_leads(status, 1)[0])
    contact.emails.create(organization=status.organization, email="there@x.example")
    rows = ["new@x.example", "there@x.example", "NEW@x.example", "no address", "there@x.example", "new@x.example", ""]
    text = "Contact,Email\n" + "".join(f"Ida {i},{email}\n" for i, email in enumerate(rows))
    action = import_of(membership, text, on_duplicate=policy, dry_run=dry_run, records=records, match=["email"])
    assert run_to_end(action).n_repeated == 3


def test_batches_of_one_transaction_have_each_their_own_tally_and_are_taken_back_together(
    membership: Membership, status: LeadStatus, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.BULK_STORED_BATCH = 2
    settings.IMPORT_BATCH_TARGET_SECONDS = 60  # so that a slow first transaction, too, is followed by a larger one
    apply_rows, at_once = file_imports.apply_rows, []

    def apply(action: BulkAction, batch_ids: list[int]) -> int:
        at_once.append(len(batch_ids))
        return apply_rows(action, batch_ids)

    monkeypatch.setattr(file_imports, "apply_rows", apply)
    lead = make_leads(status, 1)[0]
    factories.ContactFactory.create(lead=lead).emails.create(organization=lead.organization, email="a@x.example")
    was = lead.name
    rows = (
        "New,n@x.example,", "First,a@x.example,", "Bad,b@x.example,nobody", "Second,a@x.example,",
        "Third,a@x.example,", "Newer,m@x.example,", "Last,a@x.example,",
    )  # fmt: skip
    action = run_to_end(import_of(membership, "Company,Email,Owner\n" + "".join(f"{row}\n" for row in rows)))
    lead.refresh_from_db()
    assert (lead.name, counts_of(action)) == ("Last", {"created": 2, "updated": 4, "skipped": 0, "failed": 1})
    batches = Batch.objects.filter(action=action.pk).order_by("rank")
    assert [(one.n_leads, one.n_created, one.n_failed) for one in batches] == [
        (2, 1, 0),
        (2, 0, 1),
        (2, 1, 0),
        (1, 0, 0),
    ]
    assert at_once == [1, 2, 1]
    check_invariant(action)
    run_to_end(undo(action=action, caller=caller_of(membership), force=False))
    lead.refresh_from_db()
    assert (lead.name, Lead.objects.filter(deleted_at=None).count()) == (was, 1)


def test_rows_matched_by_a_custom_field_go_many_at_once_however_long_that_takes(
    membership: Membership, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each transaction looks through all leads once: of few rows each there would be many."""
    settings.BULK_STORED_BATCH = 2
    settings.IMPORT_BATCH_TARGET_SECONDS = 0.001
    apply_rows, at_once = file_imports.apply_rows, []
    monkeypatch.setattr(
        file_imports, "apply_rows", lambda action, ids: at_once.append(len(ids)) or apply_rows(action, ids)
    )
    field = factories.CustomFieldFactory.create(organization=membership.organization, name="Reference")
    text = "Company,Reference\n" + "".join(f"L{number},{number}\n" for number in range(14))
    action = import_of(membership, text, match=["custom"], match_field_id=str(field.pk))
    assert counts_of(run_to_end(action))["created"] == 14
    assert at_once == [1, 2, 4]


def test_a_dry_run_that_is_cancelled_leaves_its_keys_to_the_purge(
    membership: Membership, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.BULK_STORED_BATCH = 5
    action = import_of(membership, names(60), dry_run=True)
    asked = stopping_at(monkeypatch, 3, cancel, action=action, by=membership.user)
    run_slice(action.pk)
    asked[0].join()
    action.refresh_from_db()
    assert action.n_repeated == 0, "of the rows that were tried"
    assert TriedKey.objects.filter(action=action.pk).exists()
    BulkAction.objects.update(date_finished=timezone.now() - timedelta(days=settings.BULK_LEDGER_DAYS + 1))
    purge()
    assert not TriedKey.objects.exists()
    assert not ImportRow.objects.exists()


PARTS = (
    "Company,City,Zip,Email,Other emails,Phone,Other phones,Contact URL\n"
    "Oakvale,大阪市,1,a@x.example,b@x.example; c@x.example,0311111111,0322222222,https://a.example\n"
)


def test_an_undo_takes_addresses_numbers_and_urls_back(membership: Membership, status: LeadStatus) -> None:
    lead = make_leads(status, 1)[0]
    contact = factories.ContactFactory.create(lead=lead)
    contact.emails.create(organization=lead.organization, email="a@x.example")
    lead.addresses.create(organization=lead.organization, city="Fir", state="Old")
    action = run_to_end(import_of(membership, PARTS))
    address = lead.addresses.get()
    assert (address.city, address.zipcode, address.state) == ("大阪市", "1", "Old")
    assert [one.email for one in contact.emails.all()] == ["a@x.example", "b@x.example", "c@x.example"]
    assert (contact.phones.count(), contact.urls.count()) == (2, 1)
    undone = run_to_end(undo(action=action, caller=caller_of(membership), force=False))
    assert undone.n_succeeded == 1
    address.refresh_from_db()
    assert (address.city, address.zipcode, address.state) == ("Fir", None, "Old")
    assert [one.email for one in contact.emails.all()] == ["a@x.example"]
    assert (contact.phones.count(), contact.urls.count()) == (0, 0)


def test_an_undo_leaves_a_lead_whose_address_was_changed_since(membership: Membership, status: LeadStatus) -> None:
    lead = make_leads(status, 1)[0]
    factories.ContactFactory.create(lead=lead).emails.create(organization=lead.organization, email="a@x.example")
    lead.addresses.create(organization=lead.organization, city="Fir")
    action = run_to_end(import_of(membership, PARTS))
    lead.addresses.update(city="Elsewhere")
    undone = run_to_end(undo(action=action, caller=caller_of(membership), force=False))
    assert (undone.n_succeeded, undone.n_skipped) == (0, 1)
    assert lead.addresses.get().city == "Elsewhere"


def test_contacts_by_themselves_bring_urls_that_an_undo_takes_back(membership: Membership) -> None:
    run_to_end(import_of(membership, "Name,Email\nIda,a@x.example\n", records="contacts"))
    text = "Name,Email,URL,Other phones\nIda,a@x.example,https://a.example,0311111111\n"
    action = run_to_end(import_of(membership, text, records="contacts"))
    contact = Contact.objects.get()
    assert (contact.urls.get().url, contact.phones.get().phone) == ("https://a.example", "0311111111")
    run_to_end(undo(action=action, caller=caller_of(membership), force=False))
    assert (contact.urls.count(), contact.phones.count()) == (0, 0)


# --- what is kept, and for how long ----------------------------------------------------------------------------------


def later(days: float) -> None:
    """Everything of imports lies so many days further back."""
    age = timedelta(days=days)
    for upload in Upload.objects.all():
        Upload.objects.filter(pk=upload.pk).update(date_created=upload.date_created - age)
    for action in BulkAction.objects.exclude(date_finished=None):
        BulkAction.objects.filter(pk=action.pk).update(date_finished=action.date_finished - age)


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_file_goes_with_the_ledger_of_its_last_import(
    membership: Membership, settings: Settings, folder: Path
) -> None:
    first = run_to_end(import_of(membership, names(2)))
    later(settings.BULK_LEDGER_DAYS - 1)
    upload = Upload.objects.get()
    params = {**first.params, "on_duplicate": "skip"}
    order = Order(
        kind=Kind.IMPORT, params=params, s_query=None, resolved_query={}, sort=[], results_limit=None,
        send_done_email=False, leads_per_minute=None,
    )  # fmt: skip
    second = run_to_end(create_bulk_action(order=order, caller=caller_of(membership)))
    assert second.n_skipped == 2
    later(2)
    purge()
    assert len(files_in(folder)) == 1, "the second import may still be tried again"
    later(settings.BULK_LEDGER_DAYS)
    purge()
    assert files_in(folder) == []
    assert not Upload.objects.filter(pk=upload.pk).exists()
    purge()


def test_a_file_whose_import_goes_on_is_kept_and_one_never_imported_goes(
    membership: Membership, settings: Settings, folder: Path
) -> None:
    waiting = import_of(membership, names(2))
    uploads.store(SimpleUploadedFile("unused.csv", b"Company\nA\n"), caller_of(membership))
    later(settings.BULK_LEDGER_DAYS + 1)
    purge()
    assert [upload.name for upload in Upload.objects.all()] == ["leads.csv"]
    assert len(files_in(folder)) == 1
    assert run_to_end(waiting).n_succeeded == 2


def test_a_retry_of_a_file_that_is_gone_says_so(membership: Membership, folder: Path) -> None:
    action = run_to_end(import_of(membership, "Company,Email\nA,nobody\n"))
    for path in files_in(folder):
        path.unlink()
    again = retry(action=action, outcomes=["failed"], caller=caller_of(membership))
    run_slice(again.pk)
    again.refresh_from_db()
    assert (again.status, again.error_code) == (Status.ERROR, "file_gone")


def test_erasing_a_lead_empties_its_rows_and_names_the_files_that_may_hold_it(
    membership: Membership, settings: Settings
) -> None:
    text = "Company,Email\nErased,gone@x.example\nKept,kept@x.example\nErased once more,gone@x.example\n"
    settings.BULK_STORED_BATCH = 2
    action = run_to_end(import_of(membership, text))
    lead = Lead.objects.get(name="Erased once more")
    _, is_complete = erase(lead.pk, lead.organization_id)
    assert is_complete
    rows = list(ImportRow.objects.filter(action=action.pk).order_by("number"))
    assert [row.data is None for row in rows] == [True, False, True]
    held = "".join(str(batch.before) for batch in Batch.objects.filter(action=action.pk))
    assert str(lead.pk) not in held
    assert "gone@x.example" not in held
    [kept] = files_with(lead.pk, lead.organization_id)
    assert kept.name == "leads.csv"
    assert kept.until == action.date_finished + timedelta(days=settings.BULK_LEDGER_DAYS)
    undone = run_to_end(undo(action=action, caller=caller_of(membership), force=False))
    assert (undone.n_succeeded, Lead.objects.count()) == (1, 0)


def test_a_row_that_could_not_be_merged_into_an_erased_lead_says_nothing_of_it_any_more(
    membership: Membership,
) -> None:
    run_to_end(import_of(membership, "Company,Email\nErased,gone@x.example\n"))
    action = run_to_end(import_of(membership, "Company,Email\nSecret,gone@x.example\n", on_duplicate="fail"))
    lead = Lead.objects.get()
    erase(lead.pk, lead.organization_id)
    row = ImportRow.objects.get(action=action.pk)
    assert (row.outcome, row.data, row.value, row.message) == ("failed", None, None, SCRUBBED)


def test_the_command_that_erases_names_the_files(membership: Membership) -> None:
    run_to_end(import_of(membership, names(1)))
    said = io.StringIO()
    call_command("erase_lead", close_id("lead", Lead.objects.get().pk), "--yes", stdout=said)
    assert "May hold it until" in said.getvalue()
    assert "leads.csv" in said.getvalue()


# --- the admin -------------------------------------------------------------------------------------------------------


@pytest.fixture
def staff_client(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("ada@oakvale.example", "not used"))
    return client


def test_the_admin_shows_files_rows_and_what_became_of_them(staff_client: Client, membership: Membership) -> None:
    action = run_to_end(import_of(membership, "Company,Email\nOakvale,a@x.example\nFir,nobody\n"))
    upload, lead = Upload.objects.get(), Lead.objects.get()

    def page(name: str, *arguments: object, **query: object) -> str:
        answer = staff_client.get(reverse(f"admin:bulk_actions_{name}", args=arguments), query)
        assert answer.status_code == 200
        return answer.content.decode()

    assert "leads.csv" in page("upload_changelist", q="leads")
    assert action.api_id in page("upload_change", upload.pk)
    assert "Import leads from leads.csv" in page("bulkaction_changelist")
    told = page("bulkaction_change", action.pk)
    assert [
        words for words in ("Every row of leads.csv", "failed rows", "<span>rows</span>") if words not in told
    ] == []
    for spelled in (str(action.pk), action.api_id):
        found = page("importrow_changelist", q=spelled)
        assert "This is no email address." in found
        assert reverse("admin:bulk_actions_bulkaction_change", args=[action.pk]) in found
    rows = list(ImportRow.objects.order_by("number"))
    assert "Oakvale" in page("importrow_change", rows[0].pk)
    assert str(lead.pk) in page("importrow_change", rows[0].pk)
    said = page("bulkaction_results", action.pk)
    assert ("Oakvale" in said, "nobody" in said, "This is no email address." in said) == (True, True, True)
    failed = page("bulkaction_results", action.pk, outcome="failed")
    assert ("Oakvale" in failed, "nobody" in failed) == (False, True)
    succeeded = page("bulkaction_results", action.pk, outcome="succeeded")
    assert ("Oakvale" in succeeded, "nobody" in succeeded) == (True, False)
    assert "among the updated ones" in page("bulkaction_results", action.pk, outcome="unchanged")
    file = staff_client.get(reverse("admin:bulk_actions_bulkaction_results_csv", args=[action.pk]))
    assert b"".join(file.streaming_content).decode().splitlines()[0].startswith("row,line,outcome")


@pytest.mark.parametrize("query", [{"after": "x"}, {"after": "9" * 30}, {"outcome": "nonsense"}, {"after": "1"}])
def test_odd_addresses_of_the_rows_are_no_errors(
    staff_client: Client, membership: Membership, query: dict[str, str]
) -> None:
    action = run_to_end(import_of(membership, names(1)))
    assert (
        staff_client.get(reverse("admin:bulk_actions_bulkaction_results", args=[action.pk]), query).status_code == 200
    )
