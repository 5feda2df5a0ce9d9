"""The worker processes of the peers: as many as the engine has, from the same broker, on a queue of their own."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from celery import Task

from bench.engine import JobFailed
from bench.work import DELETE, NUMBER, STATUS, Work
from bench.world import World
from config.home import PROJECT, Home

PATIENCE_SECONDS = 600
POLL_SECONDS = 0.05  # one look counts all leads
_CHANGED = {
    STATUS: "status_id = %(new_status)s",
    NUMBER: "custom ? %(number_key)s::text",
    DELETE: "deleted_at IS NOT NULL",
}


@contextmanager
def peer_workers(home: Home, n: int) -> Iterator[None]:
    """Have `n` processes take the tasks of `bench.peers`. They keep their connections to the database and take several
    messages at once, both kinder to them than what Celery or this project would do.
    """
    command = (
        *(sys.executable, "-m", "celery", "-A", "config", "worker", "-I", "bench.peers", "-Q", "bench"),
        *("--concurrency", str(n), "--prefetch-multiplier", "16", "--max-tasks-per-child", "1000000"),
        *("--without-gossip", "--without-mingle", "-n", "bench@%h", "--loglevel", "WARNING"),
    )
    ready = home.path / "ready" / "bench"
    ready.unlink(missing_ok=True)
    environment = {**os.environ, "DROVER_ROLE": "web", "DROVER_READY_FILE": str(ready)}
    with (home.path / "peers.log").open("wb") as log:
        workers = _start(command, environment, log)
        try:
            _wait(lambda: ready.exists() or workers.poll() is not None)
            if workers.poll() is not None:
                raise JobFailed("The workers of the peers did not start.")
            yield
        finally:
            workers.terminate()
            workers.wait()


def save_each_seconds(world: World, work: Work, n_leads: int) -> float:
    """From sending the one task that saves each lead until it has saved all."""
    from bench import peers

    return _until_all_changed(world, work, n_leads, peers.save_each)


def task_each_seconds(world: World, work: Work, n_leads: int) -> float:
    """From sending the task that sends one task per lead until all those are done."""
    from bench import peers

    return _until_all_changed(world, work, n_leads, peers.send_each)


def _until_all_changed(world: World, work: Work, n_leads: int, task: Task) -> float:
    from bench.peers import QUEUE

    query = f"SELECT count(*) FROM crm_lead WHERE {_CHANGED[work.name]}"
    began = time.monotonic()
    task.apply_async((work.name, world.parameters), queue=QUEUE)
    _wait(lambda: world.connection.execute(query, world.parameters).fetchone()[0] == n_leads)
    return time.monotonic() - began


def _start(command: tuple[str, ...], environment: dict[str, str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command, cwd=PROJECT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
    )


def _wait(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not done():
        if time.monotonic() > deadline:
            raise JobFailed(f"A peer had not ended after {PATIENCE_SECONDS} s.")
        time.sleep(POLL_SECONDS)
