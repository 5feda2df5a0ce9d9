"""Undo: each lead gets back what it held, where it still holds what the job wrote."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from bulk_actions.actions import describe
from bulk_actions.errors import LedgerPurged
from bulk_actions.models import Batch, BulkAction, Kind, LeadOutcome
from bulk_actions.retrying import retry
from bulk_actions.runner import run_slice
from bulk_actions.services import cancel, pause, resume
from bulk_actions.states import Status
from bulk_actions.undoing import undo
from crm.errors import Conflict, FieldErrors
from crm.models import CustomField, Lead, LeadStatus, LeadStatusChange, Membership, OutboxMail
from crm.statuses import delete_status
from tests import factories
from tests.bulk_actions.helpers import (
    Elsewhere,
    caller_of,
    check_invariant,
    field_params,
    make_job,
    make_leads,
    refusing,
    run_a_little,
    run_to_end,
    status_job,
)
from tests.sessions import wait_until_blocked

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_doorbells")]


@pytest.fixture
def third_status(membership: Membership) -> LeadStatus:
    return factories.LeadStatusFactory.create(organization=membership.organization, label="Lost")


def undone(action: BulkAction, membership: Membership, *, force: bool = False) -> BulkAction:
    return run_to_end(undo(action=action, caller=caller_of(membership), force=force))


def counts(action: BulkAction) -> tuple[int | None, ...]:
    return action.n_succeeded, action.n_unchanged, action.n_skipped, action.n_failed


def codes(action: BulkAction) -> set[str]:
    return set(LeadOutcome.objects.filter(action=action.pk).values_list("code", flat=True))


def statuses(leads: list[Lead]) -> list[Any]:
    held = dict(Lead.all_objects.values_list("pk", "status"))
    return [held[lead.pk] for lead in leads]


def test_an_undo_gives_each_lead_back_the_status_it_had(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus, third_status: LeadStatus
) -> None:
    leads = make_leads(old_status, 1500) + make_leads(third_status, 700) + make_leads(new_status, 20)
    action = run_to_end(status_job(membership, new_status, leads))
    before = LeadStatusChange.objects.count()
    back = undone(action, membership)
    assert (back.status, back.n_leads, *counts(back)) == (Status.DONE, 2200, 2200, 0, 0, 0)
    assert statuses(leads) == [lead.status_id for lead in leads]
    changes = LeadStatusChange.objects.filter(bulk_action_id=back.pk)
    assert changes.count() == 2200 == LeadStatusChange.objects.count() - before
    assert set(changes.values_list("old_status", "new_status")) == {
        (new_status.pk, old_status.pk), (new_status.pk, third_status.pk),
    }  # fmt: skip
    assert (back.kind, back.undo_of_id, back.retry_of_id) == (Kind.EDIT, action.pk, None)


def test_a_lead_that_was_changed_since_is_skipped_and_one_that_is_back_already_is_unchanged(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus, third_status: LeadStatus
) -> None:
    leads = make_leads(old_status, 6)
    action = run_to_end(status_job(membership, new_status, leads))
    Lead.objects.filter(pk=leads[0].pk).update(status=third_status)
    Lead.objects.filter(pk=leads[1].pk).update(status=old_status)
    Lead.objects.filter(pk=leads[2].pk).update(deleted_at=timezone.now())
    Lead.all_objects.filter(pk=leads[3].pk).delete()
    back = undone(action, membership)
    assert counts(back) == (2, 1, 3, 0)
    outcomes = dict(LeadOutcome.objects.filter(action=back.pk).values_list("lead", "code"))
    assert outcomes == {leads[0].pk: "changed_since", leads[2].pk: "lead_gone", leads[3].pk: "lead_gone"}
    assert Lead.objects.get(pk=leads[0].pk).status_id == third_status.pk


def test_force_restores_also_what_was_changed_since(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus, third_status: LeadStatus
) -> None:
    leads = make_leads(old_status, 3)
    action = run_to_end(status_job(membership, new_status, leads))
    Lead.objects.filter(pk=leads[0].pk).update(status=third_status)
    back = undone(action, membership, force=True)
    assert counts(back) == (3, 0, 0, 0)
    assert statuses(leads) == [old_status.pk] * 3
    # ... and the undo of that gives back what was there before it, not what the first job wrote.
    assert counts(undone(back, membership)) == (3, 0, 0, 0)
    assert statuses(leads) == [third_status.pk, new_status.pk, new_status.pk]


def test_values_decide_and_not_history_a_lead_that_went_away_and_came_back_is_restored(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus, third_status: LeadStatus
) -> None:
    """B, then C, then B again."""
    leads = make_leads(old_status, 2)
    action = run_to_end(status_job(membership, new_status, leads))
    run_to_end(status_job(membership, third_status, leads))
    run_to_end(status_job(membership, new_status, leads))
    assert counts(undone(action, membership)) == (2, 0, 0, 0)
    assert statuses(leads) == [old_status.pk] * 2


MANY = {"type": "choices", "accepts_multiple_values": True, "choices": ["a", "b", "c", "x"]}


@pytest.mark.parametrize(
    ("properties", "operation", "value", "held"),
    [
        ({"type": "text"}, "replace", "new", "old"),
        ({"type": "text"}, "replace", "new", None),
        ({"type": "text"}, "clear", None, "old 'quoted' \"x\" 100%"),
        ({"type": "textarea"}, "replace", "new\nlines", "a\\b{c}%s"),
        ({"type": "hidden"}, "replace", "n", "o"),
        ({"type": "number"}, "replace", 3, 2.5),
        ({"type": "number"}, "clear", None, 0),
        ({"type": "date"}, "replace", "2031-01-01", "2030-01-01"),
        ({"type": "datetime"}, "replace", "2031-01-01T00:00:00.000000+00:00", "2030-01-01T00:00:00.000000+00:00"),
        ({"type": "choices", "choices": ["a", "b"]}, "replace", "b", "a"),
        ({"type": "custom_object"}, "replace", "0190a5b8-0000-7000-8000-000000000001", None),
        (MANY, "replace", ["a"], ["b", "c"]),
        (MANY, "add", ["b", "x"], ["a", "b"]),
        (MANY, "add", ["x"], None),
        (MANY, "remove", ["a", "x"], ["x", "b", "a"]),
        (MANY, "remove", ["a"], ["a"]),
        (MANY, "clear", None, ["c", "a"]),
    ],
)
def test_every_edit_of_a_custom_field_is_undone_and_done_again(
    membership: Membership, old_status: LeadStatus, properties: dict, operation: str, value: object, held: object
) -> None:
    field = factories.CustomFieldFactory.create(organization=membership.organization, **properties)
    custom = {"other": [1], **({} if held is None else {field.key: held})}
    [lead] = make_leads(old_status, 1, custom=custom)
    action = run_to_end(make_job(membership, Kind.EDIT, field_params(field, operation, value), [lead]))
    becomes = Lead.objects.get().custom
    assert becomes != custom
    job = action
    for expected in (custom, becomes, custom, becomes):
        job = undone(job, membership)
        assert counts(job) == (1, 0, 0, 0)
        assert Lead.objects.get().custom == expected
    # As it stands now it is as the first job left it; with something else in the field it is not.
    Lead.objects.update(custom={"other": [1]} if field.key in becomes else {field.key: held})
    assert codes(undone(job, membership)) <= {"changed_since"}


def _status_gone(membership: Membership, leads: list[Lead]) -> BulkAction:
    doomed = factories.LeadStatusFactory.create(organization=membership.organization)
    Lead.objects.filter(pk=leads[0].pk).update(status=doomed)
    goal = factories.LeadStatusFactory.create(organization=membership.organization)
    action = run_to_end(status_job(membership, goal, leads))
    delete_status(status=doomed)
    return action


def _edited(membership: Membership, leads: list[Lead], field: CustomField, held: object) -> BulkAction:
    Lead.objects.filter(pk=leads[0].pk).update(custom={field.key: held})
    return run_to_end(make_job(membership, Kind.EDIT, field_params(field, "clear", None), leads[:1]))


def _choice_gone(membership: Membership, leads: list[Lead]) -> BulkAction:
    field = factories.CustomFieldFactory.create(organization=membership.organization, **MANY)
    action = _edited(membership, leads, field, ["a", "b"])
    CustomField.objects.filter(pk=field.pk).update(choices=["a", "c"])
    return action


def _user_gone(membership: Membership, leads: list[Lead]) -> BulkAction:
    field = factories.CustomFieldFactory.create(organization=membership.organization, type="user")
    colleague = factories.MembershipFactory.create(organization=membership.organization)
    action = _edited(membership, leads, field, str(colleague.user_id))
    type(colleague).objects.filter(pk=colleague.pk).update(is_active=False)
    return action


def _contact_gone(membership: Membership, leads: list[Lead]) -> BulkAction:
    field = factories.CustomFieldFactory.create(
        organization=membership.organization, type="contact", accepts_multiple_values=True
    )
    contacts = [factories.ContactFactory.create(lead=lead) for lead in leads]
    action = _edited(membership, leads, field, [str(contact.pk) for contact in contacts])
    contacts[1].delete()
    return action


def _contact_of_a_deleted_lead(membership: Membership, leads: list[Lead]) -> BulkAction:
    field = factories.CustomFieldFactory.create(organization=membership.organization, type="contact")
    action = _edited(membership, leads, field, str(factories.ContactFactory.create(lead=leads[1]).pk))
    Lead.objects.filter(pk=leads[1].pk).update(deleted_at=timezone.now())
    return action


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("prepare", [_status_gone, _choice_gone, _user_gone, _contact_gone, _contact_of_a_deleted_lead])
def test_a_value_that_is_no_longer_valid_is_not_restored(
    membership: Membership, old_status: LeadStatus, prepare: Callable[..., BulkAction], force: bool
) -> None:
    leads = make_leads(old_status, 2)
    action = prepare(membership, leads)
    held = Lead.objects.values("status", "custom").get(pk=leads[0].pk)
    back = undone(action, membership, force=force)
    assert LeadOutcome.objects.get(action=back.pk).code == "value_gone"
    assert LeadOutcome.objects.get(action=back.pk).lead_id == leads[0].pk
    assert Lead.objects.values("status", "custom").get(pk=leads[0].pk) == held


@pytest.mark.parametrize("type_", ["user", "contact"])
def test_users_and_contacts_that_are_still_there_are_restored(
    membership: Membership, old_status: LeadStatus, type_: str
) -> None:
    leads = make_leads(old_status, 2)
    field = factories.CustomFieldFactory.create(
        organization=membership.organization, type=type_, accepts_multiple_values=True
    )
    held = [str(membership.user_id if type_ == "user" else factories.ContactFactory.create(lead=leads[1]).pk)]
    action = _edited(membership, leads, field, held)
    assert counts(undone(action, membership)) == (1, 0, 0, 0)
    assert Lead.objects.get(pk=leads[0].pk).custom == {field.key: held}


def test_the_undo_of_a_delete_brings_back_what_this_job_deleted_and_nothing_else(
    membership: Membership, old_status: LeadStatus
) -> None:
    leads = make_leads(old_status, 1200)
    earlier = run_to_end(make_job(membership, Kind.DELETE, {}, leads[:100]))
    action = make_job(membership, Kind.DELETE, {}, leads)
    action = run_to_end(action)
    assert counts(action)[0] == 1100
    restored = Lead.all_objects.filter(pk__in=[lead.pk for lead in leads[100:104]])
    restored.update(deleted_at=None, deleted_by_action=None)
    Lead.all_objects.filter(pk=leads[102].pk).update(deleted_at=timezone.now())  # by hand
    Lead.all_objects.filter(pk=leads[103].pk).update(deleted_at=timezone.now(), deleted_by_action=earlier.pk)
    Lead.all_objects.filter(pk=leads[104].pk).delete()
    back = undone(action, membership, force=True)
    assert (back.n_leads, *counts(back)) == (1100, 1095, 2, 3, 0)
    assert dict(LeadOutcome.objects.filter(action=back.pk).values_list("lead", "code")) == {
        leads[102].pk: "changed_since", leads[103].pk: "changed_since", leads[104].pk: "lead_gone",
    }  # fmt: skip
    assert Lead.objects.count() == 1097
    # Undone again they go, and come back.
    gone = undone(back, membership)
    assert (gone.kind, *counts(gone)) == (Kind.DELETE, 1095, 0, 0, 0)
    assert Lead.objects.count() == 2
    assert counts(undone(gone, membership)) == (1095, 0, 0, 0)
    assert Lead.objects.count() == 1097


def test_a_delete_is_not_undone_once_its_leads_are_purged(membership: Membership, old_status: LeadStatus) -> None:
    action = run_to_end(make_job(membership, Kind.DELETE, {}, make_leads(old_status, 2)))
    day = timedelta(days=1)
    BulkAction.objects.filter(pk=action.pk).update(date_finished=Now() - settings.LEAD_PURGE_DAYS * day - day)
    with pytest.raises(FieldErrors) as problem:
        undo(action=action, caller=caller_of(membership))
    assert "purged" in problem.value.field_errors["status"]
    BulkAction.objects.filter(pk=action.pk).update(date_finished=Now() - settings.LEAD_PURGE_DAYS * day + day)
    assert counts(undone(action, membership)) == (2, 0, 0, 0)


def test_only_an_ended_job_is_undone_a_cancelled_one_as_far_as_it_came(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    leads = make_leads(old_status, 300)
    action = status_job(membership, new_status, leads, leads_per_minute=6000)
    with pytest.raises(FieldErrors):
        undo(action=action, caller=caller_of(membership))
    run_a_little(action)
    with pytest.raises(FieldErrors):
        undo(action=action, caller=caller_of(membership))
    action = cancel(action=action, by=membership.user)
    assert 0 < action.n_succeeded < 300
    back = undone(action, membership)
    check_invariant(action)
    assert (back.n_leads, back.n_succeeded) == (action.n_succeeded, action.n_succeeded)
    assert set(statuses(leads)) == {old_status.pk}


def test_a_job_without_any_change_is_undone_with_none(membership: Membership, old_status: LeadStatus) -> None:
    action = run_to_end(status_job(membership, old_status, make_leads(old_status, 3)))
    back = undone(action, membership)
    assert (back.status, back.n_leads) == (Status.DONE, 0)


def test_a_second_undo_is_refused_unless_the_first_ended_as_an_error(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    leads = make_leads(old_status, 10)
    action = run_to_end(status_job(membership, new_status, leads))
    first = undo(action=action, caller=caller_of(membership))
    with pytest.raises(Conflict, match=first.api_id):
        undo(action=action, caller=caller_of(membership))
    cancel(action=first, by=membership.user)
    second = undone(action, membership)
    assert second.n_succeeded == 10
    with pytest.raises(Conflict, match=second.api_id):
        undo(action=action, caller=caller_of(membership))


def test_of_two_undos_at_once_one_is_refused(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    action = run_to_end(status_job(membership, new_status, make_leads(old_status, 10)))
    both = [Elsewhere(undo, action=action, caller=caller_of(membership)) for _ in range(2)]
    refusals = 0
    for one in both:
        try:
            one.join()
        except Conflict:
            refusals += 1
    assert refusals == 1
    [back] = BulkAction.objects.filter(undo_of=action.pk)
    assert run_to_end(back).n_succeeded == 10


def test_a_purged_ledger_cannot_be_undone_not_even_by_a_job_that_waits(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    action = run_to_end(status_job(membership, new_status, make_leads(old_status, 10)))
    waiting = undo(action=action, caller=caller_of(membership))
    BulkAction.objects.filter(pk=action.pk).update(date_ledger_purged=Now())
    with pytest.raises(LedgerPurged):
        undo(action=action, caller=caller_of(membership))
    waiting = run_to_end(waiting)
    assert (waiting.status, waiting.error_code) == (Status.ERROR, "ledger_purged")


def test_an_undo_pauses_and_goes_on_like_any_job(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    leads = make_leads(old_status, 200)
    action = run_to_end(status_job(membership, new_status, leads))
    back = undo(action=action, caller=caller_of(membership))
    BulkAction.objects.filter(pk=back.pk).update(leads_per_minute=6000)
    run_a_little(back)
    pause(action=back, by=membership.user)
    check_invariant(back)
    done = Lead.objects.filter(status=old_status).count()
    assert 0 < done < 200
    assert len(Batch.objects.filter(action=back.pk, date_done__isnull=True)) == 1
    resume(action=back, by=membership.user)
    assert run_to_end(back).n_succeeded == 200


def test_the_leads_that_an_undo_failed_at_are_tried_again_with_the_same_values(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus, third_status: LeadStatus
) -> None:
    leads = make_leads(old_status, 4) + make_leads(third_status, 4)
    action = run_to_end(status_job(membership, new_status, leads))
    with refusing(leads[1], leads[6]):
        back = undone(action, membership)
    assert counts(back) == (6, 0, 0, 2)
    again = run_to_end(retry(action=back, outcomes=["failed"], caller=caller_of(membership)))
    assert (again.n_leads, *counts(again)) == (2, 2, 0, 0, 0)
    assert statuses(leads) == [lead.status_id for lead in leads]
    assert (again.retry_of_id, again.undo_of_id) == (back.pk, action.pk)
    assert counts(undone(again, membership)) == (2, 0, 0, 0)
    assert statuses(leads) == [
        new_status.pk if lead in (leads[1], leads[6]) else lead.status_id for lead in leads
    ]  # fmt: skip


def test_the_deletes_that_an_undo_could_not_take_back_are_tried_again(
    membership: Membership, old_status: LeadStatus
) -> None:
    leads = make_leads(old_status, 5)
    action = run_to_end(make_job(membership, Kind.DELETE, {}, leads))
    with refusing(leads[2]):
        back = undone(action, membership)
    assert counts(back) == (4, 0, 0, 1)
    again = run_to_end(retry(action=back, outcomes=["failed"], caller=caller_of(membership)))
    assert counts(again) == (1, 0, 0, 0)
    assert Lead.objects.count() == 5


def test_an_undo_waits_for_an_edit_of_the_same_leads_and_then_judges_what_that_left(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus, third_status: LeadStatus
) -> None:
    leads = make_leads(old_status, 4000)
    action = run_to_end(status_job(membership, new_status, leads))
    back = undo(action=action, caller=caller_of(membership))
    other = status_job(membership, third_status, leads[1000:3000])
    workers = [Elsewhere(run_slice, job.pk, number) for number in range(2) for job in (back, other)]
    for worker in workers:
        worker.join()
    back, other = run_to_end(back), run_to_end(other)
    assert (other.n_leads, other.n_succeeded) == (2000, 2000)  # each found the old or the new status
    assert statuses(leads) == [
        third_status.pk if 1000 <= place < 3000 else old_status.pk for place in range(4000)
    ]  # fmt: skip
    assert back.n_succeeded + back.n_skipped == 4000
    assert codes(back) <= {"changed_since"}
    # Whoever was restored first was then changed from the old status, and was not skipped.
    from_old = LeadStatusChange.objects.filter(bulk_action_id=other.pk, old_status=old_status).count()
    assert from_old == 2000 - back.n_skipped


def test_a_lead_that_another_session_is_changing_is_judged_by_what_it_commits(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus, third_status: LeadStatus
) -> None:
    leads = make_leads(old_status, 3)
    action = run_to_end(status_job(membership, new_status, leads))
    back = undo(action=action, caller=caller_of(membership))
    with transaction.atomic():
        Lead.objects.filter(pk=leads[1].pk).update(status=third_status)
        job = Elsewhere(run_slice, back.pk)
        wait_until_blocked()
        assert job.running
    job.join()
    back = run_to_end(back)
    assert counts(back) == (2, 0, 1, 0)
    assert statuses(leads) == [old_status.pk, third_status.pk, old_status.pk]


def test_an_undo_is_called_one_in_the_mail(
    membership: Membership, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    action = run_to_end(status_job(membership, new_status, make_leads(old_status, 2)))
    back = undone(action, membership)
    assert describe(back) == "Undo: Set the status to Customer"
    assert OutboxMail.objects.get(source_id=back.pk).subject == "Done: Undo: Set the status to Customer"
    assert describe(undone(back, membership)) == "Undo (2 deep): Set the status to Customer"


def test_a_field_that_is_deleted_ends_its_undo(membership: Membership, old_status: LeadStatus) -> None:
    field = factories.CustomFieldFactory.create(organization=membership.organization)
    action = _edited(membership, make_leads(old_status, 2), field, "held")
    field.delete()
    back = undone(action, membership)
    assert (back.status, back.error_code) == (Status.ERROR, "field_gone")
