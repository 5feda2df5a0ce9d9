"""The lock file installs, with hashes, under every Python that the README names."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from config.home import PROJECT

DEBIAN = Path("/usr/bin/python3")


def is_new_enough(python: Path) -> bool:
    check = "import sys; sys.exit(sys.version_info < (3, 11))"
    return python.exists() and subprocess.run([python, "-c", check], check=False).returncode == 0


@pytest.mark.stack
@pytest.mark.parametrize("python", [Path(sys.executable), DEBIAN], ids=["ours", "debian"])
def test_the_lock_file_installs(python: Path, tmp_path: Path) -> None:
    if not is_new_enough(python):
        pytest.skip(f"{python} is not here, or older than 3.11")
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--disable-pip-version-check"),
            *("--require-hashes", "--target", tmp_path, "-r", PROJECT / "requirements.txt"),
        ],
        check=True,
        stdin=subprocess.DEVNULL,
        timeout=600,
    )
    imports = "import aiosmtpd, celery, closeio_api, django, psycopg, redis, structlog; print(django.__file__)"
    done = subprocess.run(
        [python, "-c", imports],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(str(tmp_path))
