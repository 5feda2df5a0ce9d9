"""A delete that detaches contacts and deals, its undo, and the undo of that."""

from datetime import date

import pytest
from django.db import transaction
from django.utils import timezone

from bulk_actions.models import BulkAction, Kind
from bulk_actions.undoing import undo
from crm.auth import make_api_key
from crm.contacts import ContactDraft, contacts_of
from crm.ids import hex_id
from crm.leads import create_contact
from crm.models import Contact, Dialect, Lead, LeadStatus, Membership, Opportunity
from crm.opportunities import OpportunityDraft, create_opportunity, deals_of, opportunities_of
from tests import factories
from tests.blueai import BlueAI
from tests.bulk_actions.helpers import caller_of, check_invariant, make_job, make_leads, run_to_end
from tests.sessions import other_session, wait_until_blocked

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


def test_they_are_listed_without_it_even_if_marked_as_deleted(membership: Membership, leads: list[Lead]) -> None:
    gone, *_ = leads
    contact, deal = Contact.objects.get(lead=gone), Opportunity.objects.get(lead=gone)
    marked = factories.OpportunityFactory.create(lead=gone, deleted_at=timezone.now())
    check_invariant(run_to_end(make_job(membership, Kind.DELETE, {"detach": True}, [gone])))
    assert contact in contacts_of(gone.organization_id)
    assert deal in deals_of(gone.organization_id)
    assert deal not in opportunities_of(gone.organization_id)
    assert Opportunity.all_objects.get(pk=marked.pk).detached_from == gone.pk


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


def test_who_is_given_to_a_company_meanwhile_stays_too(membership: Membership, leads: list[Lead]) -> None:
    gone, *_ = leads
    who = {"organization": membership.organization, "by": membership.user}
    blueai = BlueAI(make_api_key(membership=membership, dialect=Dialect.BLUEAI)[1])
    with other_session() as start:
        with transaction.atomic():
            contact = create_contact(**who, lead_id=gone.pk, draft=ContactDraft(texts={"name": "Ida"}))
            deal = create_opportunity(**who, draft=OpportunityDraft(lead_id=gone.pk), today=date(2026, 3, 1))
            answer = start(lambda: blueai.delete(f"/crm/companies/{hex_id('comp', gone.pk)}"))
            wait_until_blocked(answer)
        assert answer.result(20).json() == {"success": True}
    assert [type(row).objects.get(pk=row.pk).detached_from for row in (contact, deal)] == [gone.pk] * 2
    check_invariant(BulkAction.objects.get())
