"""`/bulk_action/<kind>/<id>/results/`, `retry/` and `undo/`."""

import csv
import io
import json
from typing import Any

import pytest
from django.db.models.functions import Now
from rest_framework.test import APIClient

from bulk_actions.models import BulkAction, Kind, LeadOutcome
from crm.auth import make_api_key
from crm.ids import close_id
from crm.models import LeadStatus, Membership, Role
from tests import factories
from tests.bulk_actions.helpers import check_invariant, make_job, make_leads, refusing, run_to_end, status_job
from tests.conftest import client_with

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_doorbells")]


def path_of(action: BulkAction, verb: str) -> str:
    return f"/api/v1/bulk_action/{action.kind}/{action.api_id}/{verb}/"


@pytest.fixture
def action(membership: Membership, old_status: LeadStatus, new_status: LeadStatus) -> BulkAction:
    """12 leads, the first two failed."""
    leads = make_leads(old_status, 12)
    with refusing(*leads[:2]):
        return run_to_end(status_job(membership, new_status, leads))


def rows(api: APIClient, path: str, **query: object) -> list[dict[str, Any]]:
    """All pages."""
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        answer = api.get(path, {**query, **cursor})
        assert answer.status_code == 200, answer.content
        page = answer.json()
        assert set(page) == {"data", "has_more", "cursor"}
        assert page["has_more"] is (page["cursor"] is not None)
        found += page["data"]
        if not page["has_more"]:
            return found
        cursor = {"cursor": page["cursor"]}


def refused(api: APIClient, path: str, body: object = None, **query: str) -> dict[str, Any]:
    answer = api.get(path, query) if body is None else api.post(path, body, query_params=query)
    assert answer.status_code == 400, answer.content
    assert set(answer.json()) == {"errors", "field-errors"}
    return answer.json()


def test_results_come_in_pages_and_by_outcome(api: APIClient, action: BulkAction) -> None:
    path = path_of(action, "results")
    everything = rows(api, path)
    assert len(everything) == 12
    assert set(everything[0]) == {"lead_id", "outcome", "code", "message"}
    for limit in (1, 5, 11, 12, 1000):
        assert rows(api, path, _limit=limit) == everything
    failed = [row for row in everything if row["outcome"] == "failed"]
    assert [(row["code"], row["message"]) for row in failed] == [("refused_by_database", "this lead is under seal")] * 2
    assert rows(api, path, outcome="failed", _limit=1) == failed
    assert rows(api, path, outcome=" failed , succeeded,failed") == everything
    assert rows(api, path, outcome="pending") == []
    assert rows(api, path, outcome="failed", _fields="lead_id") == [{"lead_id": row["lead_id"]} for row in failed]
    check_invariant(action)


def test_results_are_asked_for_strictly(api: APIClient, action: BulkAction) -> None:
    path = path_of(action, "results")
    for query, key in (
        ({"outcome": "lost"}, "outcome"),
        ({"outcome": "failed,,skipped"}, "outcome"),
        ({"_limit": "1001"}, "_limit"),
        ({"_limit": "x"}, "_limit"),
        ({"_skip": "1"}, "_skip"),
        ({"cursor": "x"}, "cursor"),
    ):
        assert set(refused(api, path, **query)["field-errors"]) == {key}
    cursor = api.get(path, {"_limit": 1}).json()["cursor"]
    assert refused(api, path, cursor=cursor, outcome="failed")["field-errors"]["cursor"]


def streamed(api: APIClient, action: BulkAction, accept: str, **query: str) -> tuple[str, str]:
    answer = api.get(path_of(action, "results"), query, headers={"accept": accept})
    assert answer.status_code == 200
    return b"".join(answer.streaming_content).decode(), answer["Content-Type"]


def test_results_as_csv_have_a_header_and_no_formulas(api: APIClient, action: BulkAction) -> None:
    texts = ['=HYPERLINK("http://x")', "+1", "-1", "@x", "\tx", 'a "quote", and\na line', "ordinary"]
    outcome = LeadOutcome.objects.filter(action=action.pk).order_by("pk").first()
    for text in texts:
        LeadOutcome.objects.filter(pk=outcome.pk).update(message=text)
        content, content_type = streamed(api, action, "text/csv", outcome="failed")
        assert content_type == "text/csv; charset=utf-8"
        table = list(csv.reader(io.StringIO(content, newline="")))
        assert table[0] == ["lead_id", "outcome", "code", "message"]
        assert len(table) == 3
        [told] = [row[3] for row in table[1:] if row[0] == close_id("lead", outcome.lead_id)]
        assert told == (f"'{text}" if text[0] in "=+-@\t" else text)
    content, _ = streamed(api, action, "text/csv;q=0.9, application/json;q=0.1")
    assert len(content.splitlines()) == 13
    assert api.get(path_of(action, "results"), headers={"accept": "text/html, */*"}).json()["has_more"] is False


def test_results_as_json_lines_are_those_of_the_pages(api: APIClient, action: BulkAction) -> None:
    content, content_type = streamed(api, action, "application/jsonl")
    assert content_type == "application/jsonl; charset=utf-8"
    assert [json.loads(line) for line in content.splitlines()] == rows(api, path_of(action, "results"))


def test_a_retry_without_a_body_is_a_new_job_over_the_failed_leads(api: APIClient, action: BulkAction) -> None:
    answer = api.post(path_of(action, "retry"))
    assert answer.status_code == 200, answer.content
    made = answer.json()
    assert (made["status"], made["retry_of"], made["undo_of"]) == ("created", action.api_id, None)
    assert made["s_query"] == {"type": "bulk_action", "bulk_action_id": action.api_id, "outcome": ["failed"]}
    again = run_to_end(BulkAction.objects.get(retry_of=action.pk))
    assert (again.n_leads, again.n_succeeded) == (2, 2)
    assert api.post(path_of(again, "retry"), {}).status_code == 400
    assert refused(api, path_of(action, "retry"), {}, outcome="skipped")["field-errors"]["outcome"]
    assert refused(api, path_of(action, "retry"), {}, outcome="succeeded")["field-errors"]["outcome"]
    assert refused(api, path_of(action, "retry"), {"outcome": "failed"})["field-errors"] == {"outcome": "Unknown key."}


def test_an_undo_is_a_new_job_and_a_second_one_a_conflict(api: APIClient, action: BulkAction) -> None:
    assert refused(api, path_of(action, "undo"), {"force": "yes"})["field-errors"]["force"]
    assert refused(api, path_of(action, "undo"), {"forced": True})["field-errors"]["forced"]
    answer = api.post(path_of(action, "undo"), {"force": False})
    assert answer.status_code == 200, answer.content
    made = answer.json()
    assert (made["undo_of"], made["retry_of"], made["type"]) == (action.api_id, None, "set_lead_status")
    assert made["lead_status_id"] is None
    assert refused(api, path_of(BulkAction.objects.get(undo_of=action.pk), "undo"), {})["field-errors"]["status"]
    twice = api.post(path_of(action, "undo"))
    assert twice.status_code == 409
    assert made["id"] in twice.json()["error"]
    back = run_to_end(BulkAction.objects.get(undo_of=action.pk))
    assert back.n_succeeded == 10
    assert api.post(path_of(back, "undo")).json()["undo_of"] == back.api_id


def test_an_undo_of_a_custom_field_edit_names_the_field(
    api: APIClient, membership: Membership, old_status: LeadStatus
) -> None:
    field = factories.CustomFieldFactory.create(organization=membership.organization, name="Origin")
    make_leads(old_status, 1, custom={field.key: "held"})
    query = {"s_query": {"type": "match_all"}, "custom_field_id": close_id("cf", field.pk)}
    edit = {**query, "type": "set_custom_field", "custom_field_value": "x"}
    for body in (edit, {**query, "type": "clear_custom_field"}):
        api.post("/api/v1/bulk_action/edit/", body)
        made = run_to_end(BulkAction.objects.latest("pk"))
        shown = api.post(path_of(made, "undo")).json()
        assert (shown["type"], shown["custom_field_name"]) == ("set_custom_field", "Origin")
        assert (shown["custom_field_value"], shown["custom_field_values"]) == (None, None)
        assert run_to_end(BulkAction.objects.get(undo_of=made.pk)).n_succeeded == 1
        assert api.get(f"/api/v1/bulk_action/edit/{shown['id']}/").json()["status"] == "done"


def test_a_purged_ledger_answers_400_everywhere(api: APIClient, action: BulkAction) -> None:
    BulkAction.objects.filter(pk=action.pk).update(date_ledger_purged=Now())
    for body, verb in ((None, "results"), ({}, "retry"), ({}, "undo")):
        assert refused(api, path_of(action, verb), body)["errors"][0].startswith("ledger_purged")
    assert api.get(path_of(action, "results"), headers={"accept": "text/csv"}).status_code == 400


def test_whoever_may_not_start_a_kind_may_read_its_results_and_not_retry_or_undo_it(
    membership: Membership, action: BulkAction, old_status: LeadStatus
) -> None:
    deleted = run_to_end(make_job(membership, Kind.DELETE, {}, make_leads(old_status, 1)))
    weak = factories.MembershipFactory.create(organization=membership.organization, role=Role.RESTRICTED_USER)
    api = client_with(make_api_key(membership=weak)[1])
    for job in (action, deleted):
        assert api.get(path_of(job, "results")).status_code == 200
        assert api.post(path_of(job, "retry")).status_code == 403
        assert api.post(path_of(job, "undo")).status_code == 403


def test_the_job_of_another_organization_or_kind_is_a_404(action: BulkAction) -> None:
    stranger = client_with(make_api_key(membership=factories.MembershipFactory.create())[1])
    for verb in ("results", "retry", "undo"):
        for path in (path_of(action, verb), path_of(action, verb).replace("/edit/", "/delete/")):
            answer = stranger.get(path) if verb == "results" else stranger.post(path)
            assert answer.status_code == 404
