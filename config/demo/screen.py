"""What the demo shows: titles, live progress bars, and plain lines where stdout is no terminal."""

import time
from collections.abc import Mapping

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from config.demo.api import with_counts

PLAIN_LINE_SECONDS = 1.0


class Screen:
    """Stdout, as a person or as a log wants it."""

    def __init__(self) -> None:
        self.console = Console(highlight=False, soft_wrap=True)

    def title(self, text: str) -> None:
        self.console.print(f"\n[bold]{text}[/bold]")

    def say(self, text: str) -> None:
        self.console.print(text, markup=False)

    def progress(self, label: str, unit: str = "leads") -> "JobProgress":
        return JobProgress(self, label, unit)


class JobProgress:
    """The progress of one job: a bar that moves on a terminal, at most a line a second elsewhere. A context manager."""

    def __init__(self, screen: Screen, label: str, unit: str) -> None:
        self._screen = screen
        self._unit = unit
        self._label = label
        self._shown_at = 0.0
        self._shown = ""
        self._bar = Progress(
            TextColumn("  {task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rest]}"),
            console=screen.console,
            expand=True,  # the bar gives way to the numbers on a narrow terminal
            disable=not screen.console.is_terminal,
        )
        self._task = self._bar.add_task(label, total=None, rest="")

    def __enter__(self) -> "JobProgress":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, job: Mapping[str, object]) -> None:
        """Show a job as the API answered it."""
        job = with_counts(job)
        done, total = job["n_leads_processed"], job["n_leads"]
        rate, eta = job.get("leads_per_second"), job.get("eta_seconds")
        rest = str(job["status"])
        if job["status"] == "processing":
            rest += f" {rate:,.0f} {self._unit}/s" if rate else ""
            rest += f", {eta:,.0f} s left" if eta else ""
        self._bar.update(self._task, total=total, completed=done, rest=rest)
        if not self._screen.console.is_terminal:
            of = "?" if total is None else f"{total:,}"
            self._line(f"  {self._label}  {done:,} / {of}  {rest}", str(job["status"]))

    def say(self, text: str) -> None:
        """A line above the bar."""
        self._bar.console.print(f"  {text}", markup=False)

    def _line(self, text: str, status: str) -> None:
        now = time.monotonic()
        if status != self._shown or now - self._shown_at >= PLAIN_LINE_SECONDS:
            self._screen.say(text)
            self._shown, self._shown_at = status, now
