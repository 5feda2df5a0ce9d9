"""The machine that numbers were measured on, and how busy it was."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import psutil
import psycopg

from bench.findings import Machine
from config.home import PROJECT


def load_now() -> float:
    return os.getloadavg()[0]


def describe(connection: psycopg.Connection, *, load: float) -> Machine:
    """This machine, the server behind the connection, and the time of now; `load` as it was before the run."""
    revision = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False, cwd=PROJECT
    )
    return Machine(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        revision=revision.stdout.strip(),
        processor=_processor(),
        n_processors=os.cpu_count() or 0,
        memory_gib=round(psutil.virtual_memory().total / 2**30),
        system=_system(),
        python=platform.python_version(),
        postgres=connection.execute("SHOW server_version").fetchone()[0],
        load=round(load, 2),
    )


def _processor() -> str:
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.system()
