"""`/bulk_action/<kind>/preview/`: the answer, and creates on the leads that it froze."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from rest_framework.test import APIClient

from bulk_actions import seals
from bulk_actions.models import Batch, BulkAction, LeadOutcome, Preview
from bulk_actions.services import cancel
from bulk_actions.states import Status
from bulk_actions.sweeper import sweep
from crm.auth import make_api_key
from crm.ids import close_id
from crm.models import CustomField, Lead, LeadStatus, Membership, Organization, User
from tests import factories
from tests.bulk_actions.helpers import make_leads, run_to_end
from tests.conftest import client_with
from tests.search.helpers import MATCH_ALL, all_of, of_type, regular, text, where
from tests.sessions import other_session, wait_until_blocked

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_doorbells")]

EDIT, DELETE = "/api/v1/bulk_action/edit/", "/api/v1/bulk_action/delete/"
MILL = where(regular("lead", "name"), text("mill"))


def preview(api: APIClient, path: str, **body: Any) -> dict[str, Any]:
    answer = api.post(f"{path}preview/", body, format="json")
    assert answer.status_code == 200, answer.content
    return answer.json()


def create(api: APIClient, path: str, **body: Any) -> dict[str, Any]:
    answer = api.post(path, body, format="json")
    assert answer.status_code == 200, answer.content
    return answer.json()


def refused(api: APIClient, path: str, **body: Any) -> dict[str, Any]:
    n_jobs = BulkAction.objects.count()
    answer = api.post(path, body, format="json")
    assert answer.status_code == 400, answer.content
    assert set(answer.json()) == {"errors", "field-errors"}
    assert BulkAction.objects.count() == n_jobs
    return answer.json()["field-errors"]


def to_status(status: LeadStatus) -> dict[str, str]:
    return {"type": "set_lead_status", "lead_status_id": close_id("stat", status.pk)}


def mills(status: LeadStatus, n: int) -> list[Lead]:
    for place in range(n):
        factories.LeadFactory.create(organization=status.organization, status=status, name=f"Mill {place}")
    return list(Lead.objects.filter(name__startswith="Mill").order_by("pk"))


def last_job() -> BulkAction:
    return BulkAction.objects.latest("pk")


# --- the answer -------------------------------------------------------------------------------------------------------
def test_a_preview_of_a_status_edit(api: APIClient, old_status: LeadStatus, new_status: LeadStatus) -> None:
    leads = make_leads(old_status, 2)
    make_leads(new_status, 1)
    assert preview(api, EDIT, s_query=MATCH_ALL, **to_status(new_status)) == {
        "n_leads": 3,
        "n_objects": 3,
        "forecast": {"would_change": 2, "already_equal": 1, "blocked": []},
        "samples": [
            {
                "lead_id": close_id("lead", lead.pk), "name": lead.name,
                "before": {"status_id": close_id("stat", old_status.pk)},
                "after": {"status_id": close_id("stat", new_status.pk)},
            }
            for lead in leads
        ],
        "estimate": {"seconds": 0.0, "leads_per_second": 10000.0, "basis": "default"},
        "preview_token": None,
        "date_expires": None,
    }  # fmt: skip


def test_a_preview_of_a_delete(api: APIClient, old_status: LeadStatus) -> None:
    [lead] = make_leads(old_status, 1)
    told = preview(api, DELETE, s_query=MATCH_ALL)
    assert told["samples"] == [
        {
            "lead_id": close_id("lead", lead.pk), "name": lead.name,
            "before": {"name": lead.name, "status_id": close_id("stat", old_status.pk)}, "after": None,
        }
    ]  # fmt: skip
    assert Lead.objects.count() == 1


@pytest.mark.parametrize(
    ("operation", "after"), [("add", ["a", "b"]), ("remove", None), ("replace", ["b", "a"]), (None, ["b", "a"])]
)
def test_a_preview_of_what_is_done_to_several_values(
    api: APIClient, old_status: LeadStatus, operation: str | None, after: list[str] | None
) -> None:
    field: CustomField = factories.CustomFieldFactory.create(
        organization=old_status.organization, type="choices", accepts_multiple_values=True, choices=["a", "b"]
    )
    make_leads(old_status, 1, custom={field.key: ["a"]})
    told = preview(
        api, EDIT, s_query=MATCH_ALL, type="set_custom_field", custom_field_id=close_id("cf", field.pk),
        custom_field_values=["b", "a"], custom_field_operation=operation,
    )  # fmt: skip
    key = f"custom.{close_id('cf', field.pk)}"
    assert told["samples"][0]["before"] == {key: ["a"]}
    assert told["samples"][0]["after"] == {key: after}


def test_references_in_samples_are_spelled_as_everywhere(api: APIClient, user: User, old_status: LeadStatus) -> None:
    field = factories.CustomFieldFactory.create(organization=old_status.organization, type="user")
    make_leads(old_status, 1)
    told = preview(
        api, EDIT, s_query=MATCH_ALL, type="set_custom_field", custom_field_id=close_id("cf", field.pk),
        custom_field_value=close_id("user", user.pk),
    )  # fmt: skip
    key = f"custom.{close_id('cf', field.pk)}"
    [sample] = told["samples"]
    assert (sample["before"], sample["after"]) == ({key: None}, {key: close_id("user", user.pk)})


def test_a_preview_heeds_what_chooses_the_leads(api: APIClient, old_status: LeadStatus, new_status: LeadStatus) -> None:
    leads = make_leads(old_status, 4)
    for lead in leads[:2]:
        factories.ContactFactory.create(lead=lead)
        factories.ContactFactory.create(lead=lead)
    edit = to_status(new_status)
    assert preview(api, EDIT, s_query=all_of(of_type("contact")), **edit)["n_leads"] == 2
    assert preview(api, EDIT, s_query=MATCH_ALL, results_limit=3, **edit)["n_leads"] == 3
    assert preview(api, EDIT, query='name:"Lead 1"', **edit)["n_leads"] == 1
    told = preview(
        api, EDIT, s_query=MATCH_ALL, results_limit=1, **edit,
        sort=[{"direction": "desc", "field": regular("lead", "name")}],
    )  # fmt: skip
    assert [sample["name"] for sample in told["samples"]] == ["Lead 3"]
    assert preview(api, EDIT, lead_ids=[close_id("lead", leads[0].pk)], **edit)["n_leads"] == 1


def test_more_leads_than_max_leads_would_end_the_job(api: APIClient, old_status: LeadStatus) -> None:
    make_leads(old_status, 3)
    told = preview(api, DELETE, s_query=MATCH_ALL, max_leads=2)
    message = "The query finds 3 leads; max_leads allows 2."
    blocked = [{"code": "too_many_leads", "message": message, "n_leads": 3}]
    assert told["forecast"] == {"would_change": 0, "already_equal": 0, "blocked": blocked}
    assert told["samples"] == []


def test_fields_narrow_the_answer(api: APIClient, old_status: LeadStatus) -> None:
    assert preview(api, DELETE, s_query=MATCH_ALL, _fields="n_leads") == {"n_leads": 0}


@pytest.mark.parametrize(
    ("body", "where_"),
    [
        ({}, "s_query"),
        ({"s_query": MATCH_ALL, "seal": "yes"}, "seal"),
        ({"s_query": MATCH_ALL, "preview_token": "bulkpreview_x"}, "preview_token"),
        ({"s_query": MATCH_ALL, "sealed": True}, "sealed"),
        ({"s_query": {"type": "or", "queries": []}}, "s_query.queries"),
    ],
)
def test_a_preview_refuses_what_a_create_refuses(api: APIClient, body: dict[str, Any], where_: str) -> None:
    assert where_ in refused(api, f"{DELETE}preview/", **body)


def test_a_create_knows_no_seal(api: APIClient) -> None:
    assert set(refused(api, DELETE, s_query=MATCH_ALL, seal=True)) == {"seal"}


def test_a_preview_takes_the_permission_of_its_kind(organization: Organization) -> None:
    member = factories.MembershipFactory.create(organization=organization, role="user")
    api = client_with(make_api_key(membership=member)[1])
    assert api.post(f"{DELETE}preview/", {"s_query": MATCH_ALL}, format="json").status_code == 403
    assert api.get(f"{DELETE}preview/").status_code == 405


# --- sealed -----------------------------------------------------------------------------------------------------------
def test_a_create_with_a_token_works_on_exactly_the_frozen_leads_and_says_how_many_no_longer_match(
    api: APIClient, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    leads = mills(old_status, 2500)
    told = preview(api, EDIT, s_query=MILL, seal=True, **to_status(new_status))
    assert told["n_leads"] == 2500
    assert told["date_expires"] > timezone.now().isoformat()
    mills(old_status, 2)  # too late for this job
    Lead.objects.filter(pk=leads[0].pk).update(name="Barn")
    Lead.objects.filter(pk=leads[1].pk).update(deleted_at=timezone.now())
    Lead.all_objects.filter(pk=leads[2].pk).delete()
    made = create(api, EDIT, preview_token=told["preview_token"], **to_status(new_status))
    assert made["n_no_longer_match"] == 3
    assert made["s_query"] == MILL
    action = run_to_end(last_job())
    assert (action.n_leads, action.n_succeeded, action.n_skipped) == (2500, 2498, 2)
    assert Lead.objects.get(pk=leads[0].pk).status_id == new_status.pk
    assert "n_no_longer_match" not in api.get(f"{EDIT}{made['id']}/").json()


def test_with_on_changed_skip_those_that_no_longer_match_stay_as_they_are(
    api: APIClient, old_status: LeadStatus
) -> None:
    leads = mills(old_status, 3)
    told = preview(api, DELETE, s_query=MILL, seal=True)
    Lead.objects.filter(pk=leads[0].pk).update(name="Barn")
    made = create(api, DELETE, preview_token=told["preview_token"], s_query=MILL, on_changed="skip")
    assert made["n_no_longer_match"] == 1
    assert run_to_end(last_job()).n_succeeded == 2
    assert LeadOutcome.objects.get().code == "no_longer_matches"


@pytest.mark.parametrize("n_leads", [0, 1])
def test_a_sealed_preview_of_one_lead_or_none_starts_a_job_of_as_many(
    api: APIClient, old_status: LeadStatus, n_leads: int
) -> None:
    make_leads(old_status, n_leads)
    told = preview(api, DELETE, s_query=MATCH_ALL, seal=True)
    make_leads(old_status, 3)
    assert create(api, DELETE, preview_token=told["preview_token"])["n_no_longer_match"] == 0
    action = run_to_end(last_job())
    assert (action.status, action.n_leads, action.n_succeeded) == (Status.DONE, n_leads, n_leads)


def test_max_leads_of_the_create_counts_for_frozen_leads(api: APIClient, old_status: LeadStatus) -> None:
    make_leads(old_status, 3)
    told = preview(api, DELETE, s_query=MATCH_ALL, seal=True)
    create(api, DELETE, preview_token=told["preview_token"], max_leads=2)
    action = run_to_end(last_job())
    assert (action.status, action.error_code, Lead.objects.count()) == (Status.ERROR, "too_many_leads", 3)


def test_a_token_is_good_for_one_job(api: APIClient, old_status: LeadStatus) -> None:
    token = preview(api, DELETE, s_query=MATCH_ALL, seal=True)["preview_token"]
    create(api, DELETE, preview_token=token)
    assert "has been used" in refused(api, DELETE, preview_token=token)["preview_token"]


def test_of_two_creates_with_one_token_at_once_one_is_refused(api: APIClient, old_status: LeadStatus) -> None:
    make_leads(old_status, 3)
    token = preview(api, DELETE, s_query=MATCH_ALL, seal=True)["preview_token"]
    with other_session() as start:
        with transaction.atomic():
            create(api, DELETE, preview_token=token)
            other = start(lambda: api.post(DELETE, {"preview_token": token}, format="json"))
            wait_until_blocked(other)
        answer = other.result(20)
    assert answer.status_code == 400
    assert "has been used" in answer.json()["field-errors"]["preview_token"]
    assert BulkAction.objects.count() == 1
    assert run_to_end(last_job()).n_succeeded == 3


def test_under_an_idempotency_key_a_seal_and_its_create_are_made_once(api: APIClient, old_status: LeadStatus) -> None:
    make_leads(old_status, 3)
    seal = {"s_query": MATCH_ALL, "seal": True}
    told = [api.post(f"{DELETE}preview/", seal, format="json", HTTP_IDEMPOTENCY_KEY="seal").json() for _ in range(2)]
    assert told[0] == told[1]
    assert Preview.objects.count() == 1
    body = {"preview_token": told[0]["preview_token"]}
    made = [api.post(DELETE, body, format="json", HTTP_IDEMPOTENCY_KEY="create").json() for _ in range(2)]
    assert made[0] == made[1]
    assert made[0]["n_no_longer_match"] == 0
    assert BulkAction.objects.count() == 1
    assert run_to_end(last_job()).n_succeeded == 3


def test_an_expired_token_is_refused(api: APIClient, old_status: LeadStatus) -> None:
    token = preview(api, DELETE, s_query=MATCH_ALL, seal=True)["preview_token"]
    _age(seconds=1)
    assert "expired" in refused(api, DELETE, preview_token=token)["preview_token"]


def _age(*, seconds: int) -> None:
    """Let all previews be older than they may become, by that much."""
    Preview.objects.update(date_created=F("date_created") - seals.LIFE - timedelta(seconds=seconds))


def test_the_token_of_another_organization_user_or_kind_is_unknown(
    api: APIClient, organization: Organization, new_status: LeadStatus
) -> None:
    token = preview(api, DELETE, s_query=MATCH_ALL, seal=True)["preview_token"]
    stranger = client_with(make_api_key(membership=factories.MembershipFactory.create())[1])
    colleague = client_with(make_api_key(membership=factories.MembershipFactory.create(organization=organization))[1])
    for client in (stranger, colleague):
        assert "no such preview" in refused(client, DELETE, preview_token=token)["preview_token"]
    assert "no such preview" in refused(api, EDIT, preview_token=token, **to_status(new_status))["preview_token"]
    assert Preview.objects.get().used_by_id is None


@pytest.mark.parametrize("token", ["", "bulkpreview_x", "bulkpreview_" + "0" * 22, 5, ["x"], {"a": 1}, True])
def test_what_is_no_token_is_refused(api: APIClient, token: object) -> None:
    assert set(refused(api, DELETE, s_query=MATCH_ALL, preview_token=token)) == {"preview_token"}


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({"s_query": all_of(MILL)}, {"s_query", "results_limit", "sort"}),
        ({"query": "mill"}, {"query", "s_query", "results_limit", "sort"}),
        ({"s_query": MILL}, {"results_limit", "sort"}),
        ({"results_limit": 4}, {"results_limit"}),
        ({"sort": []}, {"sort"}),
        ({"lead_ids": []}, {"lead_ids", "s_query", "results_limit", "sort"}),
    ],
)
def test_a_create_that_places_another_order_than_the_preview_is_refused(
    api: APIClient, body: dict[str, Any], wrong: set[str]
) -> None:
    sort = [{"direction": "asc", "field": regular("lead", "name")}]
    whole = {"s_query": MILL, "results_limit": 5, "sort": sort}
    token = preview(api, DELETE, seal=True, **whole)["preview_token"]
    assert set(refused(api, DELETE, preview_token=token, **body)) == wrong
    assert create(api, DELETE, preview_token=token, **whole)["results_limit"] == 5


def test_a_create_of_another_edit_than_the_preview_is_refused(
    api: APIClient, old_status: LeadStatus, new_status: LeadStatus
) -> None:
    token = preview(api, EDIT, s_query=MATCH_ALL, seal=True, **to_status(new_status))["preview_token"]
    told = refused(api, EDIT, preview_token=token, **to_status(old_status))
    assert "another change" in told["preview_token"]
    assert set(refused(api, EDIT, preview_token=token)) == {"type"}


def test_a_job_that_waits_for_its_moment_keeps_its_leads_however_old_the_preview(
    api: APIClient, old_status: LeadStatus
) -> None:
    leads = make_leads(old_status, 3)
    token = preview(api, DELETE, s_query=MATCH_ALL, seal=True)["preview_token"]
    later = (timezone.now() + timedelta(days=2)).isoformat()
    create(api, DELETE, preview_token=token, run_at=later)
    _age(seconds=10**5)
    make_leads(old_status, 2)
    sweep()
    BulkAction.objects.update(run_at=timezone.now())
    action = run_to_end(last_job())
    assert (action.n_succeeded, action.n_leads) == (3, 3)
    assert not Lead.objects.filter(pk__in=[lead.pk for lead in leads]).exists()
    sweep()
    assert not Preview.objects.exists()
    assert Batch.objects.filter(action=action.pk).exists()


def test_the_sweeper_drops_previews_that_nobody_can_use_any_more_and_no_others(
    api: APIClient, membership: Membership, old_status: LeadStatus
) -> None:
    make_leads(old_status, 3)
    preview(api, DELETE, s_query=MATCH_ALL, seal=True)
    create(api, DELETE, preview_token=preview(api, DELETE, s_query=MATCH_ALL, seal=True)["preview_token"])
    cancel(action=last_job(), by=membership.user)  # before it was loaded
    sweep()
    assert (Preview.objects.count(), Batch.objects.count()) == (2, 2)
    _age(seconds=1)
    young = preview(api, DELETE, s_query=MATCH_ALL, seal=True)
    sweep()
    assert [seals.token_of(kept) for kept in Preview.objects.all()] == [young["preview_token"]]
    assert Batch.objects.count() == 1


def test_the_sweeper_leaves_a_preview_that_is_being_used(
    api: APIClient, old_status: LeadStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_leads(old_status, 3)
    token = preview(api, DELETE, s_query=MATCH_ALL, seal=True)["preview_token"]
    with other_session() as start, transaction.atomic():
        create(api, DELETE, preview_token=token)
        monkeypatch.setattr(seals, "LIFE", timedelta())  # the sweeper sees an old one, not used by anybody
        start(seals.drop_old).result(20)
    assert run_to_end(last_job()).n_succeeded == 3
