"""`/bulk_action/email/` (close-api.md 2.7)."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from bulk_actions.models import BulkAction
from crm.auth import make_api_key
from crm.ids import close_id
from crm.mail import delivery
from crm.models import EmailAccount, EmailTemplate, LeadStatus, Membership, Organization, Role
from tests import factories
from tests.bulk_actions.helpers import run_to_end
from tests.bulk_actions.mailing import people
from tests.conftest import client_with
from tests.contract import check
from tests.smtp import Post

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_doorbells")]

EMAIL = "/api/v1/bulk_action/email/"
ALL = {"type": "match_all"}


@pytest.fixture
def account(organization: Organization, membership: Membership) -> EmailAccount:
    return factories.EmailAccountFactory.create(organization=organization, user=membership.user)


def create(api: APIClient, template: EmailTemplate, **more: Any) -> dict[str, Any]:
    answer = api.post(EMAIL, {"s_query": ALL, "template_id": close_id("tmpl", template.pk), **more})
    assert answer.status_code == 200, answer.content
    check("/bulk_action/email/", "post", 200, answer.json())
    return answer.json()


def test_a_create_fills_in_the_account_and_the_sender(
    api: APIClient, template: EmailTemplate, account: EmailAccount
) -> None:
    made = create(api, template)
    assert made["id"].startswith("bulkemail_")
    assert made["contact_preference"] == "lead"
    assert made["email_account_id"] == close_id("emailacct", account.pk)
    assert made["sender"] == "Jo Field <jo@oakvale.example>"
    assert (made["waiting_for"], made["waiting_until"], made["n_unknown"]) == (None, None, 0)


def test_without_an_account_the_caller_sends_as_themselves(
    api: APIClient, template: EmailTemplate, membership: Membership
) -> None:
    made = create(api, template, contact_preference="all")
    assert (made["email_account_id"], made["contact_preference"]) == (None, "all")
    assert membership.user.email in made["sender"]


def test_everything_that_is_wrong_with_a_body_is_told_at_once(api: APIClient) -> None:
    foreign = factories.EmailTemplateFactory.create()
    body = {
        "s_query": ALL, "template_id": close_id("tmpl", foreign.pk), "contact_preference": "everybody",
        "email_account_id": "emailacct_x",
    }  # fmt: skip
    answer = api.post(EMAIL, body)
    assert answer.status_code == 400
    assert set(answer.json()["field-errors"]) == {"template_id", "contact_preference", "email_account_id"}
    assert not BulkAction.objects.exists()


def test_the_list_is_filtered_by_template(api: APIClient, template: EmailTemplate) -> None:
    other = factories.EmailTemplateFactory.create(organization=template.organization)
    mine = create(api, template)
    create(api, other)
    found = api.get(EMAIL, {"template_id": close_id("tmpl", template.pk)}).json()
    assert [one["id"] for one in found["data"]] == [mine["id"]]


def test_a_preview_tells_who_would_be_skipped_and_shows_the_first_mails(
    api: APIClient, template: EmailTemplate, status: LeadStatus
) -> None:
    people(status, 3)
    factories.LeadFactory.create(organization=status.organization, status=status)
    factories.ContactFactory.create(lead__organization=status.organization, lead__status=status)

    answer = api.post(f"{EMAIL}preview/", {"s_query": ALL, "template_id": close_id("tmpl", template.pk)})

    assert answer.status_code == 200, answer.content
    told = answer.json()
    assert (told["n_leads"], told["n_objects"], told["forecast"]["would_send"]) == (5, 5, 3)
    assert [(one["code"], one["n_objects"]) for one in told["forecast"]["blocked"]] == [("no_address", 2)]
    assert {one["email"] for one in told["samples"]} == {f"ida{n}@moss.example" for n in range(3)}
    assert {one["subject"] for one in told["samples"]} == {"Hello Ida"}


def test_results_have_a_row_per_mail_and_undo_is_refused(
    api: APIClient, template: EmailTemplate, status: LeadStatus, post: Post
) -> None:
    people(status, 3)
    made = create(api, template)
    action = BulkAction.objects.get()
    run_to_end(action)
    delivery.deliver_slice(20)
    run_to_end(action)

    home = f"{EMAIL}{made['id']}/"
    shown = api.get(home).json()
    assert (shown["status"], shown["n_objects"], shown["n_objects_processed"]) == ("done", 3, 3)
    rows, cursor = [], ""
    while cursor is not None:
        page = api.get(f"{home}results/", {"_limit": 2, "cursor": cursor} if cursor else {"_limit": 2}).json()
        rows, cursor = rows + page["data"], page["cursor"]
    assert [row["email"] for row in rows] == [f"ida{n}@moss.example" for n in range(3)]
    assert {row["outcome"] for row in rows} == {"succeeded"}
    text = b"".join(api.get(f"{home}results/", HTTP_ACCEPT="text/csv").streaming_content).decode()
    assert text.splitlines()[0] == "lead_id,email,outcome,code,message"
    undone = api.post(f"{home}undo/", {})
    assert undone.status_code == 400
    assert "unsent" in undone.json()["errors"][0]
    retried = api.post(f"{home}retry/?outcome=unknown", {})
    assert set(retried.json()["field-errors"]) == {"outcome"}


def test_a_job_is_paused_and_cancelled_over_the_api(api: APIClient, template: EmailTemplate) -> None:
    home = f"{EMAIL}{create(api, template)['id']}/"
    assert api.put(home, {"status": "paused"}).json()["status"] == "paused"
    assert api.post(f"{home}cancel/", {}).json()["error_code"] == "cancelled"


def test_who_may_not_send_bulk_email_is_refused(membership: Membership, template: EmailTemplate) -> None:
    membership.role = Role.RESTRICTED_USER
    membership.save()
    client = client_with(make_api_key(membership=membership)[1])
    answer = client.post(EMAIL, {"s_query": ALL, "template_id": close_id("tmpl", template.pk)})
    assert answer.status_code == 403
