"""Runs the embedded servers of one test run until its standard input ends, so that a killed run leaves none behind.

Arguments: the names of the servers, `postgres` and `redis`.
"""

import contextlib
import os
import shutil
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from config.embedded.postgres import Postgres
from config.embedded.redis import Redis
from config.home import Home
from config.processes import CannotStart, Process, stop

# A test run's data need not outlive a power cut.
TEST_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "100"}


def main(names: list[str]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run decides when: it closes our input
    home = Home.from_environment()
    servers = {"postgres": lambda: Postgres(home, TEST_SETTINGS), "redis": lambda: Redis(home)}
    running: list[Process] = []
    try:
        for name in names:
            server = servers[name]()
            server.prepare()
            running.append(Process(server.program()))
            server.wait_until_ready(running[-1])
        os.write(1, b"ready\n")
        sys.stdin.read()
    except CannotStart as problem:
        os.write(1, f"{problem}\n".encode())
    finally:
        stop(running)
        shutil.rmtree(home.run, ignore_errors=True)
        shutil.rmtree(home.path, ignore_errors=True)


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        main(sys.argv[1:])
