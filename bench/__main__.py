"""`python -m bench [--leads N ...] [--repeats N] [--quick]`: measure the engine against its peers.

Starts a stack of its own in a temporary home; with `DATABASE_URL` it works in that database, which must be empty.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from bench import engine, floors, report
from bench.memory import WorkerMemory
from bench.work import Work, works
from bench.world import NotOurs, World, make_world
from config.demo.errors import DemoFailed
from config.demo.stack import free_port, running_stack
from config.home import Home

SIZES = [100_000, 1_000_000]
QUICK_SIZES = [20_000]
SMALL = 10_000  # leads of the run that the memory of the largest one is compared with
TASK_LEADS, QUICK_TASK_LEADS = (
    5_000,
    500,
)  # what the task with save() gets; its time per lead does not depend on the number
PAUSES, POSTS = 5, 30

progress = Console(stderr=True, highlight=False, soft_wrap=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--leads", type=int, nargs="+", help=f"sizes to measure (default: {SIZES})")
    parser.add_argument("--repeats", type=int, help="of each measurement; the median counts (default: 3)")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_SIZES[0]:,} leads, once: to see that it works")
    options = parser.parse_args()
    sizes = sorted(options.leads or (QUICK_SIZES if options.quick else SIZES))
    repeats = options.repeats or (1 if options.quick else 3)
    task_leads = min(QUICK_TASK_LEADS if options.quick else TASK_LEADS, sizes[0])
    try:
        with _stack(max(sizes)) as (world, database_url):
            _measure(world, database_url, sizes, repeats, task_leads)
    except (DemoFailed, NotOurs, engine.JobFailed) as problem:
        print(f"The benchmark failed: {problem}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


@contextmanager
def _stack(n_leads: int) -> Iterator[tuple[World, str]]:
    with tempfile.TemporaryDirectory(prefix="drover-bench-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)  # under root, PostgreSQL runs as another user and must be able to come here
        os.environ.update(DROVER_HOME=folder, PORT=str(free_port()))
        home = Home.from_environment()
        database_url = os.environ.get("DATABASE_URL") or home.database_url()
        environment = dict(os.environ)
        try:
            with running_stack(Path(folder) / "stack.log", environment) as stack:
                progress.print(f"the stack is ready at {stack.url}; making {n_leads:,} leads")
                world = make_world(database_url, stack.url, environment, n_leads)
                with world.connection:
                    yield world, database_url
        finally:
            shutil.rmtree(home.run, ignore_errors=True)  # its sockets lie outside the home


def _measure(world: World, database_url: str, sizes: list[int], repeats: int, task_leads: int) -> None:
    kinds = works(old_status=world.old_status, new_status=world.new_status, field=world.field)
    small_peak_mb = _small_peak(world, kinds, min(SMALL, sizes[0]))
    task_seconds = _task_seconds(world, kinds, task_leads)
    measurements = [
        _compare(
            world,
            work,
            database_url,
            repeats,
            report.Measurement(work.name, n_leads, task=task_seconds[work.name] * n_leads, task_leads=task_leads),
        )
        for n_leads in sizes
        for work in kinds
    ]
    world.restore(sizes[-1])
    progress.print("accepting and pausing")
    accept = engine.accept_seconds(world, kinds[0], POSTS)
    world.restore(sizes[-1])
    pause = engine.pause_seconds(world, kinds[0], PAUSES)
    found = report.bars(measurements, accept=accept, pause=pause, small_peak_mb=small_peak_mb)
    searches = _searches(world, sizes[-1], found)
    report.show(found, measurements)
    file = report.save(found, measurements, accept=accept, pause=pause, small_peak_mb=small_peak_mb, searches=searches)
    progress.print(f"all numbers: {file}")


def _searches(world: World, n_leads: int, found: list[report.Bar]) -> list[dict[str, object]]:
    """Adds to `found`. Last of all, since it leaves other leads behind."""
    from bench import search

    progress.print(f"making {n_leads:,} leads with all that hangs on them")
    search.fill(world, n_leads)
    progress.print("searching")
    searches = search.timed(world)
    found += search.bars(searches, search.loading(world), n_leads)
    return [asdict(each) for each in searches]


def _small_peak(world: World, kinds: list[Work], n_leads: int) -> float:
    """The workers' peak memory when every kind has run once on few leads; this also warms everything up."""
    with WorkerMemory() as memory:
        for work in kinds:
            world.restore(n_leads)
            engine.run(world, work, n_leads)
    return memory.peak_mb


def _task_seconds(world: World, kinds: list[Work], n_leads: int) -> dict[str, float]:
    """Seconds per lead of the task with save(), by the name of the work."""
    import django

    django.setup()  # not before the environment names the database
    from bench import peers

    seconds = {}
    for work in kinds:
        progress.print(f"{work.name}: a task that saves {n_leads:,} leads")
        world.restore(n_leads)
        seconds[work.name] = peers.seconds_per_lead(work.name, world.parameters, n_leads)
    return seconds


def _compare(
    world: World, work: Work, database_url: str, repeats: int, found: report.Measurement
) -> report.Measurement:
    """Repeat engine, one statement and chunks in turn, each on leads that nobody has touched; fills in `found`."""
    n_leads = found.n_leads
    for number in range(repeats):
        world.restore(n_leads)
        if work.writes_activity:  # the one with a filter beyond the organization stands for loading
            found.selection.append(floors.bare_selection(world, work))
        with WorkerMemory() as memory:
            run = engine.run(world, work, n_leads)
        found.engine.append(run.total)
        found.peak_mb = max(found.peak_mb, memory.peak_mb)
        if work.writes_activity:
            found.loading.append(run.loading)
        world.restore(n_leads)
        found.statement.append(floors.single_statement(world, work))
        world.restore(n_leads)
        found.chunks.append(floors.chunks(world, work, database_url))
        if floors.n_changed_by_chunks(world) != n_leads:
            raise engine.JobFailed("The chunked floor did not change every lead.")
        progress.print(
            f"{work.name}, {n_leads:,} leads, {number + 1} of {repeats}: engine {found.engine[-1]:.2f} s,"
            f" one statement {found.statement[-1]:.2f} s, chunks {found.chunks[-1]:.2f} s"
        )
    return found


if __name__ == "__main__":
    sys.exit(main())
