"""The undo of imports beside other writers: what somebody has changed since stays."""

from collections.abc import Callable

import pytest
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from pytest_django import Settings

from bulk_actions.merges import MergeAtOnce
from bulk_actions.models import BulkAction, LeadOutcome
from bulk_actions.undoing import undo
from crm.contacts import ContactDraft, Detail, add_contacts, delete_contact, update_contact
from crm.ids import close_id
from crm.leads import AddressDraft, LeadDraft, delete_lead, update_lead
from crm.merging import Row, Rules
from crm.models import Contact, Lead, LeadStatus, Membership, OutboxMail, Sequence, SequenceSubscription
from crm.purge import purge_lead
from tests import factories
from tests.bulk_actions.helpers import (
    Elsewhere,
    caller_of,
    check_invariant,
    make_leads,
    run_to_end,
)
from tests.bulk_actions.importing import import_of
from tests.bulk_actions.mailing import deliver
from tests.crm.sequences.conftest import World
from tests.sessions import wait_until_blocked
from tests.smtp import Post

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("no_doorbells", "status", "folder"),
]

# By the external id the lead is found, by its name the contact is not: it is a new one of the lead.
ADDED = "Company,External ID,Contact,Email\nOakvale,1,Bea,bea@x.example\n"
MADE = "Company,External ID,Contact,Email\nOakvale,2,Bea,bea@x.example\n"


@pytest.fixture
def lead(status: LeadStatus) -> Lead:
    """One that is there before, with a contact."""
    made = make_leads(status, 1, external_id="1")[0]
    contact = factories.ContactFactory.create(lead=made, name="Ida")
    contact.phones.create(organization=made.organization, phone="+14155550100")
    return made


def imported(
    membership: Membership, text: str, match: tuple[str, ...] = ("external_id",), **more: object
) -> BulkAction:
    action = run_to_end(import_of(membership, text, match=list(match), **more))
    assert action.n_failed == 0
    return action


def undone(action: BulkAction, *, force: bool = False) -> tuple[int, list[str]]:
    """How many targets the undo took back, and why it skipped the others."""
    by = Membership.objects.get(user=action.created_by_id, organization=action.organization_id)
    job = run_to_end(undo(action=action, caller=caller_of(by), force=force))
    check_invariant(job)
    return job.n_succeeded, list(LeadOutcome.objects.filter(action=job).values_list("code", flat=True))


def note(contact: Contact, membership: Membership) -> None:
    change(contact, membership, ContactDraft(texts={"note": "met at the fair"}))


def reach(contact: Contact, membership: Membership) -> None:
    change(contact, membership, ContactDraft(emails=[Detail("bea@x.example", "office"), Detail("b@x.example", "home")]))


def move(contact: Contact, membership: Membership) -> None:
    other = factories.LeadFactory.create(organization=membership.organization)
    change(contact, membership, ContactDraft(), lead_id=other.pk)


def remove(contact: Contact, membership: Membership) -> None:
    delete_contact(contact_id=contact.pk, organization=membership.organization)


def add_another(contact: Contact, membership: Membership) -> None:
    add_contacts(lead=contact.lead, drafts=[ContactDraft(texts={"name": "Cleo"})], by=membership.user)


def change(contact: Contact, membership: Membership, draft: ContactDraft, **where: object) -> None:
    update_contact(
        contact_id=contact.pk, organization=membership.organization, by=membership.user, draft=draft, **where
    )


Write = Callable[[Contact, Membership], None]


# --- contacts ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("write", [note, reach, move])
def test_a_contact_that_was_added_and_written_to_since_goes_by_force_alone(
    membership: Membership, lead: Lead, write: Write, force: bool
) -> None:
    action = imported(membership, ADDED)
    contact = Contact.objects.get(name="Bea")
    write(contact, membership)
    assert undone(action, force=force) == ((1, []) if force else (0, ["changed_since"]))
    assert Contact.objects.filter(pk=contact.pk).exists() is not force


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("write", [note, reach, move, remove, add_another])
def test_a_lead_that_was_made_and_whose_contacts_were_changed_since_goes_by_force_alone(
    membership: Membership, write: Write, force: bool
) -> None:
    action = imported(membership, MADE)
    write(Contact.objects.get(name="Bea"), membership)
    assert undone(action, force=force) == ((1, []) if force else (0, ["changed_since"]))
    assert Lead.objects.filter(external_id="2").exists() is not force


@pytest.mark.parametrize("write", [note, reach, move, remove, add_another])
def test_a_lead_made_within_a_call_keeps_what_was_done_to_its_contacts_too(
    membership: Membership, write: Write
) -> None:
    with transaction.atomic():
        merge = MergeAtOnce(rules=Rules(), caller=caller_of(membership), source="gomega")
        merge.merge([Row(contact={"name": "Bea"}, email="bea@x.example")])
        action = merge.close(n_unread=0)
    write(Contact.objects.get(name="Bea"), membership)
    assert undone(action) == (0, ["changed_since"])
    assert Lead.objects.filter(name="Bea").exists()


def test_a_contact_that_others_have_added_to_a_lead_that_was_there_is_no_obstacle(
    membership: Membership, lead: Lead
) -> None:
    action = imported(membership, ADDED)
    add_another(Contact.objects.get(name="Bea"), membership)
    assert undone(action) == (1, [])
    assert sorted(lead.contacts.values_list("name", flat=True)) == ["Cleo", "Ida"]


@pytest.mark.parametrize("size", [1, 100])
def test_what_later_rows_do_to_a_contact_of_the_same_import_is_nobody_elses_change(
    membership: Membership, lead: Lead, settings: Settings, size: int
) -> None:
    settings.BULK_STORED_BATCH = size
    rows = (
        "1,Bea,,bea@x.example", "1,Bea,,bea@x.example", "1,Bea,Buyer,bea@x.example", "1,Dora,,",
        "2,Max,,max@x.example", "2,Max,,max@x.example", "2,Max,Chief,max@x.example", "2,Nora,,", "2,Max,,max@x.example",
    )  # fmt: skip
    action = imported(membership, "External ID,Contact,Title,Email\n" + "".join(f"{row}\n" for row in rows))
    assert Contact.objects.count() == 5
    assert undone(action) == (2, [])
    assert [contact.name for contact in Contact.objects.filter(lead__deleted_at=None)] == ["Ida"]


def test_a_contact_that_is_being_changed_is_waited_for(membership: Membership, lead: Lead) -> None:
    action = imported(membership, ADDED)
    contact = Contact.objects.get(name="Bea")
    with transaction.atomic():
        note(contact, membership)
        undoing = Elsewhere(undone, action)
        wait_until_blocked()
    assert undoing.join() == (0, ["changed_since"])
    assert Contact.objects.filter(pk=contact.pk).exists()


# --- mail of sequences ------------------------------------------------------------------------------------------------
@pytest.fixture
def world(membership: Membership) -> World:
    return World.of(membership)


def subscribed(world: World, sequence: Sequence, *contacts: Contact) -> None:
    """Their first mails wait in the outbox."""
    for contact in contacts:
        world.subscribe(sequence, contact)
    world.clock.now = timezone.now()
    SequenceSubscription.objects.update(next_at=world.clock.now)
    world.clock.tick()
    assert set(OutboxMail.objects.values_list("state", flat=True)) == {"reserved"}


@pytest.mark.parametrize("records", ["leads", "contacts"])
def test_no_mail_of_a_sequence_leaves_to_a_contact_that_was_taken_back(
    membership: Membership, lead: Lead, world: World, post: Post, records: str
) -> None:
    lead.contacts.get().emails.create(organization=lead.organization, email="ida@x.example")
    text = ADDED + "Oakvale,1,Cleo,cleo@x.example\n" if records == "leads" else "Contact,Email\nBea,bea@x.example\n"
    match = ("external_id",) if records == "leads" else ("email",)
    action = imported(membership, text, match, records=records)
    added = Contact.objects.exclude(name="Ida")
    added.filter(lead=None).update(lead=factories.LeadFactory.create(organization=membership.organization))
    subscribed(world, world.sequence({}, {"delay": 60}), *Contact.objects.all())
    assert undone(action) == (1, [])
    assert not added.exists()
    deliver()
    assert [to for to in post.recipients if to.endswith("x.example")] == ["ida@x.example"]
    held_back = OutboxMail.objects.exclude(address="ida@x.example")
    assert set(held_back.values_list("state", "error_code")) == {("withheld", "subscription_stopped")}


def test_a_contact_that_is_being_put_into_a_sequence_is_waited_for(
    membership: Membership, lead: Lead, world: World
) -> None:
    """Also where it has another lead by now: whoever subscribes it does not hold a lead of ours."""
    action = imported(membership, ADDED)
    contact = Contact.objects.get(name="Bea")
    move(contact, membership)
    with transaction.atomic():
        Contact.objects.select_for_update(no_key=True).get(pk=contact.pk)
        undoing = Elsewhere(undone, action, force=True)
        wait_until_blocked()
        contact.refresh_from_db()
        world.subscribe(world.sequence({}), contact)
    assert undoing.join() == (1, [])
    assert not Contact.objects.filter(pk=contact.pk).exists()
    assert not SequenceSubscription.objects.exists()


# --- contacts that an import has moved to another lead ----------------------------------------------------------------
def moved(membership: Membership, to: Lead) -> BulkAction:
    """Ida goes to that lead."""
    text = f"Email,Lead\nida@x.example,{close_id('lead', to.pk)}\n"
    mapping = {"Email": "contact.email", "Lead": "lead.id"}
    action = imported(membership, text, ("email",), records="contacts", mapping=mapping)
    assert to.contacts.get().name == "Ida"
    return action


@pytest.fixture
def ida(lead: Lead) -> Contact:
    contact = lead.contacts.get()
    contact.emails.create(organization=lead.organization, email="ida@x.example")
    return contact


def test_subscriptions_go_back_with_their_contact(
    membership: Membership, lead: Lead, ida: Contact, world: World
) -> None:
    old = world.subscribe(world.sequence({}), ida)
    action = moved(membership, make_leads(lead.status, 1)[0])
    ida.refresh_from_db()
    since = world.subscribe(world.sequence({}), ida)
    assert undone(action) == (1, [])
    assert [SequenceSubscription.objects.get(pk=one.pk).lead_id for one in (old, since)] == [lead.pk, lead.pk]


def test_a_contact_whose_lead_was_deleted_over_its_head_remembers_it_again(
    membership: Membership, lead: Lead, ida: Contact, world: World
) -> None:
    one = world.subscribe(world.sequence({}), ida)
    Lead.objects.filter(pk=lead.pk).update(deleted_at=Now())
    Contact.objects.filter(pk=ida.pk).update(lead=None, detached_from=lead.pk)
    assert undone(moved(membership, make_leads(lead.status, 1)[0])) == (1, [])
    ida.refresh_from_db()
    one.refresh_from_db()
    assert (ida.lead_id, ida.detached_from, one.lead_id) == (None, lead.pk, lead.pk)


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("purged", [False, True])
def test_a_contact_does_not_go_back_to_a_lead_that_is_gone(
    membership: Membership, lead: Lead, ida: Contact, purged: bool, force: bool
) -> None:
    other = make_leads(lead.status, 1)[0]
    action = moved(membership, other)
    if purged:
        purge_lead(lead.pk)
    else:
        delete_lead(lead_id=lead.pk, organization=membership.organization, by=membership.user)
    assert undone(action, force=force) == (0, ["value_gone"])
    assert other.contacts.get() == ida


def test_a_lead_that_is_being_deleted_is_waited_for_and_its_contact_stays_where_it_is(
    membership: Membership, lead: Lead, ida: Contact
) -> None:
    other = make_leads(lead.status, 1)[0]
    action = moved(membership, other)
    with transaction.atomic():
        delete_lead(lead_id=lead.pk, organization=membership.organization, by=membership.user)
        undoing = Elsewhere(undone, action)
        wait_until_blocked()
    assert undoing.join() == (0, ["value_gone"])
    assert other.contacts.get() == ida


# --- what belongs to leads and contacts -------------------------------------------------------------------------------
PHONE = "+14155550100"
PARTS = {
    "email": (f"Phone,Email\n{PHONE},ida@x.example\n", ("phone",)),
    "phone": (f"Phone,Other phones\n{PHONE},+14155550101\n", ("phone",)),
    "url": (f"Phone,Contact URL\n{PHONE},https://x.example\n", ("phone",)),
    "address": ("External ID,City\n1,Riga\n", ("external_id",)),
}


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_was_added_and_then_replaced_stays_and_is_told(
    membership: Membership, lead: Lead, part: str, force: bool
) -> None:
    action = imported(membership, *PARTS[part])
    if part == "address":
        draft = LeadDraft(addresses=[AddressDraft(city="mine")])
        update_lead(lead_id=lead.pk, organization=membership.organization, by=membership.user, draft=draft)
    else:
        own = {"email": "emails", "phone": "phones", "url": "urls"}[part]
        change(lead.contacts.get(), membership, ContactDraft(**{own: [Detail("mine", "office")]}))
    assert undone(action, force=force) == ((1, []) if force else (0, ["changed_since"]))
    contact = lead.contacts.get()
    kept = {"email": contact.emails, "phone": contact.phones, "url": contact.urls, "address": lead.addresses}[part]
    assert [getattr(one, "city" if part == "address" else part) for one in kept.all()] == ["mine"]


@pytest.mark.parametrize(
    ("part", "later"),
    [
        ("email", (f"Phone,Email\n{PHONE},other@x.example\n", ("phone",))),
        ("address", ("External ID,City\n1,Ventspils\n", ("external_id",))),
    ],
)
def test_a_part_that_another_import_has_overwritten_is_not_taken_back(
    membership: Membership, lead: Lead, part: str, later: tuple[str, tuple[str, ...]]
) -> None:
    first = imported(membership, *PARTS[part])
    second = imported(membership, *later)
    assert undone(first) == (0, ["changed_since"])
    assert undone(second) == (1, [])


@pytest.mark.parametrize("size", [1, 100])
def test_a_part_that_a_later_row_of_the_same_import_has_overwritten_is_taken_back(
    membership: Membership, lead: Lead, settings: Settings, size: int
) -> None:
    settings.BULK_STORED_BATCH = size
    text = "External ID,City,Zip,Phone,Email\n" + "".join(
        f"1,{city},{code},{PHONE},{email}\n"
        for city, code, email in (("Riga", "1000", "a@x.example"), ("Cesis", "", "b@x.example"))
    )
    action = imported(membership, text)
    assert [one.city for one in lead.addresses.all()] == ["Cesis"]
    assert undone(action) == (1, [])
    contact = lead.contacts.get()
    assert (contact.emails.count(), contact.phones.count(), lead.addresses.count()) == (0, 1, 0)


def test_another_change_of_the_lead_is_no_obstacle_to_what_was_added(membership: Membership, lead: Lead) -> None:
    action = imported(membership, *PARTS["address"])
    draft = LeadDraft(texts={"description": "called"})
    update_lead(lead_id=lead.pk, organization=membership.organization, by=membership.user, draft=draft)
    assert undone(action) == (1, [])
    assert not lead.addresses.exists()
