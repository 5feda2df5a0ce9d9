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
    """The blocks of "Try it" as one script, and before them the one of "Run it" that makes a key and leads."""
    page = (PROJECT / "README.md").read_text()
    sections = {title: page.partition(f"\n## {title}\n")[2].partition("\n## ")[0] for title in ("Run it", "Try it")}
    [key] = [block for language, block in blocks(sections["Run it"]) if "KEY=" in block]
    run = {"sh": "{}", "python": "export KEY\n.venv/bin/python - <<'END'\n{}END\n"}
    return "\n".join([key, *(run[language].format(block) for language, block in blocks(sections["Try it"]))])


def blocks(section: str) -> list[tuple[str, str]]:
    return re.findall(r"```(\w+)\n(.*?)```", section, flags=re.DOTALL)


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
    refused = [told for told in answers if any(told.get(key) for key in ("error", "errors", "field-errors"))]
    assert refused == []
    imported = next(told for told in answers if told.keys() == {"status", "rows", "problems"})
    assert imported["rows"] == {"created": 1, "updated": 0, "skipped": 0, "failed": 1}
    with (tmp_path / "all-leads.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > N_LEADS
    assert "ida@fir.example" in {row["contact_email"] for row in rows}
    assert len((tmp_path / "deals.csv").read_text().splitlines()) > 1
    assert {told["total"] for told in answers if "leads" in told and "total" in told} == {1}
    assert done.stdout.splitlines()[-1] in ("created", "loading", "processing", "done"), "the client's last answer"
