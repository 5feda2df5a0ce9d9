"""The programs that make the service: web, workers, beat. The servers that they need are in `config.embedded`."""

import hashlib
import os
import sys
from pathlib import Path

from django.conf import settings

from config.home import PROJECT, Home
from config.processes import Program

WEB_PROCESSES = 2
WEB_THREADS = 4
# Jobs take all the processors they get; answers to people and mail that is due go first. On two busy processors a bulk
# email leaves an eighth sooner so: its delivery, one after the other, does not wait for those that render further mail.
_BULK_NICENESS = 10
MANAGE = (sys.executable, str(PROJECT / "manage.py"))


def ready_file(home: Home, name: str) -> Path:
    """Exists once the worker or beat of that name serves (`config.celery.tell_supervisor`)."""
    return home.path / "ready" / name


def services(home: Home, port: int, workers: int) -> list[Program]:
    """Everything that is ours: web, `workers` bulk workers, one worker each for files, mail and control, beat."""
    return [
        _web(home, port),
        *(_worker(home, f"worker-{number}", role="worker", queue="bulk") for number in range(1, workers + 1)),
        # Threads have no time limit, and share the processor fairly however long a file takes.
        _worker(home, "files", role="files", queue="files", threads=settings.EXPORT_WRITERS),
        _worker(home, "mail", role="mail", queue="mail"),
        _worker(home, "control", role="control", queue="control"),
        _beat(home),
    ]


def one_off(home: Home, *arguments: str) -> Program:
    """A command of manage.py that runs to its end."""
    name = arguments[0]
    return Program(name, (*MANAGE, *arguments), _environment(home, "command", name), _log(home, name), folder=PROJECT)


def _web(home: Home, port: int) -> Program:
    return Program(
        name="web",
        command=(
            *(sys.executable, "-m", "gunicorn", "config.wsgi:application"),
            *("--bind", f"127.0.0.1:{port}"),
            *("--worker-class", "gthread", "--workers", str(WEB_PROCESSES), "--threads", str(WEB_THREADS)),
            *("--timeout", "120", "--graceful-timeout", "10", "--no-control-socket"),
        ),
        environment=_environment(home, "web", "web"),
        log=_log(home, "web"),
        folder=PROJECT,
        grace_seconds=15,
    )


def _worker(home: Home, name: str, *, role: str, queue: str, threads: int | None = None) -> Program:
    """One that does one thing at a time, in a process of its own, or as many as it has `threads`."""
    # Stacks may share a Redis: the node name tells their workers apart.
    stack = hashlib.sha256(str(home.path).encode()).hexdigest()[:8]
    return Program(
        name=name,
        command=(
            *(sys.executable, "-m", "celery", "-A", "config", "worker"),
            *("-Q", queue, "--concurrency", str(threads or 1), "-n", f"{name}-{stack}@%h"),
            *(("--pool", "threads") if threads else ()),
            *("--without-gossip", "--without-mingle", "--loglevel", "INFO"),
        ),
        environment=_environment(home, role, name),
        log=_log(home, name),
        folder=PROJECT,
        grace_seconds=settings.WORKER_STOP_GRACE_SECONDS,
        niceness=_BULK_NICENESS if role == "worker" else 0,
    )


def _beat(home: Home) -> Program:
    return Program(
        name="beat",
        command=(
            *(sys.executable, "-m", "celery", "-A", "config", "beat"),
            *("--schedule", str(home.path / "beat-schedule"), "--loglevel", "INFO"),
        ),
        environment=_environment(home, "beat", "beat"),
        log=_log(home, "beat"),
        folder=PROJECT,
    )


def _environment(home: Home, role: str, name: str) -> dict[str, str]:
    return {
        **os.environ,
        "DROVER_HOME": str(home.path),
        "DROVER_ROLE": role,
        "DROVER_READY_FILE": str(ready_file(home, name)),
        "PYTHONUNBUFFERED": "1",
    }


def _log(home: Home, name: str) -> Path:
    return home.path / "logs" / f"{name}.log"
