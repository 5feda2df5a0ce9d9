"""A key of a customer, and a client that speaks the dialect with it."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlencode

import pytest
from django.http import HttpResponse
from django.test import Client

from crm.auth import make_api_key
from crm.models import Contact, Dialect, Lead, LeadStatus, Membership, Organization
from tests import factories


@dataclass
class Gomega:
    """Speaks JSON with one key. Every answer is held against what all of them have."""

    secret: str
    customer: str
    client: Client = field(default_factory=Client)

    def get(self, path: str, **query: object) -> HttpResponse:
        return self.send("GET", path, query=query)

    def post(self, path: str, body: object = None, **headers: str) -> HttpResponse:
        return self.send("POST", path, {} if body is None else body, headers=headers)

    def patch(self, path: str, body: object) -> HttpResponse:
        return self.send("PATCH", path, body)

    def delete(self, path: str) -> HttpResponse:
        return self.send("DELETE", path)

    def send(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
    ) -> HttpResponse:
        raw = body if isinstance(body, str | bytes) else json.dumps(body)
        answer = self.client.generic(
            method,
            f"/api/agents/crm{path}" + (f"?{urlencode(query)}" if query else ""),
            "" if body is None else raw,
            content_type="application/json",
            headers={"Authorization": f"Bearer {self.secret}", "x-customer-id": self.customer, **(headers or {})},
        )
        assert all(answer[f"RateLimit-{name}"].isdecimal() for name in ("Limit", "Remaining", "Reset"))
        if answer.status_code >= 400:
            check_error(answer)
        return answer


def check_error(answer: HttpResponse) -> None:
    told = answer.json()
    assert set(told) == {"error"}
    assert set(told["error"]) == {"type", "code", "message"}
    assert told["error"]["code"] == answer.status_code
    assert told["error"]["message"]


def message_of(answer: HttpResponse) -> str:
    return answer.json()["error"]["message"]


@pytest.fixture
def stages(organization: Organization) -> list[LeadStatus]:
    """The stages of the customer; the first one is that of new leads."""
    return [
        factories.LeadStatusFactory.create(
            organization=organization, label=label, slug=label.lower(), position=position
        )
        for position, label in enumerate(["New", "Negotiation", "Customer"])
    ]


def client_of(membership: Membership, *scopes: str) -> Gomega:
    secret = make_api_key(membership=membership, dialect=Dialect.GOMEGA, scopes=scopes)[1]
    return Gomega(secret, str(membership.organization_id))


@pytest.fixture
def gomega(membership: Membership, stages: list[LeadStatus]) -> Gomega:
    """A key with all scopes, for a customer whose limits do not matter."""
    Organization.objects.filter(pk=membership.organization_id).update(
        lead_calls_per_minute=100_000, lead_calls_per_hour=100_000, lead_bulk_calls_per_minute=100_000
    )
    return client_of(membership)


@pytest.fixture
def stranger(db: None) -> Gomega:
    """A key of another customer, with a stage there."""
    membership = factories.MembershipFactory.create()
    factories.LeadStatusFactory.create(organization=membership.organization, slug="new")
    return client_of(membership)


@pytest.fixture
def person(stages: list[LeadStatus]) -> Callable[..., Lead]:
    """Makes a lead with one person; keyword arguments are columns of the lead."""

    def person(name: str | None, email: str | None = None, phone: str | None = None, **columns: object) -> Lead:
        status = stages[0]
        lead = factories.LeadFactory.create(
            **{"organization": status.organization, "status": status, "name": name, **columns}
        )
        contact = Contact.objects.create(organization=lead.organization, lead=lead, name=name)
        if email:
            contact.emails.create(organization=lead.organization, email=email)
        if phone:
            contact.phones.create(organization=lead.organization, phone=phone)
        return lead

    return person
