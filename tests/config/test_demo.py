"""`manage.py demo`, as a person runs it: what it prints and how it ends."""

import fcntl
import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from config.demo import files
from config.home import PROJECT, Home
from config.management.commands.demo import MAILS
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
    before: dict = {}
    for run in (1, 2):
        demo = run_demo(home)
        assert demo.returncode == 0, demo.stdout + demo.stderr
        counts = json.loads(demo.stdout.splitlines()[-1])
        n_leads = counts["leads"]
        assert n_leads == (N_LEADS if run == 1 else before["leads_left"])
        assert counts["set_custom_field"]["n_succeeded"] == n_leads, f"run {run}"
        assert 0 < counts["set_lead_status"]["paused_at"] < counts["set_lead_status"]["n_leads"]
        assert counts["delete"]["n_succeeded"] == n_leads // 10
        assert counts["email"]["n_leads"] == min(MAILS, n_leads - n_leads // 10)
        assert counts["email"]["n_succeeded"] > 0.9 * counts["email"]["n_leads"], "most contacts have an address"
        rows, imported = files.ROWS, counts["import"]
        assert imported["failed"] == rows // files.BAD_EVERY
        assert imported["skipped"] == 0
        if run == 1:
            assert imported["updated"] == rows // files.AGAIN_EVERY
        assert counts["leads_left"] == n_leads - n_leads // 10 + imported["created"] == counts["export"]["rows"]
        assert f"{imported['failed']} x bad_email" in demo.stdout
        assert len((home.path / "demo" / "leads.csv").read_text().splitlines()) == rows + 1
        assert counts["done_mails"] == 6
        assert demo.stdout.count("List-Unsubscribe: <http") >= 2, "some of the mails are shown"
        assert not (home.path / "processes.json").exists(), "the stack has ended"
        before = counts


@pytest.mark.stack
def test_the_demo_says_in_one_sentence_that_a_stack_already_runs_on_its_home(home: Home) -> None:
    with (home.path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        demo = run_demo(home)
    assert demo.returncode == 1
    assert "Traceback" not in demo.stderr
    assert f"A stack already runs on {home.path}" in demo.stderr.splitlines()[-1]
