"""A whole stack as a child process, and the management commands that the demo runs against it."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from config.demo.errors import DemoFailed
from config.home import PROJECT

START_SECONDS = 150  # longer than the supervisor's own patience: it knows what it waits for
STOP_SECONDS = 60  # longer than the graces of its children


@dataclass(frozen=True)
class Stack:
    """A stack that is ready: the address it serves, and who may sign in to the admin (e-mail and password)."""

    url: str
    admin: str


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def running_stack(log: Path, environment: dict[str, str]) -> Iterator[Stack]:
    """Start `manage.py up`, give it once it is ready, and end it. Its output goes to the file `log`.

    Raises `DemoFailed` when it does not become ready (its last line says why; another stack of the same home is one
    reason), or does not end in time.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        # A session of its own: Ctrl-C reaches the demo alone, which then ends the stack in order.
        child = subprocess.Popen(
            [sys.executable, PROJECT / "manage.py", "up"],
            cwd=PROJECT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield _wait_until_ready(child, log)
    finally:
        _stop(child, log)


def manage(*arguments: str, environment: dict[str, str]) -> str:
    """Run a management command; returns what it wrote to stdout."""
    done = subprocess.run(
        [sys.executable, PROJECT / "manage.py", *arguments],
        cwd=PROJECT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DemoFailed(f"`manage.py {arguments[0]}` failed: {_last_line(done.stderr or done.stdout)}")
    return done.stdout


def make_key(organization: str, email: str, environment: dict[str, str]) -> str:
    """The secret of a new API key of an administrator; the organization and the member are made where missing."""
    member = ("--organization", organization, "--email", email, "--role", "admin")
    return manage("create_api_key", *member, environment=environment).splitlines()[-1].strip()


def _wait_until_ready(child: subprocess.Popen[bytes], log: Path) -> Stack:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        ended = child.poll() is not None
        text = log.read_text(errors="replace")
        # `admin URL EMAIL PASSWORD` and `ready URL`
        said = {line.partition(" ")[0]: line.split() for line in text.splitlines() if " http://" in line}
        if "ready" in said:
            return Stack(url=said["ready"][1], admin=" ".join(said["admin"][2:]))
        if ended:
            raise DemoFailed(f"The stack did not start: {_last_line(text)}")
        time.sleep(0.1)
    raise DemoFailed(f"The stack was not ready after {START_SECONDS} s; its log is {log}.")


def _stop(child: subprocess.Popen[bytes], log: Path) -> None:
    if child.poll() is not None:
        return
    child.send_signal(signal.SIGTERM)
    try:
        child.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        raise DemoFailed(f"The stack did not end within {STOP_SECONDS} s of a SIGTERM; its log is {log}.") from None


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
