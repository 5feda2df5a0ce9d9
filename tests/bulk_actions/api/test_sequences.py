"""`/bulk_action/sequence_subscription/` (close-api.md 2.8)."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from bulk_actions.models import BulkAction
from crm.auth import make_api_key
from crm.ids import close_id
from crm.models import EmailAccount, LeadStatus, Membership, Organization, Role, Sequence, SequenceSubscription
from tests import factories
from tests.bulk_actions.helpers import run_to_end
from tests.bulk_actions.mailing import people
from tests.conftest import client_with
from tests.contract import check

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_doorbells")]

HOME = "/api/v1/bulk_action/sequence_subscription/"
ALL = {"type": "match_all"}


@pytest.fixture
def account(organization: Organization, membership: Membership) -> EmailAccount:
    return factories.EmailAccountFactory.create(organization=organization, user=membership.user)


@pytest.fixture
def sequence(organization: Organization) -> Sequence:
    made = factories.SequenceFactory.create(organization=organization)
    template = factories.EmailTemplateFactory.create(organization=organization)
    made.steps.create(position=0, step_type="email", email_template=template)
    return made


@pytest.fixture
def subscribe(sequence: Sequence, account: EmailAccount) -> dict[str, Any]:
    """A body with everything."""
    return {
        "s_query": ALL,
        "action_type": "subscribe",
        "sequence_id": close_id("seq", sequence.pk),
        "contact_preference": "lead",
        "sender_account_id": close_id("emailacct", account.pk),
        "sender_name": "Jo Field",
        "sender_email": "jo@oakvale.example",
    }


def create(api: APIClient, body: dict[str, Any]) -> dict[str, Any]:
    answer = api.post(HOME, body)
    assert answer.status_code == 200, answer.content
    check("/bulk_action/sequence_subscription/", "post", 200, answer.json())
    return answer.json()


def problems(api: APIClient, body: dict[str, Any]) -> dict[str, Any]:
    answer = api.post(HOME, body)
    assert answer.status_code == 400, answer.content
    assert not BulkAction.objects.exists()
    return answer.json()["field-errors"]


def run(made: dict[str, Any]) -> None:
    run_to_end(BulkAction.objects.order_by("-pk")[0])


def test_a_job_is_created_listed_steered_and_told_of(
    api: APIClient, subscribe: dict[str, Any], status: LeadStatus, membership: Membership
) -> None:
    people(status, 2)
    factories.LeadFactory.create(organization=status.organization, status=status)
    caller = close_id("user", membership.user_id)
    made = create(api, {**subscribe, "calls_assigned_to": [caller]})
    assert made["id"].startswith("bulkseqsub_")
    assert {key: made[key] for key in subscribe if key != "s_query"} == {
        key: value for key, value in subscribe.items() if key != "s_query"
    }
    assert (made["calls_assigned_to"], made["from_phone_number_id"]) == ([caller], None)
    home = f"{HOME}{made['id']}/"
    assert api.put(home, {"status": "paused"}).json()["status"] == "paused"
    api.put(home, {"status": "resuming"})
    run(made)

    shown = api.get(home).json()
    assert (shown["status"], shown["n_objects"], shown["n_objects_processed"], shown["n_leads"]) == ("done", 3, 3, 3)
    page = api.get(HOME).json()
    check("/bulk_action/sequence_subscription/", "get", 200, page)
    assert [one["id"] for one in page["data"]] == [made["id"]]
    rows = api.get(f"{home}results/").json()["data"]
    assert [(row["email"], row["outcome"], row["code"]) for row in rows] == [
        ("ida0@moss.example", "succeeded", None),
        ("ida1@moss.example", "succeeded", None),
        (None, "skipped", "no_address"),
    ]
    ids = {close_id("sub", key) for key in SequenceSubscription.objects.values_list("pk", flat=True)}
    assert {row["subscription_id"] for row in rows} == ids | {None}
    text = b"".join(api.get(f"{home}results/", HTTP_ACCEPT="text/csv").streaming_content).decode()
    assert text.splitlines()[0] == "lead_id,subscription_id,email,outcome,code,message"


def test_undo_and_retry_are_jobs_of_the_same_kind(
    api: APIClient, subscribe: dict[str, Any], status: LeadStatus
) -> None:
    people(status, 1)
    factories.LeadFactory.create(organization=status.organization, status=status)
    made = create(api, subscribe)
    run(made)
    home = f"{HOME}{made['id']}/"
    retried = api.post(f"{home}retry/?outcome=skipped", {}).json()
    assert (retried["retry_of"], retried["action_type"]) == (made["id"], "subscribe")
    undone = api.post(f"{home}undo/", {"force": True})
    assert undone.status_code == 200, undone.content
    check("/bulk_action/sequence_subscription/{id}/", "get", 200, undone.json())
    assert undone.json()["undo_of"] == made["id"]
    run(undone.json())
    assert SequenceSubscription.objects.get().status == "paused"
    assert api.post(f"{home}undo/", {}).status_code == 409
    assert api.post(f"{home}retry/?outcome=unknown", {}).status_code == 400


@pytest.mark.parametrize(
    "missing",
    ["action_type", "sequence_id", "contact_preference", "sender_account_id", "sender_name", "sender_email"],
)
def test_subscribing_needs_each_of_its_keys(api: APIClient, subscribe: dict[str, Any], missing: str) -> None:
    body = {key: value for key, value in subscribe.items() if key != missing}
    assert problems(api, body) == {missing: "This field is required."}
    assert set(problems(api, {**subscribe, missing: None})) == {missing}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("action_type", "enrol"),
        ("action_type", ["pause"]),
        ("sequence_id", "seq_x"),
        ("sequence_id", 7),
        ("contact_preference", "all"),
        ("contact_preference", {}),
        ("sender_account_id", "emailacct_x"),
        ("sender_account_id", ["x"]),
        ("sender_name", 7),
        ("sender_name", "x" * 256),
        ("sender_email", ""),
        ("sender_email", "no address"),
        ("sender_email", "someone@else.example"),
        ("sender_email", "jo@oakvale.example\nBcc: eve@x.example"),
        ("calls_assigned_to", "user_x"),
        ("calls_assigned_to", []),
        ("calls_assigned_to", [7]),
        ("calls_assigned_to", ["user_x"]),
        ("calls_assigned_to", ["user_x"] * 101),
        ("from_phone_number_id", "phon_x"),
    ],
)
def test_a_wrong_key_is_named(api: APIClient, subscribe: dict[str, Any], key: str, value: object) -> None:
    assert set(problems(api, {**subscribe, key: value})) == {key}


def test_ids_of_another_organization_are_unknown(api: APIClient, subscribe: dict[str, Any]) -> None:
    sequence, account = factories.SequenceFactory.create(), factories.EmailAccountFactory.create()
    stranger = factories.MembershipFactory.create()
    body = {
        **subscribe,
        "sequence_id": close_id("seq", sequence.pk),
        "sender_account_id": close_id("emailacct", account.pk),
        "calls_assigned_to": [close_id("user", stranger.user_id)],
    }
    assert set(problems(api, body)) == {"sequence_id", "sender_account_id", "calls_assigned_to"}
    for action_type in ("pause", "resume", "resume_finished"):
        assert set(problems(api, {**body, "action_type": action_type})) == {"sequence_id"}


@pytest.mark.parametrize(
    "columns", [{"status": "paused"}, {"status": "draft"}, {"allow_manual_enrollment": False}, {"steps": None}]
)
def test_nobody_is_subscribed_to_a_sequence_that_takes_none(
    api: APIClient, subscribe: dict[str, Any], sequence: Sequence, columns: dict[str, Any]
) -> None:
    if "steps" in columns:
        sequence.steps.all().delete()
    else:
        Sequence.objects.update(**columns)
    assert set(problems(api, subscribe)) == {"sequence_id"}
    if "steps" not in columns:
        create(api, {"s_query": ALL, "action_type": "pause", "sequence_id": subscribe["sequence_id"]})


def test_the_other_actions_need_no_sequence_and_show_no_sender(api: APIClient, subscribe: dict[str, Any]) -> None:
    for action_type in ("pause", "resume", "resume_finished"):
        made = create(api, {**subscribe, "action_type": action_type, "sequence_id": None})
        assert (made["action_type"], made["sequence_id"], made["contact_preference"]) == (action_type, None, None)
        assert (made["sender_account_id"], made["sender_name"], made["sender_email"]) == (None, None, None)


def test_reassigning_takes_a_whole_sender_or_callers(
    api: APIClient, subscribe: dict[str, Any], membership: Membership
) -> None:
    bare = {"s_query": ALL, "action_type": "reassign"}
    assert set(problems(api, bare)) == {"sender_account_id", "sender_name", "sender_email"}
    assert set(problems(api, {**bare, "sender_name": "Bo"})) == {"sender_account_id", "sender_email"}
    assert create(api, {**subscribe, "action_type": "reassign"})["sender_name"] == "Jo Field"
    callers = [close_id("user", membership.user_id)]
    assert create(api, {**bare, "calls_assigned_to": callers})["calls_assigned_to"] == callers


def test_a_preview_tells_what_would_change_and_seals_the_leads(
    api: APIClient, subscribe: dict[str, Any], status: LeadStatus, account: EmailAccount
) -> None:
    people(status, 2)
    factories.LeadFactory.create(organization=status.organization, status=status)
    told = api.post(f"{HOME}preview/", {**subscribe, "seal": True})
    assert told.status_code == 200, told.content
    told = told.json()
    assert (told["n_leads"], told["n_objects"]) == (3, 3)
    assert (told["forecast"]["would_change"], told["forecast"]["already_equal"]) == (2, 0)
    assert [(one["code"], one["n_objects"]) for one in told["forecast"]["blocked"]] == [("no_address", 1)]
    assert [one["before"] for one in told["samples"]] == [None, None]
    people(status, 1)
    made = create(api, {**subscribe, "preview_token": told["preview_token"]})
    run(made)
    assert api.get(f"{HOME}{made['id']}/").json()["n_leads"] == 3

    reassign = {**subscribe, "action_type": "reassign", "sender_name": "Bo"}
    sample = api.post(f"{HOME}preview/", reassign).json()["samples"][0]
    shown = {"sender_account_id": close_id("emailacct", account.pk), "sender_email": "jo@oakvale.example"}
    assert (sample["before"], sample["after"]) == (
        {**shown, "sender_name": "Jo Field"}, {**shown, "sender_name": "Bo"},
    )  # fmt: skip


def test_it_takes_the_permission_to_send_in_bulk(subscribe: dict[str, Any], organization: Organization) -> None:
    weak = factories.MembershipFactory.create(organization=organization, role=Role.RESTRICTED_USER)
    api = client_with(make_api_key(membership=weak)[1])
    assert api.post(HOME, subscribe).status_code == 403
    assert api.get(HOME).status_code == 200


def test_a_job_of_another_organization_or_kind_is_not_there(api: APIClient, subscribe: dict[str, Any]) -> None:
    made = create(api, subscribe)
    stranger = client_with(make_api_key(membership=factories.MembershipFactory.create())[1])
    for path in ("", "results/"):
        assert stranger.get(f"{HOME}{made['id']}/{path}").status_code == 404
    for path in ("cancel/", "retry/", "undo/"):
        assert stranger.post(f"{HOME}{made['id']}/{path}", {}).status_code == 404
    assert api.get(f"/api/v1/bulk_action/edit/{made['id']}/").status_code == 404
    assert api.post(f"{HOME}{made['id']}/cancel/", {}).json()["error_code"] == "cancelled"
