"""The commands of README.md, as they stand there, against a running stack."""

import csv
import json
import re
import subprocess
from pathlib import Path

import pytest

from config.home import PROJECT
from tests.stack import Stack, environment

SECONDS = 120
N_LEADS = 20_000  # in place of the 100,000 of the page


def commands() -> str:
    """The blocks for a shell of "Try it", and before them the one of "Run it" that makes a key and leads."""
    page = (PROJECT / "README.md").read_text()
    sections = {title: page.partition(f"\n## {title}\n")[2].partition("\n## ")[0] for title in ("Run it", "Try it")}
    run, tried = (re.findall(r"```sh\n(.*?)```", sections[title], flags=re.DOTALL) for title in ("Run it", "Try it"))
    [key] = [block for block in run if "KEY=" in block]
    return "\n".join([key, *tried])


@pytest.mark.stack
def test_the_commands_that_one_can_try_work(stack: Stack, tmp_path: Path) -> None:
    script = commands().replace("http://127.0.0.1:8000", stack.url).replace("/tmp/", f"{tmp_path}/")
    assert "--leads 100000" in script
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script.replace("--leads 100000", f"--leads {N_LEADS}")],
        cwd=PROJECT,
        env=environment(stack.home, PORT=str(stack.port), PUBLIC_URL=stack.url),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [told for told in answers if told.get("error") or "errors" in told] == [], "no request was refused"
    imported = next(told for told in answers if told.keys() == {"status", "rows", "problems"})
    assert imported["rows"] == {"created": 1, "updated": 0, "skipped": 0, "failed": 1}
    with (tmp_path / "all-leads.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > N_LEADS
    assert "ida@fir.example" in {row["contact_email"] for row in rows}
    assert len((tmp_path / "deals.csv").read_text().splitlines()) > 1
    assert {told["total"] for told in answers if "leads" in told and "total" in told} == {1}
