"""`python -m bench.files [--repeats N] [--quick] [--write-docs]`: how fast files are imported and exported, alone.

From the POST to the status `done`, with one bulk worker: a CSV of leads with a contact each, read, checked, staged,
looked for by address and number, merged, with a result and a way back for every row. Against it COPY of the same into
the same tables, and `django-import-export`. Then exports, the streams of BlueAI and the bulk calls of gomega.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import requests

from bench import docs, engine, file_peers, file_rows, machine, tables
from bench.engine import JobFailed
from bench.findings import Filing
from bench.memory import Memory
from bench.stack import temporary_home, world_with
from bench.world import EMAIL, ORGANIZATION, NotOurs, World
from config.demo.api import Json, key_of
from config.demo.errors import DemoFailed
from config.demo.stack import manage
from config.home import Home

ROWS, FEW = 1_000_000, 100_000
QUICK_ROWS, QUICK_FEW = 3_000, 1_000
REPEATS = 3
CALL_ROWS, CALLS = 500, 3  # of gomega: few calls, since a key may only make so many in a minute
_PIECE = 1 << 16  # bytes of a stream that are read at once
_PATIENCE_SECONDS = 300


def measure(home: Home, n_rows: int, n_few: int, repeats: int) -> Filing:
    """In a stack of its own. What leads there are it replaces."""
    found = Filing(
        n_rows=n_rows, n_few=n_few, date=datetime.now(UTC).date().isoformat(), load=machine.load_now(), imported=[],
        reading=[], again=[], raw_in=[], exported=[], raw_out=[], imported_few=[], exported_few=[], streamed=[],
        first_byte=[], merged=[], merged_again=[], worker_few_mb=0, worker_mb=0, files_few_mb=0, files_mb=0,
        web_idle_mb=0, web_mb=0,
    )  # fmt: skip
    peaks: dict[str, float] = {}
    file, few = (home.path / name for name in ("bench.csv", "bench-few.csv"))
    file_rows.write_csv(file, n_rows)
    file_rows.write_csv(few, n_few)
    with world_with(home, workers=1) as world:
        file_rows.empty(world)
        _import(world, few, n_few)  # the first one waits for what a worker imports
        for _ in range(repeats):
            file_rows.empty(world)
            found.imported_few.append(_watched(peaks, "worker_few_mb", "worker", _import, world, few, n_few)[0])
            file_rows.settle(world)
            found.exported_few.append(_watched(peaks, "files_few_mb", "files", _export, world, "jsonl", n_few))
        peer = file_peers.measure(world, few, n_few, repeats) if file_peers.is_there() else None
        for _ in range(repeats):
            _large(world, file, n_rows, found, peaks)
        with Memory("web") as idle:
            time.sleep(1.0)
        _stream(world, n_rows, found, peaks, repeats)
        _calls(world, found)
    return Filing(**{**vars(found), **peaks, "web_idle_mb": idle.peak_mb, "peer": peer})


def _large(world: World, file: Path, n_rows: int, found: Filing, peaks: dict[str, float]) -> None:
    """COPY in, the import, the same once more, and both ways out."""
    file_rows.empty(world)
    found.raw_in.append(file_rows.raw_in(world, n_rows))
    file_rows.empty(world)
    total, reading = _watched(peaks, "worker_mb", "worker", _import, world, file, n_rows)
    found.imported.append(total)
    found.reading.append(reading)
    file_rows.settle(world)
    found.exported.append(_watched(peaks, "files_mb", "files", _export, world, "csv", n_rows))
    found.raw_out.append(file_rows.raw_out(world))
    found.again.append(_import(world, file, n_rows, n_changed=0)[0])
    file_rows.settle(world)


def _watched(peaks: dict[str, float], name: str, role: str, run: Callable, *arguments: object) -> object:
    """What `run` gives; `peaks` has the peak memory of the processes of that role meanwhile."""
    with Memory(role) as memory:
        done = run(*arguments)
    peaks[name] = max(peaks.get(name, 0.0), memory.peak_mb)
    return done


def _import(world: World, file: Path, n_rows: int, *, n_changed: int | None = None) -> tuple[float, float]:
    """Seconds of all, and until the first row was merged. Raises `JobFailed` unless as many rows changed something."""
    began = time.monotonic()
    with file.open("rb") as content:
        fields = {"send_done_email": "false"}
        job = _posted(world, "bulk_action/import/", data=fields, files={"file": (file.name, content, "text/csv")})
    path = f"bulk_action/import/{job['id']}"
    seen = engine.wait_for_end(world, key_of(job["id"]), path)
    ended = time.monotonic()
    final = world.crm.call("get", path)
    wanted = n_rows if n_changed is None else n_changed
    if final["status"] != "done" or final["n_succeeded"] != wanted or final["n_leads"] != n_rows:
        raise JobFailed(f"{path} ended as {final['status']} with {final['n_succeeded']} of {wanted} rows changed.")
    return ended - began, seen.get("processing", ended) - began


def _export(world: World, format: str, n_rows: int) -> float:
    """Seconds until the file is there, compressed. Raises `JobFailed` unless it has a row for each lead."""
    began = time.monotonic()
    job = _posted(world, "export/lead/", json={"type": "leads", "format": format, "send_done_email": False})
    path = f"export/{job['id']}"
    engine.wait_for_end(world, key_of(job["id"]), path)
    seconds = time.monotonic() - began
    final = world.crm.call("get", path)
    if final["status"] != "done" or final["n_docs"] != n_rows:
        raise JobFailed(f"{path} ended as {final['status']} with {final['n_docs']} of {n_rows} rows.")
    return seconds


def _posted(world: World, path: str, **request: object) -> Json:
    answer = requests.post(
        f"{world.api_url}/api/v1/{path}", auth=(world.secret, ""), timeout=_PATIENCE_SECONDS, **request
    )
    if not answer.ok:
        raise JobFailed(f"POST {path} was refused with {answer.status_code}: {answer.text[:300]}")
    return answer.json()


def _stream(world: World, n_rows: int, found: Filing, peaks: dict[str, float], repeats: int) -> None:
    [secret] = _key(world, "blueai")
    for _ in range(repeats):
        took = _watched(peaks, "web_mb", "web", _streamed, world, secret, n_rows)
        found.first_byte.append(took[0])
        found.streamed.append(took[1])


def _streamed(world: World, secret: str, n_rows: int) -> tuple[float, float]:
    """Seconds to the first byte of all contacts as CSV, and to the last. Raises `JobFailed` when a line is missing."""
    began, first, n_lines = time.monotonic(), 0.0, 0
    with requests.get(
        f"{world.api_url}/api/v1/crm/bulk/contacts/export/", headers={"Authorization": f"Bearer {secret}"},
        stream=True, timeout=_PATIENCE_SECONDS,
    ) as answer:  # fmt: skip
        for piece in answer.iter_content(_PIECE):
            first = first or time.monotonic() - began
            n_lines += piece.count(b"\r\n")
    if n_lines != n_rows + 1:
        raise JobFailed(f"The stream of {n_rows} contacts had {n_lines} lines.")
    return first, time.monotonic() - began


def _calls(world: World, found: Filing) -> None:
    """Bulk calls of gomega: with new leads, then with the same, beside all that there are."""
    secret, customer = _key(world, "gomega")
    for number in range(CALLS):
        body = {
            "leads": [
                {
                    "contact_name": f"Fir {number} {i}",
                    "contact_email": f"fir{i}@call{number}.example",
                    "contact_phone": f"+1556{number}{i:06d}",
                }
                for i in range(CALL_ROWS)
            ]
        }
        for seconds, outcome in ((found.merged, "created"), (found.merged_again, "updated")):
            began = time.monotonic()
            answer = requests.post(
                f"{world.api_url}/api/agents/crm/leads/bulk", json=body, timeout=_PATIENCE_SECONDS,
                headers={"Authorization": f"Bearer {secret}", "x-customer-id": customer},
            )  # fmt: skip
            seconds.append(time.monotonic() - began)
            if not answer.ok or answer.json()["summary"][outcome] != CALL_ROWS:
                raise JobFailed(f"A bulk call answered {answer.status_code}: {answer.text[:300]}")


def _key(world: World, dialect: str) -> list[str]:
    """What a script of the dialect has to know: the secret of a new key and, of gomega, the customer's id."""
    told = manage(
        "create_api_key", "--organization", ORGANIZATION, "--email", EMAIL, "--dialect", dialect,
        environment=dict(os.environ),
    )  # fmt: skip
    return told.split()[-2:] if dialect == "gomega" else told.split()[-1:]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.files", description=__doc__)
    parser.add_argument("--repeats", type=int, help=f"of each measurement; the median counts (default: {REPEATS})")
    parser.add_argument("--quick", action="store_true", help="few rows, once: to see that it works")
    parser.add_argument("--write-docs", action="store_true", help="write the rows into docs/performance.md")
    options = parser.parse_args()
    import django

    try:
        with temporary_home() as home:
            django.setup()  # not before the environment names the database
            sizes, repeats = ((QUICK_ROWS, QUICK_FEW), 1) if options.quick else ((ROWS, FEW), REPEATS)
            found = measure(home, *sizes, options.repeats or repeats)
    except (DemoFailed, NotOurs, JobFailed) as problem:
        print(f"The benchmark failed: {problem}", file=sys.stderr)  # noqa: T201
        return 1
    print(tables.files(found))  # noqa: T201
    if options.write_docs:
        docs.write_sections({"files": tables.files(found)})
    return 0


if __name__ == "__main__":
    sys.exit(main())
