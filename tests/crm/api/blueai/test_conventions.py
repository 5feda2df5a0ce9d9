"""Who calls, what is told of errors, limits, lists and unknown keys: the same for all addresses."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from crm.api.blueai.authentication import COOKIE
from crm.auth import make_api_key
from crm.ids import hex_id, parse_hex_id
from crm.models import ApiKey, Contact, Dialect, IdempotentAnswer, Membership, Role, SignInSession
from tests import factories
from tests.blueai import BlueAI, problem_of

PASSWORD = "correct horse battery"


@pytest.fixture
def browser(membership: Membership) -> BlueAI:
    """Signed in with a password."""
    membership.user.set_password(PASSWORD)
    membership.user.save()
    browser = BlueAI()
    answer = browser.post("/auth/sign-in/email", {"email": membership.user.email.upper(), "password": PASSWORD})
    assert answer.status_code == 200, answer.content
    return browser


def test_me_is_who_the_key_or_the_cookie_speaks_for(blueai: BlueAI, browser: BlueAI, membership: Membership) -> None:
    me = blueai.get("/me").json()["user"]
    assert (me["id"], me["email"]) == (hex_id("usr", membership.user_id), membership.user.email)
    assert me["organization"] == {"id": hex_id("org", membership.organization_id), "name": "Sakura"}
    assert browser.get("/me").json() == {"user": me}
    close = make_api_key(membership=membership)[1]
    assert "memberships" in Client().get("/api/v1/me/", headers={"Authorization": f"Bearer {close}"}).json()


def test_the_cookie_is_kept_from_scripts_and_only_its_digest_is_stored(browser: BlueAI) -> None:
    cookie = browser.client.cookies[COOKIE]
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")
    assert cookie.value not in SignInSession.objects.get().token_sha256
    assert browser.get("/crm/contacts").status_code == 200


@pytest.mark.parametrize("change", [{"password": "wrong"}, {"email": "nobody@example.jp"}])
def test_a_wrong_password_and_an_unknown_address_are_told_alike(
    browser: BlueAI, membership: Membership, change: dict
) -> None:
    body = {"email": membership.user.email, "password": PASSWORD, **change}
    error = problem_of(BlueAI().post("/auth/sign-in/email", body), 401)
    assert (error["code"], error["message"]) == ("UNAUTHORIZED", "The email address or the password is wrong.")
    assert problem_of(BlueAI().post("/auth/sign-in/email", {"email": "x"}), 400)["param"] == "password"


@pytest.mark.usefixtures("pass_seconds")
def test_passwords_cannot_be_tried_without_end(browser: BlueAI, membership: Membership, settings: Settings) -> None:
    settings.BLUEAI_SIGN_INS_PER_EMAIL = 3
    body = {"email": membership.user.email, "password": "wrong"}
    codes = [BlueAI().post("/auth/sign-in/email", body).status_code for _ in range(4)]
    assert codes[-1] == 429
    refused = BlueAI().post("/auth/sign-in/email", {**body, "password": PASSWORD})
    assert int(refused["Retry-After"]) > 0
    assert problem_of(refused, 429)["code"] == "RATE_LIMITED"


@pytest.mark.usefixtures("db", "pass_seconds")
def test_one_place_cannot_try_many_addresses_without_end(settings: Settings) -> None:
    settings.BLUEAI_SIGN_INS_PER_ADDRESS = 2
    here, elsewhere = BlueAI(), BlueAI()
    tries = [(here, "a"), (here, "b"), (here, "c"), (elsewhere, "d")]
    bodies = [(caller, {"email": f"{name}@x.example", "password": "wrong"}) for caller, name in tries]
    codes = [caller.post("/auth/sign-in/email", body).status_code for caller, body in bodies]
    assert codes == [401, 401, 429, 401]


def test_a_session_ends_with_its_time_and_with_the_membership(browser: BlueAI, membership: Membership) -> None:
    membership.is_active = False
    membership.save()
    problem_of(browser.get("/crm/contacts"), 401)
    membership.is_active = True
    membership.save()
    assert browser.get("/crm/contacts").status_code == 200
    SignInSession.objects.update(date_expires=timezone.now() - timedelta(seconds=1))
    problem_of(browser.get("/crm/contacts"), 401)


def test_another_site_cannot_write_with_the_cookie(browser: BlueAI, blueai: BlueAI) -> None:
    body = {"first_name": "a", "last_name": "b"}
    for origin in ("https://evil.example", "null", "http://testserver.evil.example", "http://["):
        refused = browser.send("POST", "/crm/contacts", body, headers={"Origin": origin})
        assert problem_of(refused, 403)["type"] == "permission_error"
        assert browser.send("GET", "/crm/contacts", headers={"Origin": origin}).status_code == 200
    assert browser.send("POST", "/crm/contacts", body, headers={"Origin": "http://testserver"}).status_code == 201
    assert browser.send("POST", "/crm/contacts", body).status_code == 201
    answer = blueai.send("POST", "/crm/contacts", body, headers={"Origin": "https://evil.example"})
    assert answer.status_code == 201, "a key is no cookie: no browser sends it by itself"


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer sk_live_nothing", "Basic c2tfbGl2ZV94Og==", "Bearer \xff"]
)
@pytest.mark.django_db
def test_no_credential_or_a_wrong_one_is_a_401(header: str | None) -> None:
    answer = Client().get("/api/v1/crm/deals", headers={} if header is None else {"Authorization": header})
    assert problem_of(answer, 401)["type"] == "authentication_error"
    assert answer["WWW-Authenticate"].startswith("Bearer")


def test_keys_of_other_dialects_are_no_keys(blueai: BlueAI, membership: Membership) -> None:
    for dialect in (Dialect.CLOSE, Dialect.GOMEGA):
        problem_of(BlueAI(make_api_key(membership=membership, dialect=dialect)[1]).get("/crm/deals"), 401)


def test_a_key_is_made_shown_once_and_revoked_at_once(blueai: BlueAI, membership: Membership) -> None:
    answer = blueai.post("/api-keys", {"name": "nightly"})
    assert answer.status_code == 201
    made = answer.json()["api_key"]
    assert (made["name"], made["key"][:8]) == ("nightly", "sk_live_")
    fresh = BlueAI(made["key"])
    assert fresh.get("/crm/deals").status_code == 200
    assert blueai.delete(f"/api-keys/{made['id']}").json() == {"success": True}
    problem_of(fresh.get("/crm/deals"), 401)
    problem_of(blueai.delete(f"/api-keys/{made['id']}"), 404)
    assert problem_of(blueai.post("/api-keys", {}), 400)["param"] == "name"
    assert parse_hex_id("ak", made["id"])


def test_a_member_revokes_own_keys_and_no_others(blueai: BlueAI, stranger: BlueAI, membership: Membership) -> None:
    colleague = factories.MembershipFactory.create(organization=membership.organization, role=Role.USER)
    theirs = BlueAI(make_api_key(membership=colleague, dialect=Dialect.BLUEAI)[1])
    own = hex_id("ak", ApiKey.objects.get(membership=membership).pk)
    close = hex_id("ak", make_api_key(membership=membership)[0].pk)
    for caller, key in ((theirs, own), (stranger, own), (blueai, close)):
        problem_of(caller.delete(f"/api-keys/{key}"), 404)
    assert blueai.delete(f"/api-keys/{hex_id('ak', ApiKey.objects.get(membership=colleague).pk)}").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/crm/contacts", "{", 400, "VALIDATION_ERROR"),
        ("POST", "/crm/contacts", "[]", 400, "VALIDATION_ERROR"),
        ("POST", "/crm/contacts", '{"first_name": "\\u0000"}', 400, "VALIDATION_ERROR"),
        ("POST", "/crm/contacts", '{"first_name": "\\ud800"}', 400, "VALIDATION_ERROR"),
        ("GET", "/crm/nothing", None, 404, "NOT_FOUND"),
        ("GET", "/crm/deals/x/y/z", None, 404, "NOT_FOUND"),
        ("GET", "/auth/nothing", None, 404, "NOT_FOUND"),
        ("GET", "/crm/contacts/cont_x", None, 404, "NOT_FOUND"),
        ("GET", "/crm/contacts/%00", None, 404, "NOT_FOUND"),
        ("PUT", "/crm/contacts", None, 405, "VALIDATION_ERROR"),
        ("GET", "/api-keys", None, 405, "VALIDATION_ERROR"),
        ("GET", "/crm/bulk/deals/update", None, 405, "VALIDATION_ERROR"),
    ],
)
def test_every_refusal_has_the_published_shape(
    blueai: BlueAI, method: str, path: str, body: str | None, status: int, code: str
) -> None:
    answer = blueai.send(method, path, body)
    assert problem_of(answer, status)["code"] == code
    assert int(answer["X-RateLimit-Limit"]) in (600, 60)


def test_another_media_type_is_refused(blueai: BlueAI) -> None:
    problem_of(blueai.send("POST", "/crm/contacts", "first_name=a", content_type="text/plain"), 415)


@pytest.mark.usefixtures("pass_seconds")
def test_limits_are_told_and_kept_bulk_apart(blueai: BlueAI, settings: Settings) -> None:
    settings.BLUEAI_REQUESTS_PER_MINUTE, settings.BLUEAI_BULK_REQUESTS_PER_MINUTE = 3, 2
    first = blueai.get("/crm/contacts")
    assert (first["X-RateLimit-Limit"], first["X-RateLimit-Remaining"]) == ("3", "2")
    answers = [blueai.get("/crm/deals") for _ in range(4)]
    assert answers[-1].status_code == 429
    assert 0 < int(answers[-1]["Retry-After"]) <= 60
    assert problem_of(answers[-1], 429)["type"] == "rate_limit_error"
    bulk = blueai.post("/crm/bulk/deals/delete", {"ids": ["x"]})
    assert (bulk.status_code, bulk["X-RateLimit-Limit"], bulk["X-RateLimit-Remaining"]) == (200, "2", "1")


def test_unknown_keys_are_passed_over_and_named(blueai: BlueAI) -> None:
    answer = blueai.post("/crm/contacts", {"first_name": "a", "last_name": "b", "nick\r\nname": 1, "名前": 2, '"q"': 3})
    assert answer.status_code == 201
    assert answer["Warning"].startswith('299 - "Unknown keys were ignored: ')
    assert "nick" in answer["Warning"]
    assert "Warning" not in blueai.post("/crm/contacts", {"first_name": "a", "last_name": "b"})


def test_both_lists_of_the_documentation(blueai: BlueAI) -> None:
    for number in range(5):
        blueai.make("contacts", {"first_name": str(number), "last_name": "x"})
    reference = blueai.get("/crm/contacts", limit=2, offset=1).json()
    assert (reference["total"], reference["limit"], reference["offset"]) == (5, 2, 1)
    assert [item["first_name"] for item in reference["items"]] == ["3", "2"]
    assert set(reference) == {"items", "total", "limit", "offset"}
    guide = blueai.get("/crm/contacts", page=2, per_page=2, sort="name:asc").json()
    assert guide["object"] == "list"
    assert guide["pagination"] == {"page": 2, "per_page": 2, "total": 5, "total_pages": 3}
    assert [(item["object"], item["first_name"]) for item in guide["data"]] == [("contact", "2"), ("contact", "3")]
    assert blueai.get("/crm/contacts").json()["limit"] == 50
    assert blueai.get("/crm/contacts", per_page=100).json()["pagination"]["page"] == 1


def test_lists_between_two_moments(blueai: BlueAI) -> None:
    for number in range(3):
        blueai.make("contacts", {"first_name": str(number), "last_name": "x"})
    days = iter((1, 2, 3))
    for contact in Contact.objects.order_by("pk"):
        Contact.objects.filter(pk=contact.pk).update(date_created=f"2026-01-0{next(days)}T12:00:00Z")

    def names(**query: object) -> str:
        return "".join(item["first_name"] for item in blueai.get("/crm/contacts", **query).json()["items"])

    assert names(created_after="2026-01-02") == "21"
    assert names(created_after="2026-01-02T21:00:00+09:00") == "2"
    assert names(created_after="2026-01-01T12:00:00Z", created_before="2026-01-03T12:00:00Z") == "1"


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 201}, "limit"),
        ({"limit": "x"}, "limit"),
        ({"limit": "٣"}, "limit"),
        ({"offset": -1}, "offset"),
        ({"offset": "9" * 30}, "offset"),
        ({"page": 0}, "page"),
        ({"per_page": 101}, "per_page"),
        ({"sort": "color"}, "sort"),
        ({"sort": "name:up"}, "sort"),
        ({"order": "up"}, "order"),
        ({"created_after": "yesterday"}, "created_after"),
        ({"created_before": "2026-13-01"}, "created_before"),
        ({"created_before": "0001-01-01T00:00:00+14:00"}, "created_before"),
        ({"search": "x" * 300}, "search"),
        ({"search": "\0"}, "search"),
    ],
)
def test_a_list_out_of_bounds_is_refused(blueai: BlueAI, query: dict, param: str) -> None:
    assert problem_of(blueai.get("/crm/contacts", **query), 400)["param"] == param


def test_a_create_sent_again_with_its_key_makes_one(blueai: BlueAI) -> None:
    body, key = {"first_name": "a", "last_name": "b"}, {"Idempotency-Key": "once"}
    first, second = (blueai.send("POST", "/crm/contacts", body, headers=key) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert second["Idempotent-Replayed"] == "true"
    assert first.json() == second.json()
    assert Contact.objects.count() == 1
    other = blueai.send("POST", "/crm/contacts", {**body, "first_name": "c"}, headers=key)
    assert problem_of(other, 409)["code"] == "CONFLICT"


def test_no_secret_is_kept_for_a_repeat(blueai: BlueAI) -> None:
    answers = [blueai.send("POST", "/api-keys", {"name": "x"}, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert answers[0].json()["api_key"]["key"] != answers[1].json()["api_key"]["key"]
    assert not IdempotentAnswer.objects.exists()
