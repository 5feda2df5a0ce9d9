"""Whatever an import did, its undo leaves every record as it was."""

import csv
import io

import pytest
from django.db.models.functions import Now
from hypothesis import given
from hypothesis import settings as tried
from hypothesis import strategies as st
from pytest_django import Settings

from bulk_actions.undoing import undo
from crm.ids import close_id
from crm.import_fields import Fields
from crm.models import Contact, CustomField, Lead, Membership, SequenceSubscription
from tests import factories
from tests.bulk_actions.helpers import caller_of, check_invariant, run_to_end
from tests.bulk_actions.importing import import_of

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("no_doorbells", "status", "folder"),
]

HEADER = (
    "Company", "Description", "External ID", "City", "Zip", "Tier", "Contact", "Title", "Email", "Other emails",
    "Phone", "Other phones", "Contact URL",
)  # fmt: skip
CLEARED = ("Description", "City", "Tier", "Title")  # where the file says nothing, in half of the cases
WORDS = st.sampled_from(["", "", "Ida", "Bo", "x=1"])
EMAILS = st.sampled_from(["", "a@x.example", "A@X.example", "b@x.example", "c@x.example"])
PHONES = st.sampled_from(["", "+14155550100", "(415) 555-0100", "+14155550101"])
URLS = st.sampled_from(["", "https://a.example", "https://b.example"])
ROW = st.tuples(
    WORDS, WORDS, st.sampled_from(["", "", "1", "2"]), WORDS, WORDS, WORDS, WORDS, WORDS, EMAILS, EMAILS, PHONES,
    PHONES, URLS,
)  # fmt: skip
FILE = st.lists(ROW, min_size=1, max_size=8)


# Where a contact is: without a lead, of one of two, or left behind by a third that was deleted.
PLACES = st.lists(st.sampled_from(["", "first", "second", "left"]), min_size=8, max_size=8)


def written(rows: list[tuple[str, ...]], header: tuple[str, ...] = HEADER) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([header, *rows])
    return out.getvalue()


def place(membership: Membership, places: list[str]) -> dict[str, str]:
    """Put the contacts there, each into a sequence; the ids of the places, as a file says them."""
    organization = membership.organization
    first, second, gone = factories.LeadFactory.create_batch(3, organization=organization)
    Lead.objects.filter(pk=gone.pk).update(deleted_at=Now())
    sequence = factories.SequenceFactory.create(organization=organization)
    leads = {"": {}, "first": {"lead": first}, "second": {"lead": second}, "left": {"detached_from": gone.pk}}
    for contact, where in zip(Contact.objects.order_by("pk"), places, strict=False):
        if contact.lead is None:
            Contact.objects.filter(pk=contact.pk).update(**leads[where])
        contact.refresh_from_db()
        SequenceSubscription.objects.create(
            organization=organization, sequence=sequence, contact=contact, lead=contact.lead or gone,
            contact_email="a@x.example", sender_account_id=sequence.pk, sender_name="Jo", sender_email="jo@x.example",
        )  # fmt: skip
    return {"": "", "left": "", "first": close_id("lead", first.pk), "second": close_id("lead", second.pk)}


def held() -> list[object]:
    """All that imports write, of what is not deleted."""
    leads = Lead.objects.order_by("pk").values_list(
        "pk", "name", "description", "external_id", "status", "custom", "source_type", "source_platform"
    )
    contacts = Contact.objects.exclude(lead__deleted_at__isnull=False).order_by("pk")
    return [
        list(leads),
        [list(lead.addresses.order_by("pk").values()) for lead in Lead.objects.order_by("pk")],
        list(
            contacts.values_list(
                "pk", "lead", "detached_from", "name", "first_name", "last_name", "title", "position", "custom"
            )
        ),
        list(SequenceSubscription.objects.order_by("pk").values_list("pk", "contact", "lead", "status")),
        [
            list(parts.order_by("pk").values())
            for contact in contacts
            for parts in (contact.emails, contact.phones, contact.urls)
        ],
    ]


@pytest.mark.parametrize("records", ["leads", "contacts"])
@given(
    before=FILE,
    file=FILE,
    match=st.sampled_from([["email", "phone"], ["external_id", "email"], ["phone"]]),
    size=st.integers(1, 4),
    clears=st.booleans(),
    places=PLACES,
    goals=PLACES,
)
@tried(max_examples=25)
def test_an_undo_leaves_all_as_it_was_before_the_import(
    membership: Membership,
    settings: Settings,
    records: str,
    before: list[tuple[str, ...]],
    file: list[tuple[str, ...]],
    match: list[str],
    size: int,
    clears: bool,
    places: list[str],
    goals: list[str],
) -> None:
    settings.BULK_STORED_BATCH = size
    Contact.objects.all().delete()
    Lead.objects.all().delete()
    CustomField.objects.all().delete()
    factories.CustomFieldFactory.create(organization=membership.organization, name="Tier")
    run_to_end(import_of(membership, written(before), records=records))
    ids = place(membership, places)
    was = held()
    mapping = Fields(membership.organization_id, records).suggest(HEADER)
    header = HEADER
    if records == "contacts":
        header, mapping = (*HEADER, "Goes to"), mapping | {"Goes to": "lead.id"}
        file = [(*row, ids[goal]) for row, goal in zip(file, goals, strict=False)]
    if clears:
        mapping |= {name: {"field": mapping[name], "empty": "clear"} for name in CLEARED if name in mapping}
    text = written(file, header)
    action = run_to_end(import_of(membership, text, records=records, match=match, mapping=mapping))
    check_invariant(action)
    undone = run_to_end(undo(action=action, caller=caller_of(membership), force=False))
    check_invariant(undone)
    assert undone.n_succeeded == undone.n_leads
    assert held() == was
