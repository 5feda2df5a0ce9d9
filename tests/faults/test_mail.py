"""Workers are killed in the midst of bulk emails and of bulk changes of sequences, and everything is while one waits:
nobody gets a mail twice, or into a sequence twice."""

import time
from collections import Counter
from collections.abc import Iterator

import pytest
import redis
from django.conf import settings

from tests.faults.client import MATCH_ALL, Client, key_of
from tests.faults.conftest import manage
from tests.faults.harm import RECOVERY_SECONDS, kill_all, killed_at_work, pool_child, whole
from tests.stack import Stack, open_home, wait_until

pytestmark = [pytest.mark.faults, pytest.mark.stack]

MAILS = 5_000
KILLS = 10
SLOW = 30_000  # leads a minute: a job over all of them takes about 10 s
CHUNK = settings.MAIL_CHUNK  # what a delivery worker has in hand at most
A_DAY, ASKED = 200, 300  # mails that an account may send, and that it is asked to

# One contact with one address for each lead.
ADDRESSES = """
    WITH no_more AS (DELETE FROM crm_contactemail),
    people AS (
        INSERT INTO crm_contact (organization_id, lead_id, name, position, custom)
        SELECT organization_id, id, 'Ida Moss', 0, '{}' FROM crm_lead RETURNING id, organization_id)
    INSERT INTO crm_contactemail (organization_id, contact_id, email, position, type)
    SELECT organization_id, id, 'ida' || row_number() OVER () || '@moss.example', 0, 'office' FROM people
"""
STATES = "SELECT state, count(*) FROM crm_outboxmail WHERE source_id = %s AND purpose = 'bulk' GROUP BY state"
ADDRESSES_OF = "SELECT address FROM crm_outboxmail WHERE source_id = %s AND purpose = 'bulk' AND state = %s"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """One of its own: its sink fills with mail."""
    with open_home() as home, Stack(home, workers=1) as running:
        yield running


@pytest.fixture(scope="module")
def client(stack: Stack) -> Client:
    secret = manage(stack, "create_api_key", "--organization", "Writes", "--email", "jo@oakvale.example").split()[-1]
    manage(stack, "seed_demo", "--organization", "Writes", "--leads", str(MAILS), "--activities", "0")
    with stack.connect() as connection:
        connection.execute(ADDRESSES)
    return Client(stack, secret, "Writes")


@pytest.fixture(scope="module")
def template(client: Client) -> str:
    body = {
        "name": "Hello",
        "subject": "こんにちは {{ contact.first_name }}",
        "body": "<p>Hello {{ contact.name }}</p>",
        "is_shared": True,  # a sequence takes no other
    }
    return client.call("POST", "/email_template/", body)["id"]


def start(client: Client, template: str, **more: object) -> str:
    body = {"s_query": MATCH_ALL, "template_id": template, "send_done_email": False, **more}
    return client.call("POST", "/bulk_action/email/", body)["id"]


def arrived(stack: Stack) -> Counter[str]:
    """How many mails each address got, as the sink tells."""
    first_lines = (file.read_bytes().partition(b"\r\n")[0] for file in stack.home.mail.glob("*.eml"))
    return Counter(line.partition(b": ")[2].decode() for line in first_lines)


def empty_sink(stack: Stack) -> None:
    for file in stack.home.mail.glob("*.eml"):
        file.unlink()


def test_ten_kills_of_the_delivery_worker_send_no_mail_twice_and_leave_a_chunk_each_in_doubt_at_most(
    stack: Stack, client: Client, template: str
) -> None:
    job = start(client, template)
    key = key_of(job)
    began = time.monotonic()
    with stack.connect() as watching:

        def states() -> Counter[str]:
            return Counter(dict(watching.execute(STATES, [key]).fetchall()))

        for n in range(KILLS):
            victims = whole(stack, "mail") if n % 3 == 2 else [pool_child(stack, "mail")]
            enough = (n + 1) * MAILS // (KILLS + 2)

            def is_hit(enough: int = enough) -> bool:
                now = states()
                return now["sent"] >= enough and now["sending"] > 0

            wait_until(is_hit, seconds=60, what=f"mail is in hand behind {enough}; there are {states()}")
            kill_all(victims)
            for victim in victims:
                victim.wait(10)
            assert states()["unknown"] <= n * CHUNK, "before the sweep finds those of this kill"
    wait_until(lambda: client.get(job)["status"] == "done", seconds=120, what="the job is done")

    got, answer = arrived(stack), client.get(job)
    sent, unknown = ({to for (to,) in client.sql(ADDRESSES_OF, key, state)} for state in ("sent", "unknown"))
    print(f"{KILLS} kills in {time.monotonic() - began:.1f} s: {len(sent)} sent, {len(unknown)} unknown")
    assert max(got.values()) == 1, "no address twice"
    assert len(sent) + len(unknown) == MAILS, "each is sent or unknown"
    assert 1 <= len(unknown) <= KILLS * CHUNK, "the kills did hit, and cost a chunk each at most"
    assert sent <= set(got) <= sent | unknown
    assert (answer["n_objects"], answer["n_succeeded"], answer["n_unknown"]) == (MAILS, len(sent), len(unknown))
    outcomes = client.call("GET", f"/bulk_action/email/{job}/results/?outcome=unknown&_limit=200")["data"]
    assert {row["email"] for row in outcomes} == unknown


def test_a_job_that_waits_for_its_day_goes_on_waiting_when_everything_has_been_killed(
    stack: Stack, client: Client, template: str
) -> None:
    empty_sink(stack)
    identity = {"email": "sales@oakvale.example", "name": "Oakvale"}
    account = client.call("POST", "/connected_account/", {"identities": [identity], "daily_limit": A_DAY})["id"]
    job = start(client, template, email_account_id=account, results_limit=ASKED)
    wait_until(lambda: client.get(job)["n_succeeded"] == A_DAY, seconds=60, what="those of one day leave")

    redis.Redis.from_url(stack.home.redis_url(0)).flushall()
    for name in ("redis", "mail", "worker-1", "control", "beat"):
        stack.kill(name)
    other = start(client, template, sender="jo@oakvale.example", results_limit=50)
    wait_until(lambda: client.get(other)["status"] == "done", seconds=120, what="other mail leaves")

    answer = client.get(job)
    assert (answer["status"], answer["n_succeeded"], answer["waiting_for"]) == ("processing", A_DAY, "daily_limit")
    assert answer["waiting_until"] is not None
    assert sum(arrived(stack).values()) == A_DAY + 50
    client.call("PUT", f"/connected_account/{account}/", {"daily_limit": None})
    wait_until(lambda: client.get(job)["status"] == "done", seconds=60, what="the rest leaves")
    assert client.get(job)["n_succeeded"] == ASKED
    assert sum(arrived(stack).values()) == ASKED + 50
    senders = client.sql(
        "SELECT count(DISTINCT address), count(*) FROM crm_outboxmail WHERE source_id = %s AND state = 'sent'",
        key_of(job),
    )
    assert senders == [(ASKED, ASKED)]


@pytest.fixture(scope="module")
def subscribe(client: Client, template: str) -> dict[str, object]:
    """The body of a job that subscribes everybody to a sequence whose first mail is a month away."""
    identity = {"email": "jo@oakvale.example", "name": "Jo Field"}
    account = client.call("POST", "/connected_account/", {"identities": [identity]})["id"]
    step = {"step_type": "email", "email_template_id": template, "threading": "new_thread", "delay": 30 * 86_400}
    sequence = client.call("POST", "/sequence/", {"name": "Later", "timezone": "UTC", "steps": [step]})["id"]
    return {
        "s_query": MATCH_ALL, "action_type": "subscribe", "sequence_id": sequence, "contact_preference": "lead",
        "sender_account_id": account, "sender_name": "Jo Field", "sender_email": "jo@oakvale.example",
    }  # fmt: skip


def test_a_worker_killed_in_the_midst_of_subscribing_and_of_pausing_does_both_once_for_everybody(
    stack: Stack, client: Client, subscribe: dict[str, object]
) -> None:
    subscriptions = "crm_sequencesubscription"
    pause = {"s_query": MATCH_ALL, "action_type": "pause", "sequence_id": subscribe["sequence_id"]}
    for body, status in ((subscribe, "active"), (pause, "paused")):
        order = {**body, "leads_per_minute": SLOW, "send_done_email": False}
        job = client.call("POST", "/bulk_action/sequence_subscription/", order)["id"]
        client.wait_for_progress(job)
        killed = killed_at_work(stack, client, lambda: whole(stack, "worker-1"), table=subscriptions)
        client.recovers(job, killed, within=RECOVERY_SECONDS)
        client.finish_freely(job)
        answer = client.get(job)
        assert (answer["n_objects"], answer["n_succeeded"]) == (MAILS, MAILS)
        found = client.sql(f"SELECT status, count(*), count(DISTINCT contact_id) FROM {subscriptions} GROUP BY status")
        assert found == [(status, MAILS, MAILS)]
        ledger = "SELECT sum(n_succeeded), sum(jsonb_array_length(before)) FROM bulk_actions_batch WHERE action_id = %s"
        assert client.sql(ledger, key_of(job)) == [(MAILS, MAILS if body is pause else None)]
