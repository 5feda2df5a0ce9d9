"""Whatever an import did, its undo leaves every record as it was."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import settings as tried
from hypothesis import strategies as st
from pytest_django import Settings

from bulk_actions.undoing import undo
from crm.import_fields import Fields
from crm.models import Contact, CustomField, Lead, Membership
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


def written(rows: list[tuple[str, ...]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([HEADER, *rows])
    return out.getvalue()


def held() -> list[object]:
    """All that imports write, of what is not deleted."""
    leads = Lead.objects.order_by("pk").values_list(
        "pk", "name", "description", "external_id", "status", "custom", "source_type", "source_platform"
    )
    contacts = Contact.objects.exclude(lead__deleted_at__isnull=False).order_by("pk")
    return [
        list(leads),
        [list(lead.addresses.order_by("pk").values()) for lead in Lead.objects.order_by("pk")],
        list(contacts.values_list("pk", "lead", "name", "first_name", "last_name", "title", "position", "custom")),
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
) -> None:
    settings.BULK_STORED_BATCH = size
    Contact.objects.all().delete()
    Lead.objects.all().delete()
    CustomField.objects.all().delete()
    factories.CustomFieldFactory.create(organization=membership.organization, name="Tier")
    run_to_end(import_of(membership, written(before), records=records))
    was = held()
    mapping = Fields(membership.organization_id, records).suggest(HEADER)
    if clears:
        mapping |= {name: {"field": mapping[name], "empty": "clear"} for name in CLEARED if name in mapping}
    action = run_to_end(import_of(membership, written(file), records=records, match=match, mapping=mapping))
    check_invariant(action)
    undone = run_to_end(undo(action=action, caller=caller_of(membership), force=False))
    check_invariant(undone)
    assert undone.n_succeeded == undone.n_leads
    assert held() == was
