"""A pytest plugin (`-p tests.servers`): one PostgreSQL and one Redis for the whole run, in a home of its own.

It is imported before Django reads its settings, which find the servers by `DROVER_HOME`. The first process of the run
starts them; the workers of xdist inherit the environment and use the same ones, each its own databases there.
`DATABASE_URL` and `REDIS_URL` replace each of them, as they do everywhere; of a Redis that is named only the database
that is named may be wiped, so there the workers share it.
"""

import atexit
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from config.home import Home

RUN_HOME = "DROVER_TEST_RUN_HOME"  # set by the first process for the workers that it starts
_first = RUN_HOME not in os.environ
if _first:
    os.environ[RUN_HOME] = tempfile.mkdtemp(prefix="drover-test-", dir="/tmp")
    os.chmod(os.environ[RUN_HOME], 0o711)  # under root the database server runs as another user
    (Path(os.environ[RUN_HOME]) / "static").mkdir()  # WhiteNoise warns of a missing one, and warnings are errors
    atexit.register(shutil.rmtree, os.environ[RUN_HOME], ignore_errors=True)
os.environ["DROVER_HOME"] = os.environ[RUN_HOME]
if (worker := os.environ.get("PYTEST_XDIST_WORKER")) and not os.environ.get("REDIS_URL"):
    # Else a worker that wipes its Redis takes the counts, marks and messages of a test beside it. The server has 16
    # databases, and the first two are those of a run without workers.
    number = int(worker.removeprefix("gw"))
    os.environ["REDIS_URL"] = Home.from_environment().redis_url(2 + number % 14)
_keeper: subprocess.Popen[str] | None = None


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    global _keeper
    names = [name for name, url in (("postgres", "DATABASE_URL"), ("redis", "REDIS_URL")) if not os.environ.get(url)]
    if not _first or config.option.collectonly or config.option.help:
        return
    # A run that is asked to end (CI's time limit) ends the stacks that its fixtures started, as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    _keeper = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("keep_servers.py")), *names],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert _keeper.stdout is not None
    said = _keeper.stdout.readline().strip()
    if said != "ready":
        raise pytest.UsageError(said + _keeper.stdout.read())


def pytest_unconfigure(config: pytest.Config) -> None:
    if _keeper is not None and _keeper.stdin is not None and _keeper.stdout is not None:
        _keeper.stdin.close()
        _keeper.wait()
        _keeper.stdout.close()
