"""What the benchmark found, for a person (ratios first) and for a script (JSON)."""

import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Bar:
    """One measured value against what it must reach (docs/architecture.md); None: for information."""

    what: str
    measured: float
    bar: float | None
    unit: str = "x"
    at_least: bool = False

    @property
    def reached(self) -> bool | None:
        if self.bar is None:
            return None
        return self.measured >= self.bar if self.at_least else self.measured <= self.bar


@dataclass
class Measurement:
    """All repeats of one work at one size, in seconds; the task's are extrapolated from `task_leads` leads."""

    work: str
    n_leads: int
    engine: list[float] = field(default_factory=list)
    statement: list[float] = field(default_factory=list)
    chunks: list[float] = field(default_factory=list)
    loading: list[float] = field(default_factory=list)
    selection: list[float] = field(default_factory=list)
    task: float = 0.0
    task_leads: int = 0
    peak_mb: float = 0.0


BAR_LEADS = 1_000_000  # the bars against raw SQL are set for this size; a small job also waits for its doorbell
BAR_OF_WORK = {"edit of the status": 1.3, "edit of a custom field": 1.3, "delete": 1.5}


def bars(
    measurements: list[Measurement], *, accept: list[float], pause: list[float], small_peak_mb: float
) -> list[Bar]:
    """Every measured ratio with its bar, in the order of the list in docs/architecture.md."""
    found = []
    for each in measurements:
        what = f"{each.work}, {each.n_leads:,} leads"
        engine = median(each.engine)
        bar = BAR_OF_WORK[each.work] if each.n_leads >= BAR_LEADS else None
        found.append(Bar(f"{what}: against one statement", engine / median(each.statement), bar))
        found.append(Bar(f"{what}: against chunks in two processes", engine / median(each.chunks), None))
        found.append(Bar(f"{what}: faster than a task with save()", each.task / engine, 30, at_least=True))
    for each in measurements:
        if each.selection:
            ratio = median(each.loading) / median(each.selection)
            found.append(
                Bar(
                    f"loading {each.n_leads:,} targets: against the bare selection",
                    ratio,
                    2 if each.n_leads >= BAR_LEADS else None,
                )
            )
    largest = max(measurements, key=lambda each: each.n_leads).n_leads
    grown = max(each.peak_mb for each in measurements if each.n_leads == largest) - small_peak_mb
    found.append(Bar(f"worker memory: peak at {largest:,} less peak at the smallest size", grown, 20, unit="MB"))
    found.append(Bar(f"POST accepted, median of {len(accept)}", median(accept) * 1000, 50, unit="ms"))
    if pause:  # none where the job was over before it could be paused
        found.append(Bar(f"pause returned, slowest of {len(pause)}", max(pause) * 1000, 1000, unit="ms"))
    return found


def show(found: list[Bar], measurements: list[Measurement]) -> None:
    """Print both tables to stdout."""
    console = Console(width=118, highlight=False)
    ratios = Table(title="Against the bars")
    for name, justify in (("", "left"), ("measured", "right"), ("bar", "right"), ("", "left")):
        ratios.add_column(name, justify=justify)
    for bar in found:
        limit = f"{'at least' if bar.at_least else 'at most'} {bar.bar:g} {bar.unit}" if bar.bar else ""
        verdict = {True: "reached", False: "[bold]MISSED[/bold]", None: ""}[bar.reached]
        ratios.add_row(bar.what, f"{bar.measured:,.2f} {bar.unit}", limit, verdict)
    console.print(ratios)
    seconds = Table(title="Seconds (median of the repeats), and the peak memory of the largest bulk worker")
    for name in ("work", "leads", "engine", "leads/s", "one statement", "chunks", "task, extrapolated", "peak MB"):
        seconds.add_column(name, justify="left" if name == "work" else "right")
    for each in measurements:
        engine = median(each.engine)
        seconds.add_row(
            each.work,
            f"{each.n_leads:,}",
            f"{engine:.2f}",
            f"{each.n_leads / engine:,.0f}",
            f"{median(each.statement):.2f}",
            f"{median(each.chunks):.2f}",
            f"{each.task:,.1f} (from {each.task_leads:,})",
            f"{each.peak_mb:.0f}",
        )
    console.print(seconds)


def save(found: list[Bar], measurements: list[Measurement], **rest: object) -> Path:
    """Write everything measured to a new file in `bench/results` and return its path."""
    RESULTS.mkdir(exist_ok=True)
    now = datetime.now(UTC)
    revision = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False, cwd=RESULTS
    ).stdout.strip()
    file = RESULTS / f"{now:%Y-%m-%dT%H%M%SZ}.json"
    content = {
        "date": now.isoformat(timespec="seconds"),
        "revision": revision,
        "machine": {"processors": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()},
        "bars": [{**asdict(bar), "reached": bar.reached} for bar in found],
        "measurements": [asdict(each) for each in measurements],
        **rest,
    }
    file.write_text(json.dumps(content, indent=1) + "\n")
    return file
