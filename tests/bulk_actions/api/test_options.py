"""The keys of ours that say how a job is to run: what they take, and how the answer repeats them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from bulk_actions.models import BulkAction, OnChanged, Priority
from tests.search.helpers import MATCH_ALL

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_doorbells")]

DELETE = "/api/v1/bulk_action/delete/"


def create(api: APIClient, **body: Any) -> tuple[dict[str, Any], BulkAction]:
    answer = api.post(DELETE, {"s_query": MATCH_ALL, **body}, format="json")
    assert answer.status_code == 200, answer.content
    return answer.json(), BulkAction.objects.latest("pk")


def test_without_them_a_job_runs_as_ever(api: APIClient) -> None:
    told, action = create(api)
    defaults = {
        "priority": "normal", "max_leads": None, "canary": None, "max_failure_ratio": 0.5, "on_changed": "apply",
        "run_at": None,
    }  # fmt: skip
    assert {key: told[key] for key in defaults} == defaults
    nothing = dict.fromkeys(defaults)
    assert {key: create(api, **nothing)[0][key] for key in defaults} == defaults
    assert (action.priority, action.on_changed) == (Priority.NORMAL, OnChanged.APPLY)


@pytest.mark.parametrize(
    ("key", "value", "column", "stored"),
    [
        ("priority", "low", "priority", Priority.LOW),
        ("priority", "high", "priority", Priority.HIGH),
        ("max_leads", 1, "max_leads", 1),
        ("max_leads", 2**63 - 1, "max_leads", 2**63 - 1),
        ("canary", {"leads": 100}, "canary_leads", 100),
        ("canary", {"leads": 2_000_000_000}, "canary_leads", 2_000_000_000),
        ("max_failure_ratio", 0, "max_failure_ratio", 0.0),
        ("max_failure_ratio", 1, "max_failure_ratio", 1.0),
        ("max_failure_ratio", 0.05, "max_failure_ratio", 0.05),
        ("on_changed", "skip", "on_changed", OnChanged.SKIP),
    ],
)
def test_what_is_given_is_kept_and_told(api: APIClient, key: str, value: object, column: str, stored: object) -> None:
    told, action = create(api, **{key: value})
    assert told[key] == value
    assert getattr(action, column) == stored


def test_run_at_is_a_moment_of_any_zone(api: APIClient) -> None:
    for zone in ("Z", "+00:00", "+05:30", "-11:00"):
        told, action = create(api, run_at=f"2099-03-16T09:30:00{zone}")
        assert action.run_at == datetime.fromisoformat(f"2099-03-16T09:30:00{zone}")
        assert told["run_at"] == action.run_at.astimezone(UTC).isoformat(timespec="microseconds")
        assert told["status"] == "created"


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"priority": "urgent"}, "priority"),
        ({"priority": 1}, "priority"),
        ({"max_leads": 0}, "max_leads"),
        ({"max_leads": -1}, "max_leads"),
        ({"max_leads": 1.5}, "max_leads"),
        ({"max_leads": True}, "max_leads"),
        ({"max_leads": "10"}, "max_leads"),
        ({"max_leads": 2**63}, "max_leads"),
        ({"canary": 100}, "canary"),
        ({"canary": [100]}, "canary"),
        ({"canary": {}}, "canary.leads"),
        ({"canary": {"leads": 0}}, "canary.leads"),
        ({"canary": {"leads": None}}, "canary.leads"),
        ({"canary": {"leads": 2_000_000_001}}, "canary.leads"),
        ({"canary": {"lead": 5}}, "canary.lead"),
        ({"canary": {"leads": 5, "minutes": 3}}, "canary.minutes"),
        ({"max_failure_ratio": 1.01}, "max_failure_ratio"),
        ({"max_failure_ratio": -0.1}, "max_failure_ratio"),
        ({"max_failure_ratio": "0.5"}, "max_failure_ratio"),
        ({"max_failure_ratio": False}, "max_failure_ratio"),
        ({"on_changed": "ignore"}, "on_changed"),
        ({"on_changed": ["skip"]}, "on_changed"),
        ({"run_at": "tomorrow"}, "run_at"),
        ({"run_at": 4078000000}, "run_at"),
        ({"run_at": "2099-03-16T09:30:00"}, "run_at"),
        ({"run_at": "2099-03-16"}, "run_at"),
        ({"run_at": "2020-03-16T09:30:00Z"}, "run_at"),
        ({"run_at": "0001-01-01T00:00:00+23:00"}, "run_at"),
        ({"run_at": "9999-12-31T23:59:59-23:00"}, "run_at"),
        ({"max_lead": 5}, "max_lead"),
    ],
)
def test_what_makes_no_sense_is_refused_by_the_name_of_its_key(
    api: APIClient, body: dict[str, Any], where: str
) -> None:
    answer = api.post(DELETE, {"s_query": MATCH_ALL, **body}, format="json")
    assert answer.status_code == 400, answer.content
    assert where in answer.json()["field-errors"]
    assert not BulkAction.objects.exists()


def test_all_that_is_wrong_is_told_at_once(api: APIClient) -> None:
    body = {"max_leads": 0, "canary": 1, "run_at": "x", "priority": "x", "on_changed": 1, "max_failure_ratio": 2}
    answer = api.post(DELETE, {"s_query": MATCH_ALL, **body}, format="json").json()
    assert set(answer["field-errors"]) == set(body)


def test_a_moment_that_has_just_passed_is_refused(api: APIClient) -> None:
    body = {"s_query": MATCH_ALL, "run_at": (timezone.now() - timedelta(seconds=1)).isoformat()}
    assert "future" in api.post(DELETE, body, format="json").json()["field-errors"]["run_at"]
