"""Merging rows into leads and contacts: who is found, what is written, what is told."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from django.utils import timezone

from crm.merging import LARGEST_CALL, Change, Key, OnDuplicate, Row, Rules, Subject
from crm.models import Contact, Lead, LeadStatus, LeadStatusChange, Membership
from tests import factories
from tests.crm.merging.helpers import emails_of, make_contact, merge, outcomes, phones_of

pytestmark = pytest.mark.usefixtures("status")

CONTACTS = Rules(Subject.CONTACT, (Key.EMAIL, Key.PHONE))


@pytest.fixture
def lead(status: LeadStatus) -> Lead:
    return factories.LeadFactory.create(organization=status.organization, status=status)


def test_a_row_that_matches_nothing_makes_a_lead_with_its_contact(membership: Membership, status: LeadStatus) -> None:
    row = Row(
        lead={"source_platform": "meta_ads", "owner_id": membership.user.pk, "score": 7, "qualified": False},
        contact={"name": "佐藤 花子", "title": "部長"},
        email="hanako@example.jp",
        phone="+819012345678",
    )
    merged = merge(membership, row)
    lead, contact = Lead.objects.get(), Contact.objects.get()
    assert outcomes(merged) == [("created", None)]
    assert (merged.results[0].lead_id, merged.results[0].contact_id) == (lead.pk, contact.pk)
    assert (merged.new_leads, merged.new_contacts, merged.changes) == ({lead.pk: 1}, [], [])
    assert (lead.name, lead.status, lead.source_platform, lead.source_type) == (
        "佐藤 花子",
        status,
        "meta_ads",
        "manual",
    )
    assert (lead.lifecycle, lead.score, lead.qualified, lead.owner) == ("active", 7, False, membership.user)
    assert (lead.created_by, lead.updated_by) == (membership.user, membership.user)
    assert (contact.lead, contact.name, contact.title, contact.position) == (lead, "佐藤 花子", "部長", 0)
    assert (emails_of(contact), phones_of(contact)) == (["hanako@example.jp"], ["+819012345678"])


@pytest.mark.parametrize("written", ["IDA@oakvale.example", "  ida@OAKVALE.example\t"])
def test_addresses_match_trimmed_and_case_folded(membership: Membership, lead: Lead, written: str) -> None:
    contact = make_contact(lead, email="Ida@Oakvale.example ")
    assert outcomes(merge(membership, Row(email=written))) == [("updated", "email")]
    assert emails_of(contact) == ["Ida@Oakvale.example "], "it is the same address: it stays as it is written"


@pytest.mark.parametrize(
    "written", ["090-1234-5678", "(090) 1234 5678", "０９０１２３４５６７８", "+819012345678;ext=12"]
)
def test_numbers_match_by_their_last_ten_digits(membership: Membership, lead: Lead, written: str) -> None:
    make_contact(lead, phone="+819012345678")
    assert outcomes(merge(membership, Row(phone=written))) == [("updated", "phone")]


def test_fewer_than_ten_digits_match_nothing(membership: Membership, lead: Lead) -> None:
    make_contact(lead, phone="123456789")
    assert outcomes(merge(membership, Row(phone="123456789"))) == [("created", None)]


def test_the_email_wins_over_the_phone(membership: Membership, lead: Lead) -> None:
    other = factories.LeadFactory.create(organization=lead.organization, status=lead.status)
    make_contact(lead, phone="+14155550100")
    make_contact(other, email="ida@oakvale.example")
    merged = merge(membership, Row(email="ida@oakvale.example", phone="+14155550100"))
    assert merged.results[0].lead_id == other.pk
    assert outcomes(merged) == [("updated", "email")]


def test_of_several_the_oldest_live_lead_wins(membership: Membership, lead: Lead) -> None:
    older = factories.LeadFactory.create(organization=lead.organization, status=lead.status)
    gone = factories.LeadFactory.create(organization=lead.organization, status=lead.status)
    for one in (lead, older, gone):
        make_contact(one, email="ida@oakvale.example")
    Lead.objects.filter(pk=older.pk).update(date_created=datetime(2020, 1, 1, tzinfo=UTC))
    Lead.objects.filter(pk=gone.pk).update(date_created=datetime(2019, 1, 1, tzinfo=UTC), deleted_at=timezone.now())
    assert merge(membership, Row(email="ida@oakvale.example")).results[0].lead_id == older.pk


def test_an_archived_lead_matches(membership: Membership, lead: Lead) -> None:
    make_contact(lead, email="ida@oakvale.example")
    Lead.objects.filter(pk=lead.pk).update(lifecycle="archived")
    merge(membership, Row(email="ida@oakvale.example"))
    assert Lead.objects.get().lifecycle == "archived"


def test_another_organization_is_neither_found_nor_changed(membership: Membership) -> None:
    stranger = factories.LeadFactory.create()
    make_contact(stranger, email="ida@oakvale.example")
    Lead.objects.filter(pk=stranger.pk).update(external_id="7")
    merged = merge(
        membership,
        Row(lead={"external_id": "7"}, email="ida@oakvale.example"),
        rules=Rules(match=(Key.EXTERNAL_ID, Key.EMAIL)),
    )
    assert outcomes(merged) == [("created", None)]
    assert merged.results[0].lead_id != stranger.pk


def test_supplied_values_overwrite_and_empty_ones_do_not(membership: Membership, lead: Lead) -> None:
    field = factories.CustomFieldFactory.create(organization=lead.organization)
    other = factories.CustomFieldFactory.create(organization=lead.organization)
    Lead.objects.filter(pk=lead.pk).update(description="old", industry="Mills", custom={field.key: "a", other.key: "b"})
    contact = make_contact(lead, email="ida@oakvale.example", phone="+14155550100", title="Miller")
    row = Row(
        lead={"description": "new", "industry": "", "name": None},
        contact={"name": "Ida Moss-Lee", "title": ""},
        email="ida@oakvale.example",
        phone="+14155550199",
        lead_custom={field.key: "c", other.key: ""},
    )
    merged = merge(membership, row)
    lead.refresh_from_db()
    contact.refresh_from_db()
    assert (lead.description, lead.industry, lead.custom) == ("new", "Mills", {field.key: "c", other.key: "b"})
    assert (contact.name, contact.title, phones_of(contact)) == ("Ida Moss-Lee", "Miller", ["+14155550199"])
    assert {change.table for change in merged.changes} == {"lead", "contact", "phone"}
    assert Change(
        "lead", lead.pk, {"custom." + field.key: "a", "description": "old"},
        {"custom." + field.key: "c", "description": "new"},
    ) in merged.changes  # fmt: skip
    phone = contact.phones.get()
    assert Change("phone", phone.pk, {"phone": "+14155550100"}, {"phone": "+14155550199"}) in merged.changes


def test_what_is_cleared_is_lost_by_old_records_and_not_had_by_new_ones(membership: Membership, lead: Lead) -> None:
    field = factories.CustomFieldFactory.create(organization=lead.organization)
    Lead.objects.filter(pk=lead.pk).update(description="old", url="https://a.example", custom={field.key: "a"})
    contact = make_contact(lead, email="ida@oakvale.example", title="Miller")
    cleared = ["lead.description", f"lead.custom.{field.key}", "contact.title", "address.city"]
    set_before = Row(
        lead={"description": "x"}, contact={"title": "y"}, email="new@oakvale.example", lead_custom={field.key: "b"},
        address={"city": "Fir"},
    )  # fmt: skip
    rows = [Row(email=email, cleared=cleared) for email in ("ida@oakvale.example", "new@oakvale.example")]
    merged = merge(membership, set_before, *rows)
    lead.refresh_from_db()
    contact.refresh_from_db()
    assert (lead.description, lead.url, lead.custom, contact.title) == (None, "https://a.example", {}, None)
    assert {(change.table, *change.after.values()) for change in merged.changes} == {
        ("lead", None, None), ("contact", None)
    }  # fmt: skip
    new = Lead.objects.exclude(pk=lead.pk).get()
    assert (new.description, new.custom, new.addresses.count(), new.contacts.get().title) == (None, {}, 0, None)
    back = merge(membership, Row(lead={"description": "x"}, email="ida@oakvale.example", cleared=[]))
    assert [change.after for change in back.changes] == [{"description": "x"}]


def test_where_a_lead_comes_from_and_whose_it_is_stays(membership: Membership, lead: Lead) -> None:
    owner = factories.MembershipFactory.create(organization=lead.organization).user
    make_contact(lead, email="ida@oakvale.example")
    created = Lead.objects.get().date_created
    before = Lead.objects.get().date_updated
    columns = {"source_platform": "zoho", "source_type": "form", "owner_id": membership.user.pk}
    merge(membership, Row(lead=columns, email="ida@oakvale.example"))
    merge(membership, Row(lead={"owner_id": owner.pk}, email="ida@oakvale.example"))
    lead.refresh_from_db()
    assert (lead.source_platform, lead.source_type, lead.owner_id) == ("direct", "manual", membership.user.pk)
    assert lead.date_created == created
    assert lead.date_updated > before


def test_another_stage_is_written_down(membership: Membership, lead: Lead) -> None:
    make_contact(lead, email="ida@oakvale.example")
    stage = factories.LeadStatusFactory.create(organization=lead.organization)
    row = Row(lead={"status_id": stage.pk}, email="ida@oakvale.example")
    action_id = uuid4()
    merge(membership, row, action_id=action_id)
    merge(membership, row)
    change = LeadStatusChange.objects.get()
    assert (change.old_status, change.new_status, change.bulk_action_id) == (lead.status, stage, action_id)
    assert Lead.objects.get().status == stage


def test_later_rows_meet_what_earlier_ones_made(membership: Membership) -> None:
    merged = merge(
        membership,
        Row(contact={"name": "Ida"}, email="ida@oakvale.example"),
        Row(contact={"title": "Miller"}, email="IDA@oakvale.example", phone="+14155550100"),
        Row(lead={"description": "x"}, phone="4155550100"),
    )
    assert outcomes(merged) == [("created", None), ("updated", "email"), ("updated", "phone")]
    assert len({result.lead_id for result in merged.results}) == 1
    lead, contact = Lead.objects.get(), Contact.objects.get()
    assert (lead.description, contact.name, contact.title) == ("x", "Ida", "Miller")
    assert (merged.new_leads, merged.changes) == ({lead.pk: 1}, []), "taking the lead back takes it all back"


def test_an_address_that_was_overwritten_matches_no_more(membership: Membership, lead: Lead) -> None:
    contact = make_contact(lead, email="old@oakvale.example", phone="+14155550100")
    merged = merge(
        membership,
        Row(email="new@oakvale.example", phone="+14155550100"),
        Row(email="old@oakvale.example"),
        Row(email="new@oakvale.example"),
    )
    assert outcomes(merged) == [("updated", "phone"), ("created", None), ("updated", "email")]
    assert emails_of(contact) == ["new@oakvale.example"]


@pytest.mark.parametrize("policy", [OnDuplicate.SKIP, OnDuplicate.FAIL])
def test_a_duplicate_is_skipped_or_fails_as_the_policy_says(
    membership: Membership, lead: Lead, policy: OnDuplicate
) -> None:
    contact = make_contact(lead, email="ida@oakvale.example")
    before = Lead.objects.values().get(), Contact.objects.values().get()
    merged = merge(
        membership,
        Row(lead={"name": "x"}, contact={"name": "y"}, email="ida@oakvale.example"),
        rules=Rules(on_duplicate=policy),
    )
    result = merged.results[0]
    assert (result.lead_id, result.contact_id, result.matched_by) == (lead.pk, contact.pk, Key.EMAIL)
    assert (result.outcome, result.problem) == (
        ("skipped", None) if policy is OnDuplicate.SKIP else ("failed", "duplicate")
    )
    assert (Lead.objects.values().get(), Contact.objects.values().get()) == before


def test_without_dedupe_every_row_makes_a_record(membership: Membership) -> None:
    merged = merge(
        membership, *[Row(contact={"name": "Ida"}, email="ida@oakvale.example")] * 3,
        rules=Rules(Subject.CONTACT, on_duplicate=OnDuplicate.CREATE),
    )  # fmt: skip
    assert outcomes(merged) == [("created", None)] * 3
    assert Contact.objects.filter(lead=None, name="Ida").count() == 3
    assert merged.new_contacts == [result.contact_id for result in merged.results]


def test_a_dry_run_says_the_same_and_writes_nothing(membership: Membership, lead: Lead) -> None:
    contact = make_contact(lead, email="ida@oakvale.example")
    rows = [Row(contact={"name": "Ida L"}, email="ida@oakvale.example"), Row(email="bo@x.example"),
            Row(email="bo@x.example"), Row(lead={"status_id": uuid4()})]  # fmt: skip
    before = list(Lead.objects.values()), list(Contact.objects.values())
    planned = merge(membership, *rows, dry_run=True)
    assert (list(Lead.objects.values()), list(Contact.objects.values())) == before
    assert [result.lead_id for result in planned.results] == [lead.pk, None, None, None]
    assert planned.results[0].contact_id == contact.pk
    assert outcomes(planned) == outcomes(merge(membership, *rows))


def test_a_row_that_refers_to_what_is_not_there_fails_alone(membership: Membership, lead: Lead) -> None:
    foreign = factories.LeadStatusFactory.create()
    foreign_field = factories.CustomFieldFactory.create()
    merged = merge(
        membership,
        Row(lead={"status_id": foreign.pk}, email="a@x.example"),
        Row(email="b@x.example", lead_custom={foreign_field.key: "x"}),
        Row(email="c@x.example"),
    )
    assert [result.problem for result in merged.results] == ["status_id", f"custom.{foreign_field.key}", None]
    assert [result.outcome for result in merged.results] == ["failed", "failed", "created"]
    in_contacts = merge(membership, Row(contact={"name": "x", "lead_id": factories.LeadFactory.create().pk}),
                        Row(contact={"name": "y", "lead_id": lead.pk}), rules=CONTACTS)  # fmt: skip
    assert [result.problem for result in in_contacts.results] == ["lead_id", None]
    assert Contact.objects.get(name="y").lead == lead


def test_an_external_id_gathers_the_contacts_of_a_lead(membership: Membership) -> None:
    rows = [Row(lead={"external_id": "A7", "name": "Oakvale"}, contact={"name": name}, email=f"{name}@x.example")
            for name in ("ida", "bo")]  # fmt: skip
    again = [Row(lead={"external_id": "A7"}, contact={"name": "ida", "title": "Miller"})]
    merged = merge(membership, *rows, rules=Rules(match=(Key.EXTERNAL_ID,)))
    merge(membership, *again, rules=Rules(match=(Key.EXTERNAL_ID,)))
    assert outcomes(merged) == [("created", None), ("updated", "external_id")]
    assert list(Contact.objects.values_list("name", "title", "position")) == [("ida", "Miller", 0), ("bo", None, 1)]


def test_a_custom_field_can_be_the_key(membership: Membership, lead: Lead) -> None:
    field = factories.CustomFieldFactory.create(organization=lead.organization, type="number")
    Lead.objects.filter(pk=lead.pk).update(custom={field.key: 12})
    rules = Rules(match=(Key.CUSTOM,), custom_field=field)
    merged = merge(membership, Row(lead_custom={field.key: 12.0}, lead={"name": "x"}),
                   Row(lead_custom={field.key: 13}), Row(lead_custom={field.key: 13}), Row(), rules=rules)  # fmt: skip
    assert outcomes(merged) == [("updated", "custom"), ("created", None), ("updated", "custom"), ("created", None)]
    assert merged.results[0].lead_id == lead.pk


def test_contacts_are_matched_with_and_without_a_lead(membership: Membership, lead: Lead) -> None:
    contact = make_contact(lead, email="ida@oakvale.example")
    merge(membership, Row(contact={"name": "Bo"}, email="bo@x.example"), rules=CONTACTS)
    person = Contact.objects.get(name="Bo")
    columns = {"name": "Bo Lund", "first_name": "Bo", "last_name": "Lund", "note": "n"}
    merged = merge(membership, Row(contact=columns, email="bo@x.example"),
                   Row(contact={"title": "Miller"}, email="ida@oakvale.example"), rules=CONTACTS)  # fmt: skip
    assert [result.contact_id for result in merged.results] == [person.pk, contact.pk]
    assert [result.lead_id for result in merged.results] == [None, lead.pk]
    person.refresh_from_db()
    assert {name: getattr(person, name) for name in columns} == columns


def test_a_contact_of_a_deleted_lead_does_not_match(membership: Membership, lead: Lead) -> None:
    make_contact(lead, email="ida@oakvale.example", external_id="7")
    Lead.objects.filter(pk=lead.pk).update(deleted_at=timezone.now())
    rules = Rules(Subject.CONTACT, (Key.EMAIL, Key.EXTERNAL_ID))
    row = Row(contact={"external_id": "7"}, email="ida@oakvale.example")
    assert outcomes(merge(membership, row, rules=rules)) == [("created", None)]


def test_a_contact_moves_behind_those_of_the_lead_that_it_is_given(membership: Membership, lead: Lead) -> None:
    home = factories.LeadFactory.create(organization=lead.organization, status=lead.status)
    make_contact(home, position=4)
    movers = [make_contact(lead, email=f"{n}@x.example", position=n) for n in range(2)]
    rows = [Row(contact={"lead_id": home.pk}, email=f"{n}@x.example") for n in range(2)]
    merged = merge(membership, *rows, Row(contact={"name": "new", "lead_id": home.pk}), rules=CONTACTS)
    assert sorted(Contact.objects.filter(lead=home).values_list("position", flat=True)) == [4, 5, 6, 7]
    changed = {change.id: change for change in merged.changes}
    assert changed[movers[1].pk].before == {"lead_id": str(lead.pk), "position": 1}


def test_a_name_alone_clears_its_parts(membership: Membership, lead: Lead) -> None:
    contact = make_contact(lead, email="i@x.example", first_name="Ida", last_name="Moss")
    merge(membership, Row(contact={"name": "Bo Lund"}, email="i@x.example"), rules=CONTACTS)
    contact.refresh_from_db()
    assert (contact.name, contact.first_name, contact.last_name) == ("Bo Lund", None, None)


def test_a_row_that_says_nothing_of_people_makes_none(membership: Membership) -> None:
    merged = merge(membership, Row(lead={"name": "Oakvale"}))
    assert merged.results[0].contact_id is None
    assert not Contact.objects.exists()


def test_new_records_have_the_order_of_the_rows(membership: Membership) -> None:
    merged = merge(membership, *(Row(lead={"name": str(n)}) for n in range(50)))
    assert list(Lead.objects.order_by("id").values_list("name", flat=True)) == [str(n) for n in range(50)]
    assert list(merged.new_leads) == [result.lead_id for result in merged.results]


def test_a_call_has_an_end(membership: Membership) -> None:
    with pytest.raises(ValueError, match="At most"):
        merge(membership, *[Row()] * (LARGEST_CALL + 1))
