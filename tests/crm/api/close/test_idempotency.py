"""A POST that creates, sent twice under one key, is carried out once."""

import hashlib
import json
import time
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta

import pytest
from closeio_api import API
from django.core.cache import cache
from django.db import connection, transaction
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from bulk_actions.models import BulkAction, Transition
from crm.auth import make_api_key
from crm.idempotency import forget_old_answers
from crm.ids import parse_close_id
from crm.models import Group, IdempotentAnswer, Lead, LeadStatus, Membership, Organization, Pipeline, Role
from tests import factories
from tests.bulk_actions.helpers import run_to_end
from tests.crm.api.close.conftest import Close, basic
from tests.sessions import end_who_waits, other_session, wait_until_blocked

KEY = "0f6a-1"


def keyed(close: Close, path: str, body: object, key: str = KEY, **query: object) -> HttpResponse:
    return close.send("POST", path, body, query=query, headers={"Idempotency-Key": key})


def test_the_same_key_and_body_replays_the_stored_answer(close: Close) -> None:
    first = keyed(close, "/lead/", {"name": "山田製作所", "description": "Mills", "_fields": ["id", "name"]})
    again = keyed(close, "/lead/", {"_fields": ["id", "name"], "description": "Mills", "name": "山田製作所"})
    assert (again.status_code, again.content) == (200, first.content)
    assert (first.headers.get("Idempotent-Replayed"), again["Idempotent-Replayed"]) == (None, "true")
    assert Lead.objects.count() == 1


def test_status_and_headers_of_the_first_answer_are_replayed_too(close: Close) -> None:
    first, again = (keyed(close, "/pipeline/", {"name": "Sales"}) for _ in range(2))
    assert (again.status_code, again["Location"], again.json()) == (201, first["Location"], first.json())
    assert Pipeline.objects.count() == 1


def test_a_plain_digest_of_the_body_is_nowhere_kept(close: Close) -> None:
    keyed(close, "/lead/", {"name": "a"})
    plain = json.dumps([{"name": "a"}, []], sort_keys=True, separators=(",", ":")).encode()
    kept = IdempotentAnswer.objects.get()
    assert len(kept.request_sha256) == 64
    assert kept.request_sha256 != hashlib.sha256(plain).hexdigest()


def test_a_new_secret_key_forgets_no_answer_while_the_former_one_is_a_fallback(
    close: Close, settings: Settings
) -> None:
    first = keyed(close, "/lead/", {"name": "a"})
    former, settings.SECRET_KEY = settings.SECRET_KEY, "a new key of more than thirty-two characters"
    settings.SECRET_KEY_FALLBACKS = [former]
    assert keyed(close, "/lead/", {"name": "a"}).content == first.content
    assert keyed(close, "/lead/", {"name": "b"}).status_code == 409
    assert Lead.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "query"),
    [({"name": "b"}, {}), ({"name": "a", "_fields": ["id"]}, {}), ({"name": "a"}, {"_fields": "id"}), ({}, {})],
)
def test_the_same_key_with_anything_else_is_a_409(close: Close, body: object, query: dict[str, str]) -> None:
    keyed(close, "/lead/", {"name": "a"})
    refused = keyed(close, "/lead/", body, **query)
    assert (refused.status_code, list(refused.json())) == (409, ["error"])
    assert "Idempotency-Key" in refused.json()["error"]
    assert Lead.objects.count() == 1


def test_a_key_counts_per_path_and_api_key(close: Close, membership: Membership, stranger: Close) -> None:
    other = Close(make_api_key(membership=membership)[1])
    lead = keyed(close, "/lead/", {"name": "a"}).json()
    for answer in (
        keyed(other, "/lead/", {"name": "a"}),
        keyed(stranger, "/lead/", {"name": "a"}),
        keyed(close, "/contact/", {"name": "a", "lead_id": lead["id"]}),
    ):
        assert answer.status_code == 200
        assert "Idempotent-Replayed" not in answer.headers
    assert Lead.objects.count() == 3


@pytest.mark.parametrize("key", ["", "x" * 256, "caf\xe9", "a\tb", "\x7f"])
def test_a_key_that_is_not_1_to_255_printable_ascii_characters_is_a_400(close: Close, key: str) -> None:
    refused = keyed(close, "/lead/", {"name": "a"}, key)
    assert refused.status_code == 400
    assert "Idempotency-Key" in refused.json()["errors"][0]
    assert not Lead.objects.exists()


def test_the_longest_key_is_taken(close: Close) -> None:
    for _ in range(2):
        assert keyed(close, "/lead/", {}, "~ " * 127 + "!").status_code == 200
    assert Lead.objects.count() == 1


def test_a_refused_request_leaves_its_key_free(close: Close) -> None:
    assert keyed(close, "/lead/", {"status_id": "stat_nonsense"}).status_code == 400
    assert keyed(close, "/lead/", "{").status_code == 400
    assert keyed(close, "/opportunity/", {"value": 10**30}).status_code == 400
    assert not IdempotentAnswer.objects.exists()
    assert keyed(close, "/lead/", {"name": "a"}).status_code == 200


def test_an_odd_address_is_a_404_with_a_key_too(close: Close) -> None:
    for group in ("%00", "%ff", "x" * 3000):
        assert keyed(close, f"/group/{group}/member/", {"user_id": "user_x"}).status_code == 404


def test_key_and_permission_are_checked_before_a_replay(close: Close, membership: Membership) -> None:
    assert keyed(close, "/group/", {"name": "Sales"}).status_code == 201
    Membership.objects.update(role=Role.USER)
    assert keyed(close, "/group/", {"name": "Sales"}).status_code == 403
    Membership.objects.update(is_active=False)
    assert keyed(close, "/group/", {"name": "Sales"}).status_code == 401
    assert Group.objects.count() == 1


def test_a_throttled_request_is_not_replayed(close: Close, settings: Settings) -> None:
    keyed(close, "/lead/", {})
    settings.API_REQUESTS_PER_SECOND = 1
    assert 429 in [keyed(close, "/lead/", {}).status_code for _ in range(20)]


def test_what_creates_nothing_passes_the_header_over(close: Close, membership: Membership) -> None:
    search = {"query": {"type": "match_all"}}
    for _ in range(2):
        close.post("/lead/", {"name": "a"})
        assert "Idempotent-Replayed" not in keyed(close, "/data/search/", search).headers
    ids = [lead["id"] for lead in close.get("/lead/").json()["data"]]
    assert keyed(close, "/lead/merge/", {"source": ids[0], "destination": ids[1]}).status_code == 200
    assert keyed(close, "/lead/merge/", {"source": ids[0], "destination": ids[1]}).status_code == 400
    job = close.post("/bulk_action/delete/", {"s_query": {"type": "match_all"}}).json()["id"]
    assert keyed(close, f"/bulk_action/delete/{job}/cancel/", {}).status_code == 200
    assert keyed(close, f"/bulk_action/delete/{job}/cancel/", {}).status_code == 400
    listing = {"x-http-method-override": "GET", "Idempotency-Key": "caf\xe9"}
    assert close.send("POST", "/lead/", {"_params": {}}, headers=listing).json()["total_results"] == 1
    assert not IdempotentAnswer.objects.exists()


def test_a_preview_is_replayed_when_it_seals_and_else_not(close: Close) -> None:
    close.post("/lead/", {"name": "a"})
    body = {"s_query": {"type": "match_all"}}
    for seal, replayed in ((False, None), (True, "true")):
        first, again = (keyed(close, "/bulk_action/delete/preview/", {**body, "seal": seal}) for _ in range(2))
        assert (first.status_code, again.status_code) == (200, 200)
        assert again.headers.get("Idempotent-Replayed") == replayed
    assert again.json()["preview_token"] == first.json()["preview_token"]


def test_an_undo_under_a_key_is_one_undo(close: Close) -> None:
    """Without the key the second one is a 409."""
    close.post("/lead/", {"name": "a"})
    job = close.post("/bulk_action/delete/", {"s_query": {"type": "match_all"}}).json()["id"]
    run_to_end(BulkAction.objects.get())
    first, again = (keyed(close, f"/bulk_action/delete/{job}/undo/", {}) for _ in range(2))
    assert (first.status_code, again.json()) == (200, first.json())
    assert keyed(close, f"/bulk_action/delete/{job}/undo/", {}, "another").status_code == 409


def test_answers_are_forgotten_after_seven_days_in_batches(close: Close) -> None:
    for number in range(4):
        keyed(close, "/lead/", {}, str(number))
    age = timezone.now() - timedelta(days=7, seconds=5)
    IdempotentAnswer.objects.filter(key__in="012").update(date_created=age)
    assert [forget_old_answers(limit=2) for _ in range(3)] == [2, 1, 0]
    assert [answer.key for answer in IdempotentAnswer.objects.all()] == ["3"]
    keyed(close, "/lead/", {}, "0")
    assert Lead.objects.count() == 5


# --- with sessions of their own ---------------------------------------------------------------------------------------


@pytest.fixture
def committed(transactional_db: None, membership: Membership, organization: Organization) -> Close:
    factories.LeadStatusFactory.create(organization=organization, label="Potential")
    return Close(make_api_key(membership=membership)[1])


def send_elsewhere(pool: ThreadPoolExecutor, close: Close, body: object) -> "Future[HttpResponse]":
    def send() -> HttpResponse:
        try:
            return Close(close.secret, Client(raise_request_exception=False)).send(
                "POST", "/lead/", body, headers={"Idempotency-Key": KEY}
            )
        finally:
            connection.close()

    return pool.submit(send)


def hold_statuses() -> None:
    """Until our transaction ends, whoever makes a lead stands in the midst of it."""
    list(LeadStatus.objects.select_for_update())


def test_a_job_made_under_a_key_is_one_job_and_its_bell_rings_after_the_commit(
    committed: Close, membership: Membership
) -> None:
    body = {"s_query": {"type": "match_all"}}
    first, again = (keyed(committed, "/bulk_action/delete/", body) for _ in range(2))
    assert (first.status_code, again.json()) == (200, first.json())
    job = BulkAction.objects.get()
    assert Transition.objects.filter(action=job).count() == 1
    assert parse_close_id("bulkdelete", first.json()["id"]) == job.pk
    assert cache.get(f"doorbell:{job.pk}:0") is not None


def test_of_eight_at_once_one_runs_and_the_others_replay(committed: Close) -> None:
    with ThreadPoolExecutor(8) as pool:
        with transaction.atomic():
            hold_statuses()
            sent = [send_elsewhere(pool, committed, {"name": "a"}) for _ in range(8)]
            wait_until_blocked(sent[0])
        answers = [future.result() for future in sent]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert sum("Idempotent-Replayed" in answer.headers for answer in answers) == 7
    assert Lead.objects.count() == 1


def test_whoever_waits_too_long_gets_a_409_and_may_try_again(committed: Close, settings: Settings) -> None:
    settings.IDEMPOTENCY_WAIT_SECONDS = 0.2
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            hold_statuses()
            first = send_elsewhere(pool, committed, {"name": "a"})
            wait_until_blocked(first)
            second = keyed(committed, "/lead/", {"name": "a"})
            assert (second.status_code, list(second.json())) == (409, ["error"])
        assert first.result().status_code == 200
    assert keyed(committed, "/lead/", {"name": "a"})["Idempotent-Replayed"] == "true"


def test_the_wait_for_a_key_does_not_limit_other_waits(committed: Close, settings: Settings) -> None:
    settings.IDEMPOTENCY_WAIT_SECONDS = 0.1
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            hold_statuses()
            sent = send_elsewhere(pool, committed, {"name": "a"})
            wait_until_blocked(sent)
            time.sleep(0.3)
            assert not sent.done()
        assert sent.result().status_code == 200


def test_a_backend_that_dies_in_mid_request_leaves_nothing_and_the_repeat_runs(committed: Close) -> None:
    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        hold_statuses()
        sent = send_elsewhere(pool, committed, {"name": "a"})
        wait_until_blocked(sent)
        end_who_waits()
        lost = sent.result()
    assert (lost.status_code, lost["Retry-After"]) == (503, "2")
    assert not Lead.objects.exists()
    assert not IdempotentAnswer.objects.exists()
    answer = keyed(committed, "/lead/", {"name": "a"})
    assert (answer.status_code, Lead.objects.count()) == (200, 1)
    assert "Idempotent-Replayed" not in answer.headers


def test_an_answer_that_cannot_be_kept_takes_back_what_it_tells_of(committed: Close) -> None:
    """Effect and evidence commit together: the commit itself fails here, after the handler has answered."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
            CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON crm_idempotentanswer
                DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse();
            """
        )
    try:
        with other_session() as start:
            sent = start(lambda: Close(committed.secret, Client()).send(
                "POST", "/lead/", {"name": "a"}, headers={"Idempotency-Key": KEY}
            ))  # fmt: skip
            assert sent.result().status_code == 503
        assert not Lead.objects.exists()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION refuse CASCADE")
    assert keyed(committed, "/lead/", {"name": "a"}).status_code == 200


def test_the_official_client_sends_the_key_and_its_own_retries_are_safe(
    committed: Close, live_server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It tries again after a 503: here after its first request has lost its session in mid-work."""
    monkeypatch.setattr("closeio_api.time.sleep", lambda seconds: None)
    api = API(f"{live_server.url}/api/v1/", api_key=committed.secret)
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            hold_statuses()
            sent = pool.submit(lambda: api.post("lead", {"name": "a"}, headers={"Idempotency-Key": KEY}))
            wait_until_blocked(sent)
            end_who_waits()
            wait_until_blocked(sent)
        made = sent.result()
    assert api.post("lead", {"name": "a"}, headers={"Idempotency-Key": KEY}) == made
    assert Lead.objects.count() == 1


def test_the_schema_says_where_the_key_is_taken(committed: Close) -> None:
    schema = Client().get("/api/schema/?format=json", headers={"Authorization": basic(committed.secret)}).json()
    taking = {
        path
        for path, methods in schema["paths"].items()
        for one in methods.get("post", {}).get("parameters", [])
        if one["name"] == "Idempotency-Key"
    }
    assert {"/api/v1/lead/", "/api/v1/bulk_action/edit/"} <= taking
    assert not taking & {"/api/v1/data/search/", "/api/v1/lead/merge/", "/api/v1/bulk_action/edit/{id}/cancel/"}
