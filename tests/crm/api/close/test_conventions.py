import base64
import json
import re
from datetime import UTC, timedelta, timezone
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from django.core.cache import caches
from django.test import Client
from django.test.utils import override_settings
from django.utils import timezone as django_timezone
from pytest_django import Settings

from crm import rates
from crm.api.close.fields import parse_fields, pick_fields
from crm.api.close.requests import zone_of
from crm.auth import make_api_key
from crm.errors import FieldErrors
from crm.ids import close_id
from crm.models import ApiKey, Membership
from tests.crm.api.close.conftest import Close, basic

RATE = re.compile(r"limit=(\d+), remaining=(\d+), reset=(\d+)")
INVALID_JSON = "The request contains invalid JSON."


@pytest.mark.parametrize("spell", [basic, lambda secret: f"Bearer {secret}", lambda secret: f"bearer  {secret} "])
def test_a_key_is_taken_as_basic_user_name_and_as_bearer_token(close: Close, spell: object) -> None:
    answer = Client().get("/api/v1/me/", headers={"Authorization": spell(close.secret)})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Basic",
        "Basic ???",
        "Basic " + base64.b64encode(b"\xff\xfe:").decode(),
        "Basic " + base64.b64encode(b"api_no.such:").decode(),
        "Basic " + base64.b64encode(b"\0:").decode(),
        "Bearer api_no.such",
        "Bearer ",
        "Digest x",
    ],
)
@pytest.mark.django_db
def test_no_key_or_a_wrong_one_is_a_401_with_a_challenge(header: str | None) -> None:
    answer = Client().get("/api/v1/me/", headers={} if header is None else {"Authorization": header})
    assert answer.status_code == 401
    assert list(answer.json()) == ["error"]
    assert answer["WWW-Authenticate"].startswith("Basic")
    assert RATE.fullmatch(answer["RateLimit"])


def test_a_password_beside_the_key_or_a_revoked_key_is_refused(close: Close) -> None:
    with_password = "Basic " + base64.b64encode(f"{close.secret}:x".encode()).decode()
    assert Client().get("/api/v1/me/", headers={"Authorization": with_password}).status_code == 401
    ApiKey.objects.update(date_revoked=django_timezone.now())
    assert close.get("/me/").status_code == 401


def test_me_says_who_and_where(close: Close, membership: Membership) -> None:
    me = close.get("/me/").json()
    assert me["id"] == close_id("user", membership.user_id)
    assert me["organizations"][0]["id"] == close_id("orga", membership.organization_id)
    assert "bulk_edit" in me["memberships"][0]["permissions_granted"]
    assert close.get("/me/", _fields="email").json() == {"email": me["email"]}
    assert close.get(f"/user/{me['id']}/").json()["email"] == me["email"]
    assert [user["id"] for user in close.get("/user/").json()["data"]] == [me["id"]]


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "",
        b'{"name": "\xff"}',
        '{"name": NaN}',
        '{"name": Infinity}',
        '{"x": 1e999}',
        '{"x": ' + "9" * 5000 + "}",
        '{"name": "raw \x00"}',
        "[" * 100_000,
        '{"a":' * 100_000,
        "\ufeff{}",
    ],
)
def test_what_is_no_json_is_told_so(close: Close, body: str | bytes) -> None:
    answer = close.send("POST", "/lead/", body)
    if body == "":  # nothing at all is an empty object
        assert answer.status_code == 200
        return
    assert answer.status_code == 400
    assert answer.json() == {"error": INVALID_JSON, "errors": [INVALID_JSON], "field-errors": {}}


@pytest.mark.parametrize(
    "body",
    [
        "[]",
        "null",
        '"text"',
        "3",
        r'{"name": "\u0000"}',
        r'{"\u0000": 1}',
        r'{"name": "\ud800"}',
        r'{"a": ["\udc00"]}',
        '{"a":' * 300 + "1" + "}" * 300,
        json.dumps({"name": "x" * (5 * 1024 * 1024)}),
    ],
)
def test_json_that_cannot_be_kept_is_a_400(close: Close, body: str) -> None:
    answer = close.send("POST", "/lead/", body)
    assert answer.status_code == 400
    assert set(answer.json()) == {"error", "errors", "field-errors"}
    assert RATE.fullmatch(answer["RateLimit"])


def test_a_body_of_unknown_length_is_refused_not_taken_as_empty(close: Close) -> None:
    answer = Client().generic(
        "POST",
        "/api/v1/lead/",
        headers={"Authorization": basic(close.secret), "Transfer-Encoding": "chunked"},
    )
    assert (answer.status_code, set(answer.json())) == (400, {"error", "errors", "field-errors"})
    assert "Content-Length" in answer.json()["error"]


def test_a_key_given_twice_is_taken_as_the_last_one(close: Close) -> None:
    assert close.send("POST", "/lead/", '{"name": "a", "name": "b"}').json()["name"] == "b"


def test_another_media_type_is_a_415_and_another_method_a_405(close: Close) -> None:
    key = {"Authorization": basic(close.secret)}
    form = Client().post("/api/v1/lead/", "name=x", content_type="application/x-www-form-urlencoded", headers=key)
    assert (form.status_code, list(form.json())) == (415, ["error"])
    for method in ("PATCH", "OPTIONS", "TRACE"):
        answer = Client().generic(method, "/api/v1/lead/", headers=key)
        assert (answer.status_code, list(answer.json())) == (405, ["error"])
        assert RATE.fullmatch(answer["RateLimit"])


def test_an_unknown_address_is_json_under_api_and_a_page_elsewhere(close: Close) -> None:
    under_api = close.get("/no/such/thing/")
    assert (under_api.status_code, list(under_api.json())) == (404, ["error"])
    assert RATE.fullmatch(under_api["RateLimit"])
    assert "html" in Client().get("/no/such/thing/")["Content-Type"]


def test_addresses_are_served_with_and_without_their_slash(close: Close) -> None:
    for path in ("/me/", "/me", "//me", "/me//"):
        assert close.get(path).status_code == 200
    assert close.post("/lead", {"name": "kept"}).json()["name"] == "kept"


def test_a_long_get_may_come_as_a_post(close: Close) -> None:
    for name in ("a", "b", "c"):
        close.post("/lead/", {"name": name})
    override = {"x-http-method-override": "GET"}
    body = {"_params": {"_limit": 1, "_skip": 1, "_fields": ["name", "id"], "nothing": None, "flag": True}}
    answer = close.send("POST", "/lead/", body, headers=override)
    assert answer.status_code == 200
    assert [set(lead) for lead in answer.json()["data"]] == [{"name", "id"}]
    assert answer.json()["data"][0]["name"] == "b"
    assert close.send("POST", "/lead/", {}, headers=override).json()["total_results"] == 3
    for wrong in ({"_params": []}, {"_params": {"_limit": {}}}):
        refused = close.send("POST", "/lead/", wrong, headers=override)
        assert refused.status_code == 400
        assert "_params" in refused.json()["field-errors"]


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ({"_limit": "201"}, {"_limit": "Input should be less than or equal to 200"}),
        ({"_skip": "35001"}, {"_skip": "Input should be less than or equal to 35000"}),
        ({"_limit": "-1"}, {"_limit": "Input should be greater than or equal to 0"}),
        (
            {"_limit": "x", "_skip": "1.5"},
            {"_limit": "Input should be a valid integer", "_skip": "Input should be a valid integer"},
        ),
        ({"_skip": "9" * 400}, {"_skip": "Input should be a valid integer"}),
    ],
)
def test_a_page_out_of_bounds_is_refused_not_clamped(
    close: Close, query: dict[str, object], problem: dict[str, str]
) -> None:
    answer = close.get("/lead/", **query)
    assert answer.status_code == 400
    assert answer.json() == {"errors": [], "field-errors": problem}


def test_unknown_parameters_and_odd_text_in_the_address_are_passed_over(close: Close) -> None:
    assert Client().get("/api/v1/lead/?x=%00&y=%ff&_fields=%00", headers={"Authorization": basic(close.secret)}).json()
    assert close.get("/contact/", lead_id="\0").json()["data"] == []
    assert close.get("/lead/%00/").status_code == 404
    assert close.get("/lead/%ff%fe/").status_code == 404


def test_fields_pick_keys_and_custom_stands_for_all_custom_fields() -> None:
    data = {"id": 1, "name": 2, "custom": {}, "custom.cf_a": 3, "custom.cf_b": 4}
    assert pick_fields(data, parse_fields("id, custom.cf_a")) == {"id": 1, "custom.cf_a": 3}
    assert set(pick_fields(data, parse_fields(["custom"]))) == {"custom", "custom.cf_a", "custom.cf_b"}
    for everything in (None, "", "_all", "id,_all"):
        assert pick_fields(data, parse_fields(everything)) == data
    for wrong in (3, {}, [3]):
        with pytest.raises(FieldErrors):
            parse_fields(wrong)


def test_fields_may_stand_in_the_body_of_a_write(close: Close) -> None:
    assert close.post("/lead/", {"name": "x", "_fields": "name"}).json() == {"name": "x"}
    assert close.send("POST", "/lead/", {"name": "x"}, query={"_fields": "name"}).json() == {"name": "x"}


@pytest.mark.parametrize(
    ("offset", "of_user", "zone"),
    [
        ("-4", "", timezone(timedelta(hours=-4))),
        ("-2.5", "Asia/Tokyo", timezone(timedelta(hours=-2.5))),
        (None, "Asia/Tokyo", ZoneInfo("Asia/Tokyo")),
        ("nonsense", "Asia/Tokyo", ZoneInfo("Asia/Tokyo")),
        ("nan", "", UTC),
        ("99", "", UTC),
        (None, "No/Such", UTC),
        (None, "../etc", UTC),
    ],
)
def test_the_zone_is_the_header_s_else_the_user_s_else_utc(offset: str | None, of_user: str, zone: object) -> None:
    request = SimpleNamespace(headers={} if offset is None else {"x-tz-offset": offset})
    caller = SimpleNamespace(user=SimpleNamespace(timezone=of_user))
    assert zone_of(request, caller) == zone


def test_the_rate_is_counted_per_key_and_endpoint_and_refused_beyond(
    close: Close, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.API_REQUESTS_PER_SECOND = 3
    monkeypatch.setattr("crm.rates.time.time", lambda: 1_000_000.25)
    seen = [RATE.fullmatch(close.get("/me/")["RateLimit"]).groups() for _ in range(3)]
    assert seen == [("3", "2", "1"), ("3", "1", "1"), ("3", "0", "1")]
    refused = close.get("/me/")
    assert refused.status_code == 429
    assert refused["Retry-After"] == "1"
    assert RATE.fullmatch(refused["RateLimit"]).groups() == ("3", "0", "1")
    body = refused.json()
    assert (body["rate_limit"], body["rate_limit_type"], body["rate_reset"]) == (3, "key", "1")
    assert body["error"]
    assert close.get("/lead/").status_code == 200, "another endpoint has a count of its own"
    assert close.post("/lead/").status_code == 200, "and so has another method"
    monkeypatch.setattr("crm.rates.time.time", lambda: 1_000_001.25)
    assert close.get("/me/").status_code == 200, "a new second, a new count"


def test_an_organization_has_three_times_the_rate_of_a_key(
    close: Close, membership: Membership, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.API_REQUESTS_PER_SECOND = 2
    monkeypatch.setattr("crm.rates.time.time", lambda: 1_000_000.25)
    keys = [close, *(Close(make_api_key(membership=membership)[1]) for _ in range(4))]
    codes = [[key.get("/me/").status_code for _ in range(2)] for key in keys[:4]]
    assert codes == [[200, 200], [200, 200], [200, 200], [429, 429]]
    assert keys[4].get("/me/").json()["rate_limit_type"] == "organization"


def test_without_redis_requests_pass(close: Close) -> None:
    nowhere = {"default": {**caches.settings["default"], "LOCATION": "redis://127.0.0.1:1/0"}}
    with override_settings(CACHES=nowhere):
        answers = [close.get("/me/") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert rates.Redis.away_until > 0
    assert all(RATE.fullmatch(answer["RateLimit"]) for answer in answers)
