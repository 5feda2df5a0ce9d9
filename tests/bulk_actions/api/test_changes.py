"""PUT of a live job: its ceiling and its priority, with its status or without."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from bulk_actions.models import BulkAction, Priority, Transition
from bulk_actions.runner import Slice, run_slice
from bulk_actions.states import FINAL, Status
from crm.auth import make_api_key
from crm.models import LeadStatus, Membership
from tests import factories
from tests.bulk_actions.helpers import check_invariant, make_leads, run_to_end, status_job
from tests.conftest import client_with
from tests.contract import check

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_doorbells")]


@pytest.fixture
def job(membership: Membership, old_status: LeadStatus, new_status: LeadStatus) -> BulkAction:
    """Running, at a lead a second."""
    action = status_job(membership, new_status, make_leads(old_status, 50), leads_per_minute=60)
    run_slice(action.pk)
    action.refresh_from_db()
    return action


def put(api: APIClient, job: BulkAction, body: object) -> dict[str, Any]:
    answer = api.put(f"/api/v1/bulk_action/edit/{job.api_id}/", body)
    assert answer.status_code == 200, answer.content
    check("/bulk_action/edit/{id}/", "put", 200, answer.json())
    job.refresh_from_db()
    return answer.json()


def refused(api: APIClient, job: BulkAction, body: object) -> dict[str, str]:
    held = BulkAction.objects.values().get(pk=job.pk)
    answer = api.put(f"/api/v1/bulk_action/edit/{job.api_id}/", body)
    assert answer.status_code == 400, answer.content
    assert BulkAction.objects.values().get(pk=job.pk) == held
    return answer.json()["field-errors"]


def test_the_ceiling_and_the_priority_change_while_the_status_stays(api: APIClient, job: BulkAction) -> None:
    moves = Transition.objects.filter(action=job).count()
    answer = put(api, job, {"leads_per_minute": 120, "priority": "high"})
    assert (answer["status"], answer["leads_per_minute"], answer["priority"]) == ("processing", 120, "high")
    assert (job.leads_per_minute, job.priority) == (120, Priority.HIGH)
    assert put(api, job, {"leads_per_minute": None})["leads_per_minute"] is None
    assert put(api, job, {"priority": "low"})["priority"] == "low"
    assert Transition.objects.filter(action=job).count() == moves
    assert run_to_end(job).n_succeeded == 50


def test_a_lifted_ceiling_counts_at_the_next_look_which_is_never_later_than_a_second(
    api: APIClient, job: BulkAction, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(api, job, {"leads_per_minute": 1})
    waits: list[float] = []
    monkeypatch.setattr("bulk_actions.doorbell.ring", lambda *_, after_seconds=0, **__: waits.append(after_seconds))
    assert run_slice(job.pk) is Slice.WAIT
    assert max(waits) == 1
    put(api, job, {"leads_per_minute": None})
    assert run_to_end(job).status == Status.DONE


def test_status_and_settings_change_together(api: APIClient, job: BulkAction) -> None:
    answer = put(api, job, {"status": "paused", "leads_per_minute": 30, "priority": "low"})
    assert (answer["status"], answer["leads_per_minute"], answer["priority"]) == ("paused", 30, "low")
    again = put(api, job, {"status": "paused", "leads_per_minute": 40})
    assert (again["status"], again["leads_per_minute"]) == ("paused", 40)
    assert put(api, job, {"priority": "normal"})["status"] == "paused"
    answer = put(api, job, {"status": "resuming", "leads_per_minute": None, "priority": "high"})
    assert (answer["status"], answer["leads_per_minute"], answer["priority"]) == ("resuming", None, "high")
    assert run_to_end(job).n_succeeded == 50


def test_a_job_that_waits_for_a_slot_can_be_changed(api: APIClient, membership: Membership, job: BulkAction) -> None:
    waiting = [status_job(membership, job_status(job), []) for _ in range(2)]
    assert put(api, waiting[1], {"priority": "high"})["queue_position"] == 1
    check_invariant(waiting[1])


def job_status(job: BulkAction) -> LeadStatus:
    return LeadStatus.objects.get(pk=job.params["status_id"])


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, {"status"}),
        ({"priority": "urgent"}, {"priority"}),
        ({"priority": 1}, {"priority"}),
        ({"leads_per_minute": 0}, {"leads_per_minute"}),
        ({"leads_per_minute": "many"}, {"leads_per_minute"}),
        ({"leads_per_minute": True}, {"leads_per_minute"}),
        ({"status": "paused", "priority": "urgent"}, {"priority"}),
        ({"status": "done", "leads_per_minute": -1, "speed": 3}, {"status", "leads_per_minute", "speed"}),
        ({"status": "resuming", "priority": "high"}, {"status"}),  # it runs
        ({"leads_per_minut": None, "priority": "high"}, {"leads_per_minut"}),
    ],
)
def test_what_does_not_fit_changes_nothing(api: APIClient, job: BulkAction, body: object, where: set[str]) -> None:
    assert set(refused(api, job, body)) == where
    check_invariant(job)


def test_an_unknown_key_is_answered_with_the_nearest_known_one(api: APIClient, job: BulkAction) -> None:
    assert refused(api, job, {"leads_per_minut": 5}) == {
        "leads_per_minut": "Unknown key. Did you mean leads_per_minute?"
    }


@pytest.mark.parametrize("status", sorted(FINAL))
def test_a_finished_job_can_be_changed_no_more(api: APIClient, job: BulkAction, status: Status) -> None:
    BulkAction.objects.filter(pk=job.pk).update(status=status)
    problem = f"Cannot change: the status is {status.value}."
    body = {"leads_per_minute": None, "priority": "high"}
    assert refused(api, job, body) == {"leads_per_minute": problem, "priority": problem}
    assert "status" in refused(api, job, {**body, "status": "paused"})


def test_a_job_of_another_organization_does_not_exist(job: BulkAction) -> None:
    api = client_with(make_api_key(membership=factories.MembershipFactory.create())[1])
    assert api.put(f"/api/v1/bulk_action/edit/{job.api_id}/", {"priority": "high"}).status_code == 404
