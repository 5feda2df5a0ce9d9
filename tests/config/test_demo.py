"""`manage.py demo`, as a person runs it: what it prints and how it ends."""

import fcntl
import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from config.home import PROJECT, Home
from tests.stack import environment, open_home

SECONDS = 180
N_LEADS = 300


@pytest.fixture
def home() -> Iterator[Home]:
    with open_home() as home:
        yield home


def run_demo(home: Home) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(PROJECT / "manage.py"), "demo"],
        env={**environment(home, DEMO_LEADS=str(N_LEADS)), "PORT": ""},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@pytest.mark.stack
def test_the_demo_does_what_it_shows_and_does_it_again(home: Home) -> None:
    for run in (1, 2):
        demo = run_demo(home)
        assert demo.returncode == 0, demo.stdout + demo.stderr
        counts = json.loads(demo.stdout.splitlines()[-1])
        assert counts["leads"] == N_LEADS
        assert counts["set_custom_field"]["n_succeeded"] == N_LEADS, f"run {run}"
        assert 0 < counts["set_lead_status"]["paused_at"] < counts["set_lead_status"]["n_leads"]
        assert counts["delete"]["n_succeeded"] == N_LEADS // 10 == N_LEADS - counts["leads_left"]
        assert counts["email"]["n_leads"] == counts["leads_left"]
        assert counts["email"]["n_succeeded"] > 0.9 * counts["leads_left"], "each lead has a contact with an address"
        assert counts["done_mails"] == 4
        assert demo.stdout.count("List-Unsubscribe: <http") >= 2, "some of the mails are shown"
        assert not (home.path / "processes.json").exists(), "the stack has ended"


@pytest.mark.stack
def test_the_demo_says_in_one_sentence_that_a_stack_already_runs_on_its_home(home: Home) -> None:
    with (home.path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        demo = run_demo(home)
    assert demo.returncode == 1
    assert "Traceback" not in demo.stderr
    assert f"A stack already runs on {home.path}" in demo.stderr.splitlines()[-1]
