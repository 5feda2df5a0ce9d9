"""The network between one worker and PostgreSQL is cut, with a batch in hand."""

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from config.home import PROJECT
from tests.faults.client import Client
from tests.faults.harm import FROZEN_IN_GATE, FROZEN_RECOVERY_SECONDS, SLOW, stopped_at_work
from tests.faults.proxy import Proxy
from tests.stack import Stack, environment, wait_until

pytestmark = [pytest.mark.faults, pytest.mark.stack]


@pytest.fixture
def way(stack: Stack) -> Iterator[Proxy]:
    """What stands between PostgreSQL and one more worker, which serves by now."""
    proxy = Proxy(stack.home.postgres_socket_folder / ".s.PGSQL.5432")
    url = f"postgres://drover:{stack.home.secret('postgres_password')}@127.0.0.1:{proxy.port}/drover"
    ready = stack.home.path / "ready" / "far"
    more = {"DATABASE_URL": url, "DROVER_ROLE": "worker", "DROVER_READY_FILE": str(ready)}
    with (stack.home.path / "logs" / "far.log").open("wb") as output:
        worker = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "config", "worker", "-Q", "bulk", "--concurrency", "1",
             "-n", f"far-{proxy.port}@%h", "--without-gossip", "--without-mingle", "--loglevel", "INFO"],
            cwd=PROJECT, env=environment(stack.home, **more), stdin=subprocess.DEVNULL,
            stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        wait_until(ready.exists, seconds=60, what="the worker beyond the proxy takes messages")
        yield proxy
    finally:
        proxy.heal()
        worker.terminate()
        worker.wait(60)
        proxy.close()


def test_a_worker_cut_off_from_the_database_loses_its_transaction_and_doubles_nothing_when_it_is_back(
    way: Proxy, client: Client
) -> None:
    job = client.start_edit(leads_per_minute=SLOW)
    client.wait_for_progress(job)
    with stopped_at_work(client, way.cut, way.heal):
        since = time.time()
        wait_until(lambda: not client.sql(FROZEN_IN_GATE), seconds=20, what="the server ends the session")
        client.recovers(job, since, within=FROZEN_RECOVERY_SECONDS)
        client.finish_freely(job)
    client.check_each_lead_was_changed_once(job)
