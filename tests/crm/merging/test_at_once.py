"""Merges that meet each other, and writers of other dialects."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now

from crm.leads import delete_lead
from crm.merging import Key, Merged, Row, Rules, Subject
from crm.merging import merge as merge_module
from crm.merging.lookup import look_up
from crm.models import Contact, ContactEmail, Lead, LeadStatus, Membership
from tests import factories
from tests.crm.merging.helpers import make_contact, merge, outcomes
from tests.sessions import other_session, wait_until_blocked

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("status")]

IDA = Row(contact={"name": "Ida"}, email="ida@oakvale.example")
AT_ONCE = 8


@pytest.fixture
def crowd() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(AT_ONCE) as threads:
        yield threads
        done = Barrier(AT_ONCE)

        def leave() -> None:
            done.wait(timeout=20)
            connection.close()

        list(threads.map(lambda _: leave(), range(AT_ONCE)))


def test_calls_at_once_with_the_same_new_address_make_one_lead(
    membership: Membership, crowd: ThreadPoolExecutor
) -> None:
    start = Barrier(AT_ONCE)

    def call(number: int) -> Merged:
        start.wait(timeout=20)
        others = [Row(email=f"{number}-{i}@x.example") for i in range(5)]
        return merge(membership, *others, IDA)

    all_merged = list(crowd.map(call, range(AT_ONCE)))
    assert ContactEmail.objects.filter(email="ida@oakvale.example").count() == 1
    assert Lead.objects.count() == 5 * AT_ONCE + 1
    assert sorted(outcomes(merged)[-1][0] for merged in all_merged) == ["created"] + ["updated"] * (AT_ONCE - 1)
    assert len({merged.results[-1].lead_id for merged in all_merged}) == 1


def test_the_second_call_waits_for_the_commit_of_the_first(membership: Membership) -> None:
    with other_session() as start:
        with transaction.atomic():
            first = merge(membership, IDA)
            second = start(lambda: merge(membership, IDA))
            wait_until_blocked(second)
        assert second.result(20).results[0].lead_id == first.results[0].lead_id


def test_another_organization_is_not_waited_for(membership: Membership) -> None:
    other = factories.MembershipFactory.create()
    factories.LeadStatusFactory.create(organization=other.organization)
    with other_session() as start, transaction.atomic():
        merge(membership, IDA)
        assert outcomes(start(lambda: merge(other, IDA)).result(20)) == [("created", None)]


def test_a_lead_that_is_being_deleted_is_waited_for_and_then_not_matched(
    membership: Membership, status: LeadStatus
) -> None:
    lead = factories.LeadFactory.create(organization=status.organization, status=status)
    make_contact(lead, email="ida@oakvale.example")
    with other_session() as start:
        with transaction.atomic():
            delete_lead(lead_id=lead.pk, organization=membership.organization, by=membership.user)
            merging = start(lambda: merge(membership, IDA))
            wait_until_blocked(merging)
        assert outcomes(merging.result(20)) == [("created", None)]
    assert Lead.objects.get().pk != lead.pk


def test_a_contact_that_is_being_changed_is_looked_up_again(membership: Membership, status: LeadStatus) -> None:
    lead = factories.LeadFactory.create(organization=status.organization, status=status)
    contact = make_contact(lead, email="ida@oakvale.example")
    with other_session() as start:
        with transaction.atomic():
            Contact.objects.select_for_update().get(pk=contact.pk)
            merging = start(lambda: merge(membership, IDA, rules=Rules(Subject.CONTACT)))
            wait_until_blocked(merging)
            contact.emails.update(email="bo@x.example")
            contact.date_updated = contact.date_updated.replace(year=2001)
            contact.save()
        assert outcomes(merging.result(20)) == [("created", None)]
    assert Contact.objects.count() == 2


@pytest.mark.parametrize("kind", [Key.EXTERNAL_ID, Key.CUSTOM])
def test_a_lead_that_is_given_another_key_meanwhile_is_looked_up_again(
    membership: Membership, status: LeadStatus, kind: Key
) -> None:
    field = factories.CustomFieldFactory.create(organization=status.organization)
    keys = {"external_id": "7", "custom": {field.key: "7"}}
    lead = factories.LeadFactory.create(organization=status.organization, status=status, name="Oakvale", **keys)
    row = Row(lead={"name": "Fir", "external_id": "7"}, lead_custom={field.key: "7"})
    rules = Rules(match=(kind,), custom_field=field)
    with other_session() as start:
        with transaction.atomic():
            Lead.objects.select_for_update().get(pk=lead.pk)
            merging = start(lambda: merge(membership, row, rules=rules))
            wait_until_blocked(merging)
            Lead.objects.filter(pk=lead.pk).update(external_id="8", custom={field.key: "8"}, date_updated=Now())
        assert outcomes(merging.result(20)) == [("created", None)]
    lead.refresh_from_db()
    assert (lead.name, lead.external_id, lead.custom) == ("Oakvale", "8", {field.key: "8"})


def test_a_lead_found_by_a_contact_of_it_is_not_looked_up_again_for_any_change(
    membership: Membership, status: LeadStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    lead = factories.LeadFactory.create(organization=status.organization, status=status)
    make_contact(lead, email="ida@oakvale.example")
    looked = []
    monkeypatch.setattr(merge_module, "look_up", lambda *given: looked.append(given) or look_up(*given))
    with other_session() as start:
        with transaction.atomic():
            Lead.objects.select_for_update().get(pk=lead.pk)
            merging = start(lambda: merge(membership, IDA))
            wait_until_blocked(merging)
            Lead.objects.filter(pk=lead.pk).update(description="called", date_updated=Now())
        assert outcomes(merging.result(20)) == [("updated", "email")]
    assert len(looked) == 1, "bulk edits of many leads would have most calls look twice"
