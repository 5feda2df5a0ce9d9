"""What hangs on a lead, while the lead is merged or purged."""

import threading
from collections.abc import Callable
from datetime import date, timedelta

import pytest
from django.db import connection, transaction
from django.db.models import Model
from django.utils import timezone

from crm.activities import create_activity, update_activity
from crm.contacts import ContactDraft, update_contact
from crm.errors import FieldErrors
from crm.lead_merge import merge_leads
from crm.leads import create_contact, delete_lead
from crm.models import Activity, Contact, Lead, Opportunity, OpportunityStatusChange, Organization, Task, User
from crm.opportunities import OpportunityDraft, create_opportunity, update_opportunity
from crm.purge import purge_deleted
from crm.tasks_to_do import create_task, update_task
from tests import factories
from tests.sessions import wait_until_blocked


def test_a_purged_lead_takes_its_activities_and_tasks_along(organization: Organization) -> None:
    doomed, other = (factories.LeadFactory.create(organization=organization) for _ in range(2))
    contact = factories.ContactFactory.create(lead=doomed)
    kept = [make.create(lead=other, contact=contact) for make in (factories.ActivityFactory, factories.TaskFactory)]
    for make in (factories.ActivityFactory, factories.TaskFactory):
        make.create(lead=doomed, contact=contact)
    Lead.objects.filter(pk=doomed.pk).update(deleted_at=timezone.now() - timedelta(days=31))
    assert purge_deleted(older_than=timedelta(days=30), limit=10) == 1
    connection.check_constraints()
    assert [*Activity.objects.all(), *Task.objects.all()] == kept
    for row in kept:
        row.refresh_from_db()
        assert row.contact_id is None


def add_activity(lead: Lead, by: User) -> Model:
    return create_activity(
        organization=lead.organization, by=by, type="note", columns={"lead_id": lead.pk, "text": "x"}
    )


def add_task(lead: Lead, by: User) -> Model:
    return create_task(organization=lead.organization, by=by, columns={"lead_id": lead.pk})


def add_opportunity(lead: Lead, by: User) -> Model:
    draft = OpportunityDraft(lead_id=lead.pk)
    return create_opportunity(organization=lead.organization, by=by, draft=draft, today=date(2026, 3, 1))


def add_contact(lead: Lead, by: User) -> Model:
    return create_contact(organization=lead.organization, by=by, draft=ContactDraft(), lead_id=lead.pk)


def move_opportunity(lead: Lead, by: User) -> Model:
    """An opportunity of a third lead to this one."""
    deal = Opportunity.objects.exclude(lead=lead).first() or add_opportunity(Lead.objects.get(name="third"), by)
    return update_opportunity(
        opportunity_id=deal.pk,
        organization=lead.organization,
        by=by,
        draft=OpportunityDraft(lead_id=lead.pk),
        today=date(2026, 3, 1),
    )


def move_contact(lead: Lead, by: User) -> Model:
    contact = Contact.objects.get(name="mover")
    return update_contact(
        contact_id=contact.pk, organization=lead.organization, by=by, draft=ContactDraft(), lead_id=lead.pk
    )


ADDERS = [add_activity, add_task, add_opportunity, add_contact, move_opportunity, move_contact]


@pytest.fixture
def pair(transactional_db: None, organization: Organization, user: User) -> tuple[Lead, Lead]:
    """Two leads that are to be merged, beside a third one with a contact."""
    factories.MembershipFactory.create(organization=organization, user=user)
    factories.OpportunityStatusFactory.create(organization=organization)
    third = factories.LeadFactory.create(organization=organization, name="third")
    factories.ContactFactory.create(lead=third, name="mover")
    source, destination = (factories.LeadFactory.create(organization=organization) for _ in range(2))
    return source, destination


def in_a_thread(call: Callable[[], object], outcome: list[object]) -> threading.Thread:
    """`call` with a connection of its own; what comes of it is put into `outcome`."""

    def run() -> None:
        try:
            outcome.append(call())
        except FieldErrors as problem:
            outcome.append(problem.field_errors)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.parametrize("add", ADDERS)
def test_nothing_is_added_to_a_lead_that_is_just_being_merged(
    add: Callable[[Lead, User], Model], pair: tuple[Lead, Lead], user: User
) -> None:
    source, destination = pair
    outcome: list[object] = []
    with transaction.atomic():
        merge_leads(source_id=source.pk, destination_id=destination.pk, organization=source.organization, by=user)
        adding = in_a_thread(lambda: add(source, user), outcome)
        wait_until_blocked()
        assert outcome == []
    adding.join(timeout=10)
    key = "lead" if "contact" in add.__name__ else "lead_id"
    assert outcome == [{key: "Object does not exist."}]
    for model in (Activity, Task, Opportunity, OpportunityStatusChange, Contact):
        assert not model.objects.filter(lead=source).exists()


@pytest.mark.parametrize("add", ADDERS)
def test_what_is_just_being_added_moves_with_the_merge(
    add: Callable[[Lead, User], Model], pair: tuple[Lead, Lead], user: User
) -> None:
    source, destination = pair
    merge = {"source_id": source.pk, "destination_id": destination.pk, "organization": source.organization, "by": user}
    with transaction.atomic():
        made = add(source, user)
        merging = in_a_thread(lambda: merge_leads(**merge), [])
        wait_until_blocked()
    merging.join(timeout=10)
    made.refresh_from_db()
    assert made.lead_id == destination.pk
    changes = OpportunityStatusChange.objects.filter(opportunity=made.pk)
    assert not changes.filter(lead=source).exists()


def change(part: Model, by: User) -> Model:
    organization = part.organization
    match part:
        case Activity():
            return update_activity(activity_id=part.pk, organization=organization, by=by, columns={"text": "new"})
        case Task():
            return update_task(task_id=part.pk, organization=organization, by=by, columns={"text": "new"})
        case Opportunity():
            draft = OpportunityDraft(columns={"note": "new"})
            return update_opportunity(
                opportunity_id=part.pk, organization=organization, by=by, draft=draft, today=date(2026, 3, 1)
            )
        case _:
            draft = ContactDraft(texts={"title": "new"})
            return update_contact(contact_id=part.pk, organization=organization, by=by, draft=draft)


@pytest.mark.parametrize("add", [add_activity, add_task, add_opportunity, add_contact])
def test_what_is_changed_while_its_lead_is_merged_is_changed_and_moved(
    add: Callable[[Lead, User], Model], pair: tuple[Lead, Lead], user: User
) -> None:
    source, destination = pair
    part = add(source, user)
    outcome: list[object] = []
    with transaction.atomic():
        merge_leads(source_id=source.pk, destination_id=destination.pk, organization=source.organization, by=user)
        changing = in_a_thread(lambda: change(part, user), outcome)
        wait_until_blocked()
    changing.join(timeout=10)
    [changed] = outcome
    assert (changed.pk, changed.lead_id) == (part.pk, destination.pk)


@pytest.mark.parametrize("add", ADDERS)
def test_nothing_can_be_added_to_a_deleted_lead_and_what_was_added_before_goes_with_it(
    add: Callable[[Lead, User], Model], pair: tuple[Lead, Lead], user: User
) -> None:
    doomed, _ = pair
    with transaction.atomic():
        made = add(doomed, user)
        deleting = in_a_thread(
            lambda: delete_lead(lead_id=doomed.pk, organization=doomed.organization, by=user), outcome := []
        )
        # Whether it waits or not: in the end the lead is deleted.
        transaction.on_commit(lambda: deleting.join(timeout=10))
    assert outcome == [None]
    with pytest.raises(FieldErrors):
        add(doomed, user)
    Lead.all_objects.filter(pk=doomed.pk).update(deleted_at=timezone.now() - timedelta(days=31))
    purge_deleted(older_than=timedelta(days=30), limit=10)
    connection.check_constraints()
    assert not type(made).objects.filter(pk=made.pk).exists()
    assert not OpportunityStatusChange.objects.filter(opportunity=made.pk).exists()
