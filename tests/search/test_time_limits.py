"""No query runs longer than its limit: the database stops it, and whoever asked is told so."""

import time

import pytest
from django.db import connection
from pytest_django import Settings
from rest_framework.test import APIClient

from bulk_actions.loading import load
from bulk_actions.models import Batch, BulkAction
from bulk_actions.states import Status
from crm.models import LeadStatus
from tests.factories import LeadFactory
from tests.search.helpers import all_of, no, of_type, regular, text, where

SLOW = where(regular("lead", "name"), text("oakvale"))
TOO_SLOW = "The search took longer than 1 s and was stopped. Make it narrower."


@pytest.fixture(autouse=True)
def slow_words(status: LeadStatus, settings: Settings) -> None:
    """To see what a word is takes 20 s; taken back with the test's transaction."""
    settings.SEARCH_STATEMENT_TIMEOUT_SECONDS = 1
    settings.LOADING_STATEMENT_TIMEOUT_SECONDS = 1
    LeadFactory.create(organization=status.organization, status=status, name="Oakvale")
    connection.check_constraints()
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE OR REPLACE FUNCTION drover_words(value text) RETURNS text[] LANGUAGE sql"
            " RETURN (SELECT ARRAY[value] FROM pg_sleep(20))"
        )


def limit_of_the_session() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        return cursor.fetchone()[0]


@pytest.mark.parametrize(
    "more", [{}, {"include_counts": True, "results_limit": 0}, {"sort": [{"direction": "asc", "field": SLOW["field"]}]}]
)
def test_a_search_is_stopped_and_answers_400(api: APIClient, more: dict[str, object]) -> None:
    before, began = limit_of_the_session(), time.monotonic()
    answer = api.post("/api/v1/data/search/", {"query": all_of(of_type("lead"), no(SLOW)), **more})
    assert (answer.status_code, answer.json()["errors"]) == (400, [TOO_SLOW])
    assert time.monotonic() - began < 15  # not the 20 s that it takes
    assert limit_of_the_session() == before


def test_in_a_job_it_is_stopped_and_the_job_says_so(api: APIClient, django_capture_on_commit_callbacks: object) -> None:
    answer = api.post("/api/v1/bulk_action/delete/", {"s_query": all_of(of_type("lead"), no(SLOW))})
    assert answer.status_code in (200, 201), answer.json()
    action = BulkAction.objects.get()
    BulkAction.objects.filter(pk=action.pk).update(status=Status.LOADING)
    began = time.monotonic()
    load(action.pk)
    assert time.monotonic() - began < 15
    action.refresh_from_db()
    assert (action.status, action.error_code) == (Status.ERROR, "query_too_slow")
    assert "took too long" in action.error_message
    assert not Batch.objects.exists()
