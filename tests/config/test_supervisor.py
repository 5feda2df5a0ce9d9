"""The stack in the foreground: real processes, killed and ended in every way a person or a machine would."""

import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest
import redis

from config.home import PROJECT, Home
from tests.stack import Stack, environment, open_home, wait_until

pytestmark = pytest.mark.stack


def test_the_stack_serves_once_it_says_ready(stack: Stack) -> None:
    status, body = stack.get("/readyz")
    assert (status, json.loads(body)) == (200, {"status": "ok", "database": "ok", "broker": "ok"})
    assert stack.get("/healthz")[0] == 200


def test_an_admin_is_printed_with_the_password_that_lies_in_the_home(stack: Stack) -> None:
    assert f"admin@drover.localhost {stack.home.secret('admin_password')}" in stack.said()


@pytest.mark.parametrize("name", ["worker-1", "web", "beat", "control", "files", "mail", "sink", "redis", "postgres"])
def test_a_killed_child_comes_back(stack: Stack, name: str) -> None:
    stack.kill(name)
    wait_until(lambda: _is_well(stack), seconds=60, what="ready again")


def _is_well(stack: Stack) -> bool:
    try:
        return json.loads(stack.get("/readyz")[1])["status"] == "ok"
    except (OSError, http.client.HTTPException):
        return False


def test_web_and_mail_go_before_bulk_work(stack: Stack) -> None:
    own = psutil.Process().nice()
    niceness = {
        name: psutil.Process(stack.pid_of(name)).nice() - own for name in ("web", "mail", "worker-1", "control")
    }
    assert niceness == {"web": 0, "mail": 0, "worker-1": 10, "control": 0}


def test_a_missing_broker_is_told_as_degraded(stack: Stack) -> None:
    broker = stack.pid_of("redis")
    assert broker is not None
    os.kill(broker, signal.SIGSTOP)
    try:
        status, body = stack.get("/readyz")
    finally:
        os.kill(broker, signal.SIGCONT)
    assert (status, json.loads(body)["status"]) == (200, "degraded")


def test_redis_keeps_every_key_and_writes_it_down(stack: Stack) -> None:
    with redis.Redis(unix_socket_path=str(stack.home.redis_socket)) as client:
        assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
        assert client.config_get("appendonly")["appendonly"] == "yes"


def test_a_second_stack_on_the_same_home_is_refused_in_one_sentence(stack: Stack) -> None:
    assert _up_fails(stack.home, PORT="1").startswith("A stack already runs on ")


def test_a_taken_port_is_told_in_one_sentence(stack: Stack) -> None:
    with open_home() as other:
        assert _up_fails(other, PORT=str(stack.port)) == (
            f"Port {stack.port} cannot be had (Address already in use): set PORT to another."
        )


def test_a_database_that_does_not_answer_is_told_in_one_sentence() -> None:
    with open_home() as home:
        said = _up_fails(home, DATABASE_URL="postgres://drover@127.0.0.1:1/drover")
    assert said.startswith("The database does not answer: ")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_everything_beside_another_stack(stack: Stack, how: signal.Signals) -> None:
    with open_home() as home, Stack(home, workers=1) as other:
        assert other.get("/readyz")[0] == stack.get("/readyz")[0] == 200
        everything = other.processes()
        assert len(everything) > 10
        assert other.stop(how) == 0
        assert _left(everything) == []
        assert not home.run.exists()
    assert stack.get("/readyz")[0] == 200


def test_what_a_killed_supervisor_left_is_ended_by_the_next_start() -> None:
    with open_home() as home:
        first = Stack(home, workers=1)
        first.start()
        first.wait_until_ready()
        left = first.processes()
        first.stop(signal.SIGKILL)
        assert any(process.is_running() for process in left[1:])
        second = Stack(home, workers=1)
        second.output = home.path / "up-again.log"
        with second:
            assert _left(left) == []
            assert "ended what a killed stack had left: " in second.said()
            everything = second.processes()
        assert _left(everything) == []


def test_a_home_that_the_servers_account_cannot_enter_is_left_as_it_is_and_the_data_put_elsewhere() -> None:
    if os.getuid() != 0:
        pytest.skip("the database server runs as ourselves, who may enter our folders")
    with tempfile.TemporaryDirectory() as closed:  # mode 0700
        home_folder = Path(closed) / "home"
        home = Home(home_folder)
        home_folder.mkdir()
        stack = Stack(home, workers=1)
        with stack:
            (line,) = [line for line in stack.said().splitlines() if line.startswith("The data lies in ")]
            elsewhere = Path(line.removeprefix("The data lies in ").split(":")[0])
            assert (elsewhere / "PG_VERSION").exists()
            assert not (home_folder / "postgres").exists()
        assert Path(closed).stat().st_mode & 0o777 == 0o700
        subprocess.run(["rm", "-r", str(elsewhere.parent)], check=True)


def _up_fails(home: Home, **more: str) -> str:
    ended = subprocess.run(
        [sys.executable, str(PROJECT / "manage.py"), "up"],
        env=environment(home, **more),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    return ended.stderr.strip()


def _left(processes: list[psutil.Process]) -> list[psutil.Process]:
    return psutil.wait_procs(processes, timeout=5)[1]
