"""What the benchmark found, for a person at the terminal: ratios first."""

from statistics import median

from rich.console import Console
from rich.table import Table

from bench.bars import of_files, of_jobs, of_searches
from bench.findings import Findings


def show(found: Findings) -> None:
    """Print both tables to stdout."""
    console = Console(width=118, highlight=False)
    ratios = Table(title=f"Against the bars, {found.largest:,} leads")
    for name, justify in (("", "left"), ("measured", "right"), ("bar", "right"), ("", "left")):
        ratios.add_column(name, justify=justify)
    for bar in [*of_jobs(found), *of_searches(found), *(of_files(found.files) if found.files else [])]:
        limit = f"{'at least' if bar.at_least else 'at most'} {bar.bar:,g} {bar.unit}" if bar.bar else ""
        verdict = {True: "reached", False: "[bold]MISSED[/bold]", None: ""}[bar.reached]
        ratios.add_row(bar.what, f"{bar.measured:,.2f} {bar.unit}", limit, verdict)
    console.print(ratios)
    seconds = Table(title="Seconds (medians), and the peak memory of the largest bulk worker")
    for name in ("work", "leads", "2 workers", "us a lead", "1 worker", "one statement", "undo", "peak MB"):
        seconds.add_column(name, justify="left" if name == "work" else "right")
    for each in found.measurements:
        engine = median(each.engine)
        seconds.add_row(
            each.work,
            f"{each.n_leads:,}",
            f"{engine:.2f}",
            f"{engine / each.n_leads * 1e6:.1f}",
            f"{median(each.engine_alone):.2f}",
            f"{median(each.statement):.2f}",
            f"{median(each.undo):.2f}" if each.undo else "",
            f"{each.peak_mb:.0f}",
        )
    console.print(seconds)
    console.print(f"{found.minutes} minutes in all, load {found.machine.load} before.")
