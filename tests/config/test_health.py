"""What /healthz and /readyz tell of a database and a broker that are there, or are not."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from django.test import Client

from config.home import PROJECT, Home
from tests.stack import environment

ASK = """
import django; django.setup()
from django.test import Client
import sys
answer = Client().get(sys.argv[1])
print(answer.status_code, answer.content.decode())
"""
NOBODY = {"DATABASE_URL": "postgres://drover@127.0.0.1:1/drover", "REDIS_URL": "redis://127.0.0.1:1"}


def test_everything_answers(db: None) -> None:
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.parametrize(("path", "status", "told"), [("/readyz", 503, "unavailable"), ("/healthz", 200, "ok")])
def test_without_a_database_the_process_lives_and_cannot_serve(
    tmp_path: Path, path: str, status: int, told: str
) -> None:
    answer, body = ask(tmp_path, path, **NOBODY)
    assert (answer, body["status"]) == (status, told)


def test_a_load_balancer_needs_no_https_to_ask(tmp_path: Path) -> None:
    assert ask(tmp_path, "/healthz", PUBLIC_URL="https://drover.example", **NOBODY)[0] == 200


def ask(home: Path, path: str, **more: str) -> tuple[int, dict[str, str]]:
    """The answer of a process whose database and broker are elsewhere."""
    ended = subprocess.run(
        [sys.executable, "-c", ASK, path],
        env=environment(Home(home), DJANGO_SETTINGS_MODULE="config.settings", **more),
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    status, body = ended.stdout.split(" ", 1)
    return int(status), json.loads(body)
