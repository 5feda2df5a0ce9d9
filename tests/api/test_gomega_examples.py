"""Every operation that gomega's documentation shows, asked as there, and the shape that it says (gomega-api.md)."""

from typing import Any
from uuid import uuid4

import pytest
from django.http import HttpResponse

from crm.auth import make_api_key
from crm.models import CustomField, Dialect, Membership, Organization
from crm.setup import create_organization
from tests import factories
from tests.gomega import Gomega
from tests.published import MILLISECONDS, TEXT, UUID, Like, shows

pytestmark = pytest.mark.django_db

Json = dict[str, Any]
ROW = {"row_ref", "status", "lead_id", "matched_by", "errors", "ignored_custom_fields"}


@pytest.fixture
def organization(db: None) -> Organization:
    return create_organization("Bright Homes")


@pytest.fixture
def agent(membership: Membership) -> Gomega:
    return Gomega(make_api_key(membership=membership, dialect=Dialect.GOMEGA)[1], str(membership.organization_id))


@pytest.fixture
def budget(organization: Organization) -> CustomField:
    return factories.CustomFieldFactory.create(organization=organization, name="Budget", slug="budget", type="number")


def lead_like(customer: str, **known: object) -> Json:
    """The documented keys of a lead."""
    return {
        "id": UUID, "customer_id": customer, "contact_name": None, "contact_phone": None, "contact_email": None,
        "source_platform": "direct", "source_type": "manual", "status": "active", "score": None, "qualified": None,
        "current_stage": {"id": UUID, "slug": "potential", "name": "Potential", "color": None}, "owner": None,
        "last_interaction_at": None, "interaction_count": 0, "created_at": MILLISECONDS, "updated_at": MILLISECONDS,
        **known,
    }  # fmt: skip


def answered(answer: HttpResponse, status: int = 200) -> Any:
    assert answer.status_code == status, answer.content
    return answer.json()


def test_a_lead_is_made_merged_and_listed(agent: Gomega, budget: CustomField) -> None:
    body = {
        "contact_name": "Ida Moss", "contact_phone": "+15555550100", "contact_email": "ida@oakvale.example",
        "source_platform": "google_ads", "source_type": "form", "stage_slug": "interested",
        "custom_fields": {"budget": 5000},
    }  # fmt: skip
    known = {key: body[key] for key in body.keys() - {"stage_slug", "custom_fields"}}
    stage = {"id": UUID, "slug": "interested", "name": "Interested", "color": None}
    documented = lead_like(agent.customer, **known, current_stage=stage)
    made = answered(agent.post("/leads", body), 201)
    assert shows(made, {"lead": documented})
    merged = answered(agent.post("/leads", {"contact_phone": "(555) 555-0100", "contact_name": "Ida M."}), 201)
    assert shows(merged, {"lead": {"id": made["lead"]["id"], "contact_name": "Ida M."}})
    told = answered(agent.get("/leads", include_custom_fields="true", updated_since="2020-01-01T00:00:00Z", limit=20))
    page = {"total": 1, "limit": 20, "offset": 0, "next_cursor": None}
    documented |= {"contact_name": "Ida M.", "custom_fields": {"budget": 5000}}
    assert shows(told, {**page, "leads": [documented]})
    assert "custom_fields" not in answered(agent.get("/leads"))["leads"][0]


def test_pages_by_cursor(agent: Gomega) -> None:
    for number in range(3):
        agent.post("/leads", {"contact_name": f"Lead {number}"})
    first = answered(agent.get("/leads", limit=2, sort_by="updated_at", sort_dir="asc"))
    assert shows(first, {"total": 3, "limit": 2, "offset": 0, "next_cursor": TEXT})
    rest = answered(agent.get("/leads", limit=2, sort_by="updated_at", sort_dir="asc", cursor=first["next_cursor"]))
    assert shows(rest, {"total": 3, "next_cursor": None})
    assert len({lead["id"] for lead in first["leads"] + rest["leads"]}) == 3


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_bulk_call(agent: Gomega, dry_run: bool) -> None:
    answered(agent.post("/leads", {"contact_phone": "+15555550100"}), 201)
    rows = [
        {"row_ref": "crm-1", "contact_email": "new@oakvale.example", "custom_fields": {"fav_colour": "green"}},
        {"row_ref": "crm-2", "contact_phone": "(555) 555-0100", "contact_name": "Ida Moss"},
        {"contact_name": "Ada", "stage_slug": "negotiaton"},
    ]
    told = answered(agent.post("/leads/bulk", {"leads": rows, "on_duplicate": "update", "dry_run": dry_run}))
    new = None if dry_run else UUID
    results = [
        {"row_ref": "crm-1", "status": "created", "lead_id": new, "matched_by": None, "errors": None,
         "ignored_custom_fields": ["fav_colour"]},
        {"row_ref": "crm-2", "status": "updated", "lead_id": UUID, "matched_by": "phone", "errors": None,
         "ignored_custom_fields": []},
        {"row_ref": None, "status": "failed", "lead_id": None, "matched_by": None,
         "errors": ["stage_slug: no such stage: negotiaton"], "ignored_custom_fields": []},
    ]  # fmt: skip
    summary = {"total": 3, "created": 1, "updated": 1, "skipped": 0, "failed": 1}
    documented = {"dry_run": dry_run, "summary": summary, "results": results, "unknown_custom_fields": ["fav_colour"]}
    assert shows(told, documented)
    assert all(row.keys() == ROW for row in told["results"])
    assert answered(agent.get("/leads"))["total"] == (1 if dry_run else 2)


def test_errors(agent: Gomega) -> None:
    told = answered(agent.post("/leads/bulk", {"leads": []}), 400)
    assert shows(told, {"error": {"type": "invalid_request_error", "code": 400, "message": TEXT}})
    stranger = Gomega(agent.secret, str(uuid4()))
    assert shows(answered(stranger.get("/leads"), 403), {"error": {"type": "authorization_error", "code": 403}})
    nobody = Gomega("mega_" + "0" * 64, agent.customer)
    assert shows(answered(nobody.get("/leads"), 401), {"error": {"type": "authentication_error", "code": 401}})


def test_a_key_that_is_used_twice(agent: Gomega) -> None:
    body = {"contact_email": "ida@oakvale.example"}
    first = agent.post("/leads", body, **{"Idempotency-Key": "one"})
    again = agent.post("/leads", body, **{"Idempotency-Key": "one"})
    assert (again.status_code, again.content) == (201, first.content)
    assert again["Idempotent-Replayed"] == "true"
    other = agent.post("/leads", {"contact_email": "lev@oakvale.example"}, **{"Idempotency-Key": "one"})
    assert shows(answered(other, 409), {"error": {"type": "api_error", "code": 409}})


def test_webhooks(agent: Gomega) -> None:
    body = {"url": "https://hooks.oakvale.invalid/leads", "description": "Ours"}
    documented = {
        "id": UUID, **body, "event_types": ["lead.created"], "is_active": True, "timeout_seconds": 10,
        "retry_attempts": 5, "created_at": MILLISECONDS, "updated_at": MILLISECONDS,
    }  # fmt: skip
    secret = Like(r"mega_whsec_.+")
    made = answered(agent.post("/lead-webhooks", body), 201)
    assert shows(made, {"webhook": documented, "secret": secret})
    assert answered(agent.get("/lead-webhooks")) == {"webhooks": [made["webhook"]]}
    path = f"/lead-webhooks/{made['webhook']['id']}"
    rotated = answered(agent.patch(path, {"is_active": False, "rotate_secret": True}))
    assert shows(rotated, {"webhook": {**documented, "is_active": False}, "secret": secret})
    assert rotated["secret"] != made["secret"]
    assert answered(agent.delete(path)) == {"deleted": True}
    assert shows(answered(agent.delete(path), 404), {"error": {"type": "not_found_error", "code": 404}})
