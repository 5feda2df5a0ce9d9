"""Harm to real processes, done at a moment when it hurts: while a batch is in hand."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator

import psutil

from tests.faults.client import Client
from tests.stack import Stack, wait_until

WORKERS = ("worker-1", "worker-2")
SLOW = 120_000  # leads a minute: 20,000 leads take about 10 s, so that a fault falls in mid-run
RECOVERY_SECONDS = 10
FROZEN_RECOVERY_SECONDS = 15  # idle_in_transaction_session_timeout, 8 s of these, runs out first

# Sessions of workers inside a job's gate; and those that have not moved for so long that their worker is frozen.
IN_GATE = """
    SELECT pid FROM pg_stat_activity JOIN pg_locks USING (pid)
    WHERE application_name = 'drover-worker' AND locktype = 'advisory' AND mode = 'ShareLock' AND granted"""
FROZEN_IN_GATE = IN_GATE + " AND state = 'idle in transaction' AND state_change < clock_timestamp() - interval '0.3 s'"
TRANSACTIONS = "SELECT pid, xact_start FROM pg_stat_activity"
WAITS_FOR = f"""
    {TRANSACTIONS} JOIN pg_locks USING (pid)
    WHERE application_name = 'drover-worker' AND relation = %s::regclass AND NOT granted"""


def pool_child(stack: Stack, name: str) -> psutil.Process:
    """The process of that worker that does its work; waits for one that is just being started."""
    found: list[psutil.Process] = []

    def is_there() -> bool:
        pid = stack.pid_of(name)
        with contextlib.suppress(psutil.NoSuchProcess):
            found[:] = psutil.Process(pid).children() if pid else []
        return len(found) == 1

    wait_until(is_there, seconds=30, what=f"{name} has its pool child")
    return found[0]


def whole(stack: Stack, name: str) -> list[psutil.Process]:
    """That worker's main process and its pool child."""
    child = pool_child(stack, name)
    return [child.parent(), child]


@contextlib.contextmanager
def stopped_at_work(
    client: Client, stop: Callable[[], None], go: Callable[[], None], *, table: str = "crm_lead"
) -> Iterator[None]:
    """Stops one worker, by whatever means, at a moment when it has a batch in hand; lets it go on at the end.

    A batch of a job with a ceiling is in hand for a few hundredths of each second, and by one worker after the other:
    so `table`, which the job writes to, is locked until a batch waits for it, and only then the worker is stopped.
    """

    def caught() -> bool:
        with client.stack.connect() as connection, connection.transaction():
            connection.execute(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")
            go()  # only now, so that a slice that was given to it meanwhile waits for us
            wait_until(lambda: bool(client.sql(WAITS_FOR, table)), seconds=20, what=f"a batch waits for {table}")
            waiting = set(client.sql(WAITS_FOR, table))
            stop()

        def is_known() -> bool:
            return bool(client.sql(FROZEN_IN_GATE)) or waiting.isdisjoint(client.sql(TRANSACTIONS))

        wait_until(is_known, seconds=10, what="the batch stands still, or is another worker's and is done")
        return bool(client.sql(FROZEN_IN_GATE))

    try:
        wait_until(caught, seconds=60, what="the worker is stopped with a batch in hand")
        yield
    finally:
        go()


@contextlib.contextmanager
def frozen(processes: list[psutil.Process]) -> Iterator[None]:
    """These stand still; those that still live go on at the end."""
    try:
        for process in processes:
            process.suspend()
        yield
    finally:
        _go(processes)


@contextlib.contextmanager
def frozen_at_work(stack: Stack, client: Client, *, table: str = "crm_lead") -> Iterator[None]:
    """Freezes the pool child of worker-1 while it has a batch in hand; if it still lives, it goes on at the end."""
    child = pool_child(stack, "worker-1")
    with stopped_at_work(client, child.suspend, lambda: _go([child]), table=table):
        yield


def killed_at_work(
    stack: Stack, client: Client, victims: Callable[[], list[psutil.Process]], *, table: str = "crm_lead"
) -> float:
    """Kills these at a moment when worker-1 has a batch in hand; returns when, in seconds of the epoch."""
    with frozen_at_work(stack, client, table=table):
        kill_all(victims())
        return time.time()


def kill_all(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            os.kill(process.pid, signal.SIGKILL)


@contextlib.contextmanager
def slow(stack: Stack, table: str, event: str, seconds: float) -> Iterator[None]:
    """Every statement that does this (`INSERT`, `UPDATE`) to the table sleeps so long in the end."""
    with stack.connect() as connection:
        connection.execute(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN PERFORM pg_sleep({seconds}); RETURN NULL; END $$;"
            f"CREATE TRIGGER slow AFTER {event} ON {table} FOR EACH STATEMENT EXECUTE FUNCTION slow()"
        )
    try:
        yield
    finally:
        with stack.connect() as connection:
            connection.execute(f"DROP TRIGGER slow ON {table}; DROP FUNCTION slow()")


def killed_asleep(client: Client, role: str, victims: Callable[[], list[psutil.Process]]) -> float:
    """Kills these while a session of that role sleeps over what is `slow`; returns when, in seconds of the epoch."""
    asleep = "SELECT pid FROM pg_stat_activity WHERE application_name = %s AND wait_event = 'PgSleep'"
    wait_until(lambda: bool(client.sql(asleep, f"drover-{role}")), seconds=20, what="a statement sleeps")
    kill_all(victims())
    return time.time()


def _go(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.resume()
