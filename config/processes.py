"""Programs that we run as our own children: each in a session of its own, and ended without leaving a process."""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

POLL_SECONDS = 0.05


class CannotStart(Exception):
    """A part of the stack cannot start; the text is one sentence for the person at the terminal."""


@dataclass(frozen=True)
class Account:
    """The operating system's user that a program runs as."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True)
class Program:
    """What to run, as whom, and how it wants to be asked to end."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    log: Path
    folder: Path = Path("/")
    account: Account | None = None  # None: as ourselves
    stop_signal: signal.Signals = signal.SIGTERM
    grace_seconds: float = 10  # then the whole group is killed
    niceness: int = 0  # how much more than our own


class Process:
    """A running program. Its pid is also the id of its process group and session."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.started = time.monotonic()
        program.log.parent.mkdir(parents=True, exist_ok=True)
        with program.log.open("ab") as log:
            self._child = subprocess.Popen(
                program.command,
                env=dict(program.environment),
                cwd=program.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **as_account(program.account),
            )
        self.pid = self._child.pid
        if program.niceness:
            own = os.getpriority(os.PRIO_PROCESS, 0)
            os.setpriority(os.PRIO_PROCESS, self.pid, min(19, own + program.niceness))

    @property
    def exit_code(self) -> int | None:
        """None while it runs. Once it has ended, what is left of its group is killed."""
        code = self._child.poll()
        if code is not None:
            self._kill_group()
        return code

    def ask_to_end(self) -> None:
        # Only the leader: a Celery child that got the signal too would drop its task instead of finishing it.
        if self._child.poll() is None:
            self._child.send_signal(self.program.stop_signal)

    def wait_or_kill(self) -> None:
        """Wait for the grace of a program that was asked to end, then kill it with all its children."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(self.program.grace_seconds)
        self._kill_group()
        self._child.wait()

    def last_words(self, lines: int = 5) -> str:
        """The end of its log, for a person who must see why it ended."""
        with self.program.log.open("rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - 4000))
            return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


def stop(processes: Iterable[Process]) -> None:
    """End all of these at once; returns when none of them is left."""
    ending = list(processes)
    for process in ending:
        process.ask_to_end()
    for process in ending:
        process.wait_or_kill()


def as_account(account: Account | None) -> dict[str, object]:
    """The arguments of `subprocess` that make a child run as that account, with none of our groups."""
    return {} if account is None else {"user": account.uid, "group": account.gid, "extra_groups": []}


def birth(pid: int) -> str | None:
    """When the kernel started that process: pid and birth together name one process for good. None: it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        if Path("/proc/self").exists():
            return None
        shown = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
        return shown.stdout.strip() or None
    return None if fields[0] == "Z" else fields[19]


def write_record(file: Path, processes: Iterable[Process]) -> None:
    """Note what runs, so that a later start can end what a killed supervisor left behind."""
    draft = file.with_suffix(".draft")
    draft.write_text(
        json.dumps(
            {p.program.name: {"pid": p.pid, "birth": birth(p.pid), "signal": p.program.stop_signal} for p in processes}
        )
    )
    draft.replace(file)


def end_left_over(file: Path) -> list[str]:
    """End the processes in a record that still live, and tell their names. A pid given away since is let be."""
    try:
        record = json.loads(file.read_text())
    except (FileNotFoundError, ValueError):
        return []
    living = {name: e for name, e in record.items() if e["birth"] is not None and birth(e["pid"]) == e["birth"]}
    end_strangers({entry["pid"]: entry["signal"] for entry in living.values()}, grace_seconds=5)
    file.unlink()
    return list(living)


def end_strangers(signals: Mapping[int, int], *, grace_seconds: float) -> None:
    """Ask processes that are not our children to end, each by its signal; kill the groups of all after the grace."""
    births = {pid: birth(pid) for pid in signals}
    for pid, number in signals.items():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
    deadline = time.monotonic() + grace_seconds
    while any(born and birth(pid) == born for pid, born in births.items()) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    for pid in signals:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
