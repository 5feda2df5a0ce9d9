"""The checks of `manage.py check`: relations of settings, the deployment, the direction of imports."""

import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from config import checks
from config.home import PROJECT, Home
from tests.stack import environment


def test_the_settings_contradict_each_other_nowhere() -> None:
    assert checks.check_relations_of_settings(None) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BULK_SLICE_SECONDS", settings.WORKER_STOP_GRACE_SECONDS),
        ("SMTP_TIMEOUT_SECONDS", settings.MAIL_IDLE_IN_TRANSACTION_SECONDS),
        ("CELERY_TASK_TIME_LIMIT", settings.LOADING_STATEMENT_TIMEOUT_SECONDS),
    ],
)
def test_a_contradiction_is_an_error(name: str, value: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, name, value)
    (error,) = checks.check_relations_of_settings(None)
    assert error.id.startswith("config.E")


def test_a_server_older_than_the_floor_is_told(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert checks.problem_with_database() is None
    monkeypatch.setattr(checks, "OLDEST_POSTGRES", 99)
    (error,) = checks.check_postgres_version(None, databases=["default"])
    assert (
        error.msg
        == f"The database server is PostgreSQL {connection.pg_version // 10_000}; 99 is the oldest that works."
    )


def test_a_deployment_behind_https_has_no_warning(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        env=environment(Home(tmp_path), PUBLIC_URL="https://drover.example"),
        cwd=PROJECT,
        capture_output=True,
        check=True,
    )


def test_imports_point_one_way() -> None:
    checked = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout
