"""Runs the whole stack in the foreground, starts again what dies, and leaves no process behind."""

import contextlib
import fcntl
import http.client
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connections

from config import stack
from config.checks import problem_with_database
from config.embedded import sink
from config.embedded.postgres import Postgres
from config.embedded.redis import Redis
from config.home import Home
from config.processes import CannotStart, Process, Program, end_left_over, stop, write_record

POLL_SECONDS = 0.1
READY_SECONDS = 120
FIRST_DELAY_SECONDS = 0.5  # before a dead child is started again; doubled each time
LONGEST_DELAY_SECONDS = 15.0
STEADY_SECONDS = 30  # a child that ran for so long starts again without delay being doubled
ADMIN_EMAIL = "admin@drover.localhost"


class _AskedToEnd(Exception):
    """SIGINT, SIGTERM or SIGHUP came."""


@dataclass
class _Child:
    """A program that shall run, its process of the moment, and when to try again."""

    program: Program
    process: Process
    delay: float = FIRST_DELAY_SECONDS
    again_at: float | None = field(default=None)


class Supervisor:
    """One stack. `say` prints a line for the person at the terminal."""

    def __init__(self, home: Home, *, port: int, workers: int, say: Callable[[str], None]) -> None:
        self._home = home
        self._port = port
        self._workers = workers
        self._say = say
        self._children: list[_Child] = []
        self._asked_to_end = False
        self._record = home.path / "processes.json"

    def run(self) -> None:
        """Start everything, watch it until a signal comes, end everything. Raises CannotStart."""
        with self._signals(), self._lock():
            try:
                self._make_room()
                self._start_servers()
                self._prepare_database()
                for program in stack.services(self._home, self._port, self._workers):
                    self._start(program)
                self._wait_until_ready()
                self._say(f"ready http://127.0.0.1:{self._port}")
                while True:
                    self._pause()
            except _AskedToEnd:
                self._say("ending")
            finally:
                self._stop_all()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        def note(number: int, frame: object) -> None:
            self._asked_to_end = True

        before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        """One stack for one home. The kernel lets go of the lock when we die, whatever killed us."""
        self._home.path.mkdir(parents=True, exist_ok=True)
        with (self._home.path / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise CannotStart(
                    f"A stack already runs on {self._home.path}: end it, or set DROVER_HOME to another folder."
                ) from None
            yield

    def _make_room(self) -> None:
        if left := end_left_over(self._record):
            self._say(f"ended what a killed stack had left: {', '.join(left)}")
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind(("127.0.0.1", self._port))
            except OSError as problem:
                raise CannotStart(
                    f"Port {self._port} cannot be had ({problem.strerror}): set PORT to another."
                ) from None
        (self._home.path / "ready").mkdir(exist_ok=True)

    def _start_servers(self) -> None:
        if not settings.DATABASE_URL:
            postgres = Postgres(self._home)
            for note in postgres.prepare():
                self._say(note)
            postgres.wait_until_ready(self._start(postgres.program()))
        if not settings.REDIS_URL:
            redis = Redis(self._home)
            redis.prepare()
            redis.wait_until_ready(self._start(redis.program()))
        if not settings.EMAIL_URL:
            sink.wait_until_ready(self._home, self._start(sink.program(self._home)))

    def _prepare_database(self) -> None:
        if problem := problem_with_database():
            raise CannotStart(problem)
        self._run_to_end(stack.one_off(self._home, "migrate", "--no-input", "--verbosity", "1"))
        users = get_user_model().objects
        password = self._home.secret("admin_password")
        admin = users.filter(email=ADMIN_EMAIL).first() or users.create_superuser(ADMIN_EMAIL, password)
        shown = password if admin.check_password(password) else "(as it was changed)"
        self._say(f"admin http://127.0.0.1:{self._port}/admin/ {ADMIN_EMAIL} {shown}")
        connections.close_all()

    def _run_to_end(self, program: Program) -> None:
        process = Process(program)
        try:
            while (code := process.exit_code) is None:
                self._pause()
        finally:
            stop([process])
        if code:
            raise CannotStart(f"`manage.py {program.name}` failed; {program.log} ends with:\n{process.last_words()}")

    def _start(self, program: Program) -> Process:
        stack.ready_file(self._home, program.name).unlink(missing_ok=True)
        child = _Child(program, Process(program))
        self._children.append(child)
        self._write_record()
        return child.process

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while waiting := self._not_ready():
            if time.monotonic() > deadline:
                child = waiting[0]
                raise CannotStart(
                    f"{child.program.name} does not serve after {READY_SECONDS} s; {child.program.log} ends with:\n"
                    f"{child.process.last_words()}"
                )
            self._pause()

    def _not_ready(self) -> list[_Child]:
        return [child for child in self._children if not self._serves(child.program.name)]

    def _serves(self, name: str) -> bool:
        if name in ("postgres", "redis", "sink"):
            return True  # they were waited for when they were started
        return self._web_serves() if name == "web" else stack.ready_file(self._home, name).exists()

    def _web_serves(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _pause(self) -> None:
        """Wait for a moment, and start again what has died."""
        time.sleep(POLL_SECONDS)
        if self._asked_to_end:
            raise _AskedToEnd
        for child in self._children:
            self._look_after(child)

    def _look_after(self, child: _Child) -> None:
        now = time.monotonic()
        if child.again_at is None:
            code = child.process.exit_code
            if code is None:
                return
            if now - child.process.started > STEADY_SECONDS:
                child.delay = FIRST_DELAY_SECONDS
            child.again_at = now + child.delay
            self._say(f"{child.program.name} ended ({_how(code)}); starting it again, log: {child.program.log}")
        elif now >= child.again_at:
            stack.ready_file(self._home, child.program.name).unlink(missing_ok=True)
            child.process = Process(child.program)
            child.again_at = None
            child.delay = min(child.delay * 2, LONGEST_DELAY_SECONDS)
            self._write_record()

    def _write_record(self) -> None:
        write_record(self._record, [child.process for child in self._children])

    def _stop_all(self) -> None:
        """First what works, all at once; then the servers it works with."""
        servers = {"postgres", "redis", "sink"}
        stop(child.process for child in self._children if child.program.name not in servers)
        stop(child.process for child in self._children if child.program.name in servers)
        self._record.unlink(missing_ok=True)
        shutil.rmtree(self._home.run, ignore_errors=True)


def _how(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
