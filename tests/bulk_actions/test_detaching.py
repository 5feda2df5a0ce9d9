"""A delete that detaches contacts and deals, its undo, and the undo of that."""

import pytest

from bulk_actions.models import BulkAction, Kind
from bulk_actions.undoing import undo
from crm.models import Contact, Lead, LeadStatus, Membership, Opportunity
from tests import factories
from tests.bulk_actions.helpers import caller_of, check_invariant, make_job, make_leads, run_to_end

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_doorbells")]


@pytest.fixture
def leads(status: LeadStatus) -> list[Lead]:
    leads = make_leads(status, 3)
    for lead in leads:
        factories.ContactFactory.create(lead=lead)
        factories.OpportunityFactory.create(lead=lead)
    return leads


def homes() -> tuple[set[object], set[object]]:
    return tuple(set(model.objects.values_list("lead", flat=True)) for model in (Contact, Opportunity))


def undone(action: BulkAction, membership: Membership) -> BulkAction:
    ended = run_to_end(undo(action=action, caller=caller_of(membership), force=False))
    check_invariant(ended)
    return ended


def test_contacts_and_deals_come_back_with_their_lead_and_go_with_it_again(
    membership: Membership, leads: list[Lead]
) -> None:
    keys = {lead.pk for lead in leads}
    action = run_to_end(make_job(membership, Kind.DELETE, {"detach": True}, leads))
    check_invariant(action)
    assert homes() == ({None}, {None})
    first = undone(action, membership)
    assert homes() == (keys, keys)
    assert Lead.objects.count() == 3
    undone(first, membership)
    assert (homes(), Lead.objects.count()) == (({None}, {None}), 0)


def test_a_contact_that_was_moved_since_stays_where_it_is(membership: Membership, leads: list[Lead]) -> None:
    gone, home, _ = leads
    action = run_to_end(make_job(membership, Kind.DELETE, {"detach": True}, [gone]))
    moved = Contact.objects.get(lead=None)
    Contact.objects.filter(pk=moved.pk).update(lead=home)
    undone(action, membership)
    assert Contact.objects.get(pk=moved.pk).lead == home
    assert Opportunity.objects.filter(lead=gone).count() == 1


def test_a_plain_delete_detaches_nothing(membership: Membership, leads: list[Lead]) -> None:
    action = run_to_end(make_job(membership, Kind.DELETE, {}, leads))
    check_invariant(action)
    assert homes() == ({lead.pk for lead in leads},) * 2
