"""Further addresses, numbers and URLs of a contact, addresses and further contacts of a lead: what rows add of them."""

from collections.abc import Sequence

import pytest
from django.db import transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.merging import Change, Key, OnDuplicate, Reach, Row, Rules, Subject
from crm.merging.rows import ADDRESS_COLUMNS
from crm.models import Contact, Lead, LeadStatus, Membership
from tests import factories
from tests.crm.merging.helpers import emails_of, make_contact, merge, outcomes, phones_of

pytestmark = pytest.mark.usefixtures("status")


@pytest.fixture
def lead(status: LeadStatus) -> Lead:
    return factories.LeadFactory.create(organization=status.organization, status=status)


def reaches(*texts: str, type: str = "home") -> list[Reach]:
    return [Reach(text, type) for text in texts]


def addresses_of(lead: Lead) -> list[dict[str, str]]:
    return [
        {name: value for name in ADDRESS_COLUMNS if (value := getattr(address, name)) is not None}
        for address in lead.addresses.order_by("position", "id")
    ]


def people_of(lead: Lead) -> list[tuple[str | None, list[str]]]:
    return [(person.name, emails_of(person)) for person in lead.contacts.order_by("position", "id")]


def test_a_new_contact_has_all_that_the_row_says_in_its_order_with_its_types(membership: Membership) -> None:
    row = Row(
        email="a@x.example",
        emails=reaches("b@x.example", "a@x.example", "c@x.example"),
        phones=reaches("+14155550100", "(415) 555-0100", type="mobile"),
        urls=reaches("https://b.example", "https://a.example", type="url"),
    )
    merge(membership, row)
    contact = Contact.objects.get()
    found = list(contact.emails.values_list("email", "type", "position"))
    assert found == [("a@x.example", "office", 0), ("b@x.example", "home", 1), ("c@x.example", "home", 2)]
    found = list(contact.phones.values_list("phone", "type", "position"))
    assert found == [("+14155550100", "mobile", 0), ("(415) 555-0100", "mobile", 1)]
    assert list(contact.urls.values_list("url", "position")) == [("https://b.example", 0), ("https://a.example", 1)]


def test_what_a_contact_has_already_stays_and_the_rest_comes_behind_it(membership: Membership, lead: Lead) -> None:
    contact = make_contact(lead, email="Ida@x.example", phone="+14155550100")
    contact.urls.create(organization=lead.organization, url="https://a.example", position=3)
    row = Row(
        email="ida@x.example",
        emails=reaches("IDA@x.example", "b@x.example"),
        phones=reaches("415-555-0100", "+14155550111"),
        urls=reaches("https://a.example", "https://b.example"),
    )
    merged = merge(membership, row)
    assert outcomes(merged) == [("updated", "email")]
    assert emails_of(contact) == ["Ida@x.example", "b@x.example"]
    assert phones_of(contact) == ["+14155550100", "+14155550111"]
    assert list(contact.urls.values_list("url", "position")) == [("https://a.example", 3), ("https://b.example", 4)]
    assert {detail.table for detail in merged.new_details} == {"email", "phone", "url"}
    assert merged.changes == []


def test_a_further_address_finds_its_contact_and_a_later_row_finds_it_by_one(
    membership: Membership, lead: Lead
) -> None:
    make_contact(lead, email="old@x.example")
    rows = [
        Row(email="new@x.example", emails=reaches("old@x.example", "third@x.example")),
        Row(email="third@x.example"),
    ]
    merged = merge(membership, *rows)
    assert outcomes(merged) == [("updated", "email"), ("updated", "email")]
    assert Contact.objects.count() == 1


def test_the_first_address_of_a_lead_is_changed_where_the_row_says_something(
    membership: Membership, lead: Lead
) -> None:
    make_contact(lead, email="a@x.example")
    lead.addresses.create(organization=lead.organization, city="Oakvale", zipcode="1")
    lead.addresses.create(organization=lead.organization, city="Fir", position=1)
    merged = merge(membership, Row(email="a@x.example", address={"zipcode": "2", "country": "JP", "city": ""}))
    assert addresses_of(lead) == [{"city": "Oakvale", "zipcode": "2", "country": "JP"}, {"city": "Fir"}]
    key = lead.addresses.get(position=0).pk
    assert merged.changes == [
        Change("address", key, {"zipcode": "1", "country": None}, {"zipcode": "2", "country": "JP"})
    ]


def test_further_addresses_are_added_unless_the_lead_has_them(membership: Membership, lead: Lead) -> None:
    make_contact(lead, email="a@x.example")
    lead.addresses.create(organization=lead.organization, city="Fir")
    rows = [
        Row(email="a@x.example", addresses=[{"city": "Fir"}, {"city": "Oak"}]),
        Row(email="a@x.example", addresses=[{"city": "Oak"}]),
    ]
    merged = merge(membership, *rows)
    assert addresses_of(lead) == [{"city": "Fir"}, {"city": "Oak"}]
    assert [detail.table for detail in merged.new_details] == ["address"]


def test_a_new_lead_has_its_addresses_in_their_order(membership: Membership) -> None:
    first, second = {"city": "Oak", "label": "office"}, {"city": "Fir"}
    merged = merge(membership, Row(email="a@x.example", address=first, addresses=[first, second]))
    assert addresses_of(Lead.objects.get()) == [first, second]
    assert merged.new_details == []


def test_a_new_lead_has_all_contacts_of_its_row(membership: Membership) -> None:
    contacts = [
        Row(contact={"name": "Ida"}, emails=reaches("ida@x.example")),
        Row(contact={"title": "Clerk"}),
        Row(contact={"name": "Bo"}, emails=reaches("ida@x.example")),
    ]
    merged = merge(membership, Row(lead={"name": "Oakvale"}, contacts=contacts))
    lead = Lead.objects.get()
    assert people_of(lead) == [("Ida", ["ida@x.example"]), (None, []), ("Bo", ["ida@x.example"])]
    assert merged.results[0].contact_id == lead.contacts.get(name="Ida").pk


def test_the_same_row_again_changes_nothing(membership: Membership) -> None:
    contacts = [
        Row(contact={"name": "Ida"}, emails=reaches("ida@x.example"), urls=reaches("https://x.example")),
        Row(contact={"name": "Bo"}),
    ]
    row = Row(lead={"name": "Oakvale", "external_id": "1"}, address={"city": "Oak"}, contacts=contacts)
    rules = Rules(match=(Key.EXTERNAL_ID,))
    merge(membership, row, rules=rules)
    before = people_of(Lead.objects.get())
    merged = merge(membership, row, rules=rules)
    assert (merged.changes, merged.new_contacts, merged.new_details) == ([], [], [])
    assert people_of(Lead.objects.get()) == before


def test_a_lead_is_found_through_a_further_contact_and_the_others_are_found_in_it(
    membership: Membership, lead: Lead
) -> None:
    make_contact(lead, name="Bo", email="bo@x.example", position=1)
    make_contact(lead, name="Ida", position=2)
    contacts = [
        Row(contact={"name": "Ida", "title": "Head"}),
        Row(contact={"name": "Bo"}, emails=reaches("BO@x.example")),
        Row(contact={"name": "New"}),
    ]
    merged = merge(membership, Row(lead={"name": "Oakvale"}, contacts=contacts))
    assert outcomes(merged) == [("updated", "email")]
    assert people_of(lead) == [("Bo", ["bo@x.example"]), ("Ida", []), ("New", [])]
    assert merged.new_contacts == [lead.contacts.get(name="New").pk]
    assert lead.contacts.get(name="Ida").title == "Head"


def test_without_a_name_a_number_too_short_to_match_finds_its_contact_as_it_is_written(
    membership: Membership, lead: Lead
) -> None:
    Lead.objects.filter(pk=lead.pk).update(external_id="e-1")
    make_contact(lead, phone="555-0101")
    contact = make_contact(lead, phone="555-0100")
    rules = Rules(match=(Key.EXTERNAL_ID,))
    alike = Row(lead={"external_id": "e-1"}, phone="555-0100")
    listed = Row(lead={"external_id": "e-1"}, contacts=[Row(phones=reaches("555-0100"))])
    for row in (alike, listed):
        merged = merge(membership, row, rules=rules)
        assert (merged.new_contacts, merged.results[0].contact_id) == ([], contact.pk)
    named = Row(lead={"external_id": "e-1"}, contact={"name": "Bo"}, phone="555-0100")
    assert len(merge(membership, named, rules=rules).new_contacts) == 1, "a number of a house may be many people's"


def test_two_contacts_of_a_row_are_never_one(membership: Membership, lead: Lead) -> None:
    make_contact(lead, name="Ida", email="ida@x.example")
    contacts = [Row(contact={"name": "Ida"}, emails=reaches("ida@x.example")), Row(contact={"name": "Ida"})]
    merge(membership, Row(contacts=contacts))
    assert people_of(lead) == [("Ida", ["ida@x.example"]), ("Ida", [])]


def test_rows_of_contacts_bring_urls_and_no_addresses(membership: Membership) -> None:
    rules = Rules(Subject.CONTACT, (Key.EMAIL,))
    merge(membership, Row(email="a@x.example", urls=reaches("https://a.example"), address={"city": "Oak"}), rules=rules)
    contact = Contact.objects.get()
    assert [one.url for one in contact.urls.all()] == ["https://a.example"]
    assert not Lead.objects.exists()


def test_a_custom_field_of_a_further_contact_that_is_gone_fails_the_row(membership: Membership) -> None:
    merged = merge(membership, Row(contacts=[Row(contact={"name": "Ida"}, contact_custom={"7GoneGoneGone": 1})]))
    assert (outcomes(merged), merged.results[0].problem) == ([("failed", None)], "custom.7GoneGoneGone")


@pytest.mark.parametrize("policy", [OnDuplicate.SKIP, OnDuplicate.FAIL])
def test_a_duplicate_that_is_not_to_be_changed_gets_nothing(
    membership: Membership, lead: Lead, policy: OnDuplicate
) -> None:
    contact = make_contact(lead, email="a@x.example")
    row = Row(
        email="a@x.example",
        phones=reaches("+14155550100"),
        address={"city": "Oak"},
        contacts=[Row(email="b@x.example")],
    )
    merge(membership, row, rules=Rules(on_duplicate=policy))
    assert (phones_of(contact), addresses_of(lead), lead.contacts.count()) == ([], [], 1)


TEXTS = st.sampled_from(["", "Ida", "Bo"])
ADDRESSES = st.fixed_dictionaries({}, optional={"city": TEXTS.filter(bool), "zipcode": st.sampled_from(["1", "2"])})


def some(*texts: str) -> st.SearchStrategy[list[Reach]]:
    return st.lists(st.builds(Reach, st.sampled_from(texts), st.sampled_from(["office", "home"])), max_size=3)


CONTACTS = st.builds(
    Row,
    contact=st.fixed_dictionaries({}, optional={"name": TEXTS, "title": TEXTS}),
    emails=some("a@x.example", "A@x.example", "b@x.example"),
    phones=some("+14155550100", "(415) 555-0100", "555-0100"),
    urls=some("https://a.example", "https://b.example"),
)
LEADS = st.builds(
    Row,
    lead=st.just({"external_id": "1"}),
    address=ADDRESSES,
    addresses=st.lists(ADDRESSES.filter(bool), max_size=3),
    contacts=st.lists(CONTACTS, max_size=4),
)


def written(reaches: Sequence[Reach]) -> list[str]:
    """Of what is written alike only the first."""
    return list(dict.fromkeys(reach.text for reach in reaches))


def said_of(row: Row) -> tuple[list, list]:
    people = [
        (one.contact.get("name") or None, one.contact.get("title") or None, written(one.emails), written(one.phones),
         written(one.urls))
        for one in row.contacts
        if any((*one.contact.values(), one.emails, one.phones, one.urls))
    ]  # fmt: skip
    addresses = [row.address] if row.address else []
    addresses += [one for place, one in enumerate(row.addresses) if one not in [row.address, *row.addresses[:place]]]
    return addresses, people


def held_of(lead: Lead) -> tuple[list, list]:
    people = [
        (one.name, one.title, emails_of(one), phones_of(one), list(one.urls.values_list("url", flat=True)))
        for one in lead.contacts.order_by("position", "id")
    ]
    return addresses_of(lead), people


# Each example is rolled back.
@settings(max_examples=80)
@given(row=LEADS)
def test_whatever_a_row_says_a_new_lead_holds_just_that_and_saying_it_again_changes_nothing(
    membership: Membership, row: Row
) -> None:
    with transaction.atomic():
        rules = Rules(match=(Key.EXTERNAL_ID,))
        merge(membership, row, rules=rules)
        lead = Lead.objects.get()
        assert held_of(lead) == said_of(row)
        again = merge(membership, row, rules=rules)
        assert (again.changes, again.new_contacts, again.new_details) == ([], [], [])
        assert held_of(lead) == said_of(row)
        transaction.set_rollback(True)
