"""A member with a key, and a client that holds every answer against the contract."""

import base64
import json
from dataclasses import dataclass, field
from urllib.parse import urlencode

import pytest
from django.http import HttpResponse
from django.test import Client

from crm.auth import make_api_key
from crm.models import LeadStatus, Membership, Organization
from tests import contract, factories


def basic(secret: str) -> str:
    return "Basic " + base64.b64encode(f"{secret}:".encode()).decode()


@dataclass
class Close:
    """Speaks JSON with one key."""

    secret: str
    client: Client = field(default_factory=Client)

    def get(self, path: str, **query: object) -> HttpResponse:
        return self.send("GET", path, query=query)

    def post(self, path: str, body: object = None, **query: object) -> HttpResponse:
        return self.send("POST", path, {} if body is None else body, query=query)

    def put(self, path: str, body: object, **query: object) -> HttpResponse:
        return self.send("PUT", path, body, query=query)

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
            f"/api/v1{path}" + (f"?{urlencode(query)}" if query else ""),
            "" if body is None else raw,
            content_type="application/json",
            headers={"Authorization": basic(self.secret), **(headers or {})},
        )
        partial = "_fields" in (query or {}) or (isinstance(body, dict) and ("_fields" in body or "_params" in body))
        template = contract.template_of(path)
        meant = (headers or {}).get("x-http-method-override", method)
        if template is not None and not partial:
            contract.check(template, meant, answer.status_code, answer.json() if answer.content else {})
        return answer


@pytest.fixture
def statuses(organization: Organization) -> list[LeadStatus]:
    """The statuses of the organization; the first one is that of new leads."""
    return [
        factories.LeadStatusFactory.create(
            organization=organization, label=label, slug=label.lower(), position=position
        )
        for position, label in enumerate(["Potential", "Trial", "Customer"])
    ]


@pytest.fixture
def close(membership: Membership, statuses: list[LeadStatus]) -> Close:
    return Close(make_api_key(membership=membership)[1])


@pytest.fixture
def stranger(db: None) -> Close:
    """A member of another organization, with a status there."""
    membership = factories.MembershipFactory.create()
    factories.LeadStatusFactory.create(organization=membership.organization)
    return Close(make_api_key(membership=membership)[1])
