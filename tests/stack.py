"""The whole stack as real processes (`manage.py up`), in a home of its own, for tests that kill parts of it."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg

from config.home import PROJECT, Home

READY_SECONDS = 120
_REPLACED = ("DATABASE_URL", "REDIS_URL", "EMAIL_URL", "PUBLIC_URL", "SECRET_KEY", "ENCRYPTION_KEYS", "DROVER_ROLE")


def environment(home: Home, **more: str) -> dict[str, str]:
    """An environment in which nothing but the home decides where things are."""
    plain = {name: value for name, value in os.environ.items() if name not in _REPLACED}
    return {**plain, "DROVER_HOME": str(home.path), **more}


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return trial.getsockname()[1]


def wait_until(happened: Callable[[], bool], *, seconds: float, what: str, every: float = 0.05) -> None:
    """Poll until something has happened; fail with its name after the deadline."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(every)


@contextlib.contextmanager
def open_home() -> Iterator[Home]:
    """A home that any user may enter, unlike pytest's own folders: under root the database runs as another one."""
    folder = Path(tempfile.mkdtemp(prefix="drover-stack-", dir="/tmp"))
    folder.chmod(0o711)
    try:
        yield Home(folder)
    finally:
        shutil.rmtree(Home(folder).run, ignore_errors=True)
        shutil.rmtree(folder)


class Stack:
    """One running stack. `with Stack(home) as stack:` returns when it is ready and leaves no process."""

    def __init__(self, home: Home, *, workers: int = 2) -> None:
        self.home = home
        self.port = free_port()
        self.workers = workers
        self.output = home.path / "up.log"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        with self.output.open("ab") as output:
            self.supervisor = subprocess.Popen(
                [sys.executable, str(PROJECT / "manage.py"), "up"],
                env=environment(self.home, PORT=str(self.port), WORKERS=str(self.workers)),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until_ready(self) -> None:
        wait_until(self._is_ready, seconds=READY_SECONDS, what=f"ready; said so far:\n{self.said()}")

    def said(self) -> str:
        return self.output.read_text()

    def pid_of(self, name: str) -> int | None:
        """The pid of the child of that name (`web`, `worker-1`, `mail`, `control`, `beat`, `redis`, ...) at present."""
        return json.loads((self.home.path / "processes.json").read_text())[name]["pid"]

    def processes(self) -> list[psutil.Process]:
        """Everything below the supervisor, itself included."""
        top = psutil.Process(self.supervisor.pid)
        return [top, *top.children(recursive=True)]

    def kill(self, name: str) -> None:
        """Kill a child with no chance to tidy up, and wait until another one has its place."""
        pid = self.pid_of(name)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: self.pid_of(name) != pid, seconds=30, what=f"{name} is started again")

    def connect(self) -> psycopg.Connection:
        return psycopg.connect(self.home.database_url(), autocommit=True)

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body of a GET."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it as a person or a service manager would; the supervisor's exit code."""
        if self.supervisor.poll() is None:
            self.supervisor.send_signal(how)
        return self.supervisor.wait(90)

    def __enter__(self) -> "Stack":
        self.start()
        try:
            self.wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _is_ready(self) -> bool:
        assert self.supervisor.poll() is None, f"the supervisor ended:\n{self.said()}"
        return any(line.startswith(f"ready {self.url}") for line in self.said().splitlines())
