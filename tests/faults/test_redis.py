"""Redis holds doorbells and nothing else: it is emptied and killed in mid-run."""

import time

import pytest
import redis

from tests.faults.client import Client
from tests.faults.harm import RECOVERY_SECONDS, SLOW
from tests.stack import Stack

pytestmark = [pytest.mark.faults, pytest.mark.stack]


def test_redis_emptied_in_mid_run(stack: Stack, client: Client) -> None:
    job = client.start_edit(leads_per_minute=SLOW)
    client.wait_for_progress(job)
    redis.Redis.from_url(stack.home.redis_url(0)).flushall()
    client.recovers(job, time.time(), within=RECOVERY_SECONDS)
    client.finish_freely(job)
    client.check_each_lead_was_changed_once(job)


@pytest.mark.parametrize("emptied", [False, True], ids=["with what it had", "empty"])
def test_redis_killed_and_started_again_in_mid_run(stack: Stack, client: Client, emptied: bool) -> None:
    job = client.start_edit(leads_per_minute=SLOW)
    client.wait_for_progress(job)
    if emptied:
        redis.Redis.from_url(stack.home.redis_url(0)).flushall()
    killed = time.time()
    stack.kill("redis")
    assert client.get(job)["status"] == "processing"  # requests work without a broker
    client.recovers(job, killed, within=RECOVERY_SECONDS)
    client.finish_freely(job)
    client.check_each_lead_was_changed_once(job)
