"""Keys and the customer that they belong to, scopes, errors, and the two buckets of the rate."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from django.core.cache import cache
from django.test import Client

from crm.auth import make_api_key
from crm.models import ApiKey, Dialect, LeadStatus, Membership, Organization
from crm.rates import Redis
from tests import factories
from tests.gomega import Gomega, check_error, client_of, message_of

pytestmark = pytest.mark.django_db

NOBODYS = "7b1c4a52-9d0e-4f38-8c65-2e1f0a9b3d47"  # the workers of a parallel run agree on the names of tests
OPERATIONS = [
    ("GET", "/leads", "public_api:leads:read"),
    ("POST", "/leads", "public_api:leads:write"),
    ("POST", "/leads/bulk", "public_api:leads:write"),
    ("GET", "/lead-webhooks", "public_api:webhooks:manage"),
    ("POST", "/lead-webhooks", "public_api:webhooks:manage"),
    ("PATCH", f"/lead-webhooks/{NOBODYS}", "public_api:webhooks:manage"),
    ("DELETE", f"/lead-webhooks/{NOBODYS}", "public_api:webhooks:manage"),
]


@pytest.mark.parametrize(("method", "path", "scope"), OPERATIONS)
def test_every_operation_needs_its_scope(membership: Membership, method: str, path: str, scope: str) -> None:
    others = sorted({one for _, _, one in OPERATIONS} - {scope})
    answer = client_of(membership, *others).send(method, path, {})
    assert (answer.status_code, answer.json()["error"]["type"]) == (403, "authorization_error")
    assert scope in message_of(answer)
    assert client_of(membership, scope).send(method, path, {}).status_code != 403


def test_the_head_of_an_answer_needs_the_scope_of_the_answer(membership: Membership) -> None:
    for scope, status in (("public_api:leads:write", 403), ("public_api:leads:read", 200)):
        client = client_of(membership, scope)
        headers = {"Authorization": f"Bearer {client.secret}", "x-customer-id": client.customer}
        assert client.client.head("/api/agents/crm/leads", headers=headers).status_code == status


@pytest.mark.parametrize(("method", "path", "scope"), OPERATIONS)
def test_every_operation_needs_a_key_and_the_header_of_its_customer(
    gomega: Gomega, stranger: Gomega, method: str, path: str, scope: str
) -> None:
    for headers in (
        {"Authorization": ""},
        {"Authorization": "Bearer mega_0"},
        {"Authorization": f"Basic {gomega.secret}"},
        {"x-customer-id": ""},
        {"x-customer-id": "customer"},
        {"x-customer-id": gomega.customer.replace("-", "")},
    ):
        answer = gomega.send(method, path, {}, headers=headers)
        assert (answer.status_code, answer.json()["error"]["type"]) == (401, "authentication_error"), headers
        assert "WWW-Authenticate" in answer
    for customer in (stranger.customer, str(uuid4())):
        answer = gomega.send(method, path, {}, headers={"x-customer-id": customer})
        assert (answer.status_code, answer.json()["error"]["type"]) == (403, "authorization_error")


def test_keys_of_other_dialects_and_revoked_ones_are_unknown(gomega: Gomega, membership: Membership) -> None:
    for dialect in (Dialect.CLOSE, Dialect.BLUEAI):
        secret = make_api_key(membership=membership, dialect=dialect)[1]
        assert gomega.send("GET", "/leads", headers={"Authorization": f"Bearer {secret}"}).status_code == 401
    ApiKey.objects.update(date_revoked="2031-01-01T00:00:00Z")
    assert gomega.get("/leads").status_code == 401


def test_what_is_not_served_is_told_in_the_shape_of_the_dialect(gomega: Gomega, client: Client) -> None:
    answer = gomega.get("/nothing")
    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "not_found_error")
    assert gomega.delete("/leads").status_code == 405
    assert gomega.delete("/leads").json()["error"]["type"] == "invalid_request_error"
    answer = client.get("/api/agents/crm/leads", headers={"Host": "not a host/"})
    check_error(answer)
    assert "Access-Control-Allow-Origin" not in answer


@pytest.mark.parametrize(
    "body", ["{", "[]", "nothing", '"leads"', '{"contact_name": "a\\u0000"}', '{"contact_name": "\\ud800"}',
             '{"score": NaN}', '{"score": 1e999}', "[" * 500, b"\xff"]
)  # fmt: skip
def test_a_body_that_is_no_json_object_is_a_400(gomega: Gomega, body: str | bytes) -> None:
    for path in ("/leads", "/leads/bulk", "/lead-webhooks"):
        answer = gomega.post(path, body)
        assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")


def test_a_body_beyond_5_mb_is_a_400(gomega: Gomega) -> None:
    assert gomega.post("/leads", {"contact_name": "x" * 5 * 1024 * 1024}).status_code == 400


# --- rates ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def limited(membership: Membership, stages: list[LeadStatus], pass_seconds: Callable[[float], None]) -> Gomega:
    """A key with the usual limits, in windows that do not end."""
    return client_of(membership)


def limit(organization: Organization, **columns: int | None) -> None:
    Organization.objects.filter(pk=organization.pk).update(**columns)


def test_every_answer_says_where_the_key_stands(limited: Gomega) -> None:
    first, second = limited.get("/leads"), limited.get("/nothing-of-that-kind")
    assert (first["RateLimit-Limit"], first["RateLimit-Remaining"]) == ("60", "59")
    assert 0 < int(first["RateLimit-Reset"]) <= 60
    assert second["RateLimit-Limit"] == "60"  # counted is only what has a key to be counted for
    assert limited.post("/leads", {})["RateLimit-Remaining"] == "58"  # a 400 counts


def test_beyond_the_limit_a_call_is_refused_and_told_when_to_come_again(
    limited: Gomega, organization: Organization
) -> None:
    limit(organization, lead_calls_per_minute=2)
    assert [limited.get("/leads").status_code for _ in range(3)] == [200, 200, 429]
    refused = limited.get("/lead-webhooks")
    assert (refused.status_code, refused.json()["error"]["type"]) == (429, "rate_limit_error")
    assert refused["RateLimit-Remaining"] == "0"
    assert refused["Retry-After"] == refused["RateLimit-Reset"]


def test_the_window_that_is_nearer_to_its_end_is_told(limited: Gomega, organization: Organization) -> None:
    limit(organization, lead_calls_per_hour=3)
    assert limited.get("/leads")["RateLimit-Limit"] == "3"
    for _ in range(2):
        limited.get("/leads")
    refused = limited.get("/leads")
    assert refused.status_code == 429
    assert 0 < int(refused["Retry-After"]) <= 3600
    limit(organization, lead_calls_per_minute=1)
    assert limited.get("/leads").status_code == 429


def test_what_the_minute_refuses_does_not_use_up_the_hour(limited: Gomega, organization: Organization) -> None:
    limit(organization, lead_calls_per_minute=1, lead_calls_per_hour=3)
    assert [limited.get("/leads").status_code for _ in range(5)] == [200, 429, 429, 429, 429]
    limit(organization, lead_calls_per_minute=None)
    told = limited.get("/leads")
    assert (told.status_code, told["RateLimit-Limit"], told["RateLimit-Remaining"]) == (200, "3", "1")


def test_bulk_calls_have_a_bucket_of_their_own(limited: Gomega, organization: Organization) -> None:
    limit(organization, lead_bulk_calls_per_minute=1)
    assert limited.post("/leads/bulk", {"leads": [{}]})["RateLimit-Limit"] == "1"
    assert limited.post("/leads/bulk", {"leads": [{}]}).status_code == 429
    assert limited.get("/leads").status_code == 200
    limit(organization, lead_bulk_calls_per_minute=None, lead_calls_per_minute=0)
    told = limited.post("/leads/bulk", {"leads": [{}]})
    assert (told.status_code, told["RateLimit-Limit"], told["RateLimit-Remaining"]) == (200, "10", "7")
    assert limited.get("/leads").status_code == 429


def test_each_key_is_counted_apart(limited: Gomega, membership: Membership, organization: Organization) -> None:
    limit(organization, lead_calls_per_minute=1)
    assert limited.get("/leads").status_code == 200
    assert limited.get("/leads").status_code == 429
    assert client_of(membership).get("/leads").status_code == 200
    other = factories.MembershipFactory.create(user=membership.user)
    assert client_of(other).get("/leads")["RateLimit-Limit"] == "60"


def test_without_redis_calls_pass(limited: Gomega, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "incr", lambda key: int("redis is away"))
    monkeypatch.setattr(cache, "add", lambda *arguments, **options: False)
    monkeypatch.setattr(Redis, "away_until", 0.0)
    answer = limited.get("/leads")
    assert (answer.status_code, answer["RateLimit-Remaining"]) == (200, "60")
