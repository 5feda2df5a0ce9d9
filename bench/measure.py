"""The course of one run: what is measured on which leads, in which order."""

import statistics
import time
from dataclasses import dataclass

from rich.console import Console

from bench import calls, engine, files, floors, index_costs, machine, mails, peer_workers, search
from bench.findings import Calls, Findings, Measurement, Peer
from bench.memory import Memory
from bench.stack import world_with
from bench.work import Work
from bench.world import World, fill_reserve
from config.home import Home

WORKERS = 2
PAUSES, POSTS = 5, 30
TEXT_LEADS = 100_000  # at most for the work that has the words of each lead read anew: ten times slower, as its floor

progress = Console(stderr=True, highlight=False, soft_wrap=True)


@dataclass(frozen=True)
class Plan:
    """How much is measured. `peer_leads`: what the peers get; their time for a lead does not depend on the number."""

    sizes: list[int]
    repeats: int
    peer_leads: int
    index_leads: int
    mails: int
    file_rows: int
    few_file_rows: int


def measure(home: Home, plan: Plan) -> Findings:
    """Everything. First mails and files, then the jobs of one worker process, each in a stack of their own."""
    import django

    load, began = machine.load_now(), time.monotonic()
    django.setup()  # not before the environment names the database
    found: dict[tuple[str, int], Measurement] = {}
    progress.print(f"sending {plan.mails:,} mails")
    mailed = mails.measure(home, plan.mails, plan.repeats)
    progress.print(f"importing and exporting {plan.file_rows:,} rows")
    filed = files.measure(home, plan.file_rows, plan.few_file_rows, plan.repeats)
    with world_with(home, workers=1) as world:
        progress.print(f"the stack is ready; making {max(plan.sizes):,} leads")
        n_with_words = max(plan.index_leads, *(n_leads for n_leads, work in _each(world, plan) if work.rewrites_words))
        fill_reserve(world, max(plan.sizes), n_with_words=n_with_words)
        _warm_up(world, plan)
        for n_leads, work in _each(world, plan):
            measured = found[work.name, n_leads] = Measurement(work.name, n_leads)
            for _ in range(plan.repeats):
                world.restore(n_leads, with_words=work.rewrites_words)
                measured.engine_alone.append(engine.run(world, work, n_leads).total)
            progress.print(f"{work.name}, {n_leads:,} leads, one worker: {_shown(measured.engine_alone)}")
    with world_with(home, workers=WORKERS) as world:
        _warm_up(world, plan)
        peers = _peers(home, world, plan)
        for n_leads, work in _each(world, plan):
            _compare(world, work, found[work.name, n_leads], plan)
        called = _calls(world, plan)
        progress.print("what each index costs")
        costs = index_costs.measure(world, plan.index_leads, plan.repeats)
        largest = max(plan.sizes)
        progress.print(f"making {largest:,} leads with all that hangs on them")
        search.fill(world, largest)  # last of all, since it leaves other leads behind
        progress.print("searching")
        return Findings(
            machine=machine.describe(world.connection, load=load),
            repeats=plan.repeats,
            small_peak_mb=max(each.peak_mb for each in found.values() if each.n_leads == min(plan.sizes)),
            measurements=list(found.values()),
            peers=peers,
            calls=called,
            n_search_leads=largest,
            searches=search.timed(world),
            loadings=search.loading(world, plan.repeats),
            index_costs=costs,
            mails=mailed,
            files=filed,
            minutes=round((time.monotonic() - began) / 60, 1),
        )


def _each(world: World, plan: Plan) -> list[tuple[int, Work]]:
    return [
        (n_leads, work)
        for n_leads in plan.sizes
        for work in world.works()
        if not work.rewrites_words or n_leads <= max(TEXT_LEADS, min(plan.sizes))
    ]


def _warm_up(world: World, plan: Plan) -> None:
    """Have every worker import and connect to what it needs, before anything counts."""
    for work in world.works():
        world.restore(min(plan.sizes), with_words=work.rewrites_words)
        engine.run(world, work, min(plan.sizes))


def _peers(home: Home, world: World, plan: Plan) -> list[Peer]:
    found = [Peer(work.name, plan.peer_leads, [], []) for work in world.works() if not work.rewrites_words]
    with peer_workers.peer_workers(home, WORKERS):
        for peer, work in zip(found, world.works(), strict=False):
            for _ in range(plan.repeats):
                world.restore(plan.peer_leads)
                peer.save_each.append(peer_workers.save_each_seconds(world, work, plan.peer_leads))
                world.restore(plan.peer_leads)
                peer.task_each.append(peer_workers.task_each_seconds(world, work, plan.peer_leads))
            progress.print(
                f"{work.name}, {plan.peer_leads:,} leads: a task that saves each {_shown(peer.save_each)},"
                f" a task per lead {_shown(peer.task_each)}"
            )
    return found


def _compare(world: World, work: Work, found: Measurement, plan: Plan) -> None:
    """Engine, one statement and (at the largest size) undo and chunks in turn; fills in `found`."""
    n_leads = found.n_leads
    largest = n_leads == max(plan.sizes)
    for _ in range(plan.repeats):
        world.restore(n_leads, with_words=work.rewrites_words)
        if work.writes_activity:  # the one with a filter beyond the organization stands for loading
            found.selection.append(floors.bare_selection(world, work))
        with Memory() as memory:
            run = engine.run(world, work, n_leads)
        found.engine.append(run.total)
        found.peak_mb = max(found.peak_mb, memory.peak_mb)
        if work.writes_activity:
            found.loading.append(run.loading)
        if largest:
            found.undo.append(engine.undo_seconds(world, work, run, n_leads))
        world.restore(n_leads, with_words=work.rewrites_words)
        found.statement.append(floors.single_statement(world, work))
        if largest:
            found.undo_statement.append(floors.single_undo(world, work))
            world.restore(n_leads, with_words=work.rewrites_words)
            found.chunks.append(floors.chunks(world, work))
    progress.print(
        f"{work.name}, {n_leads:,} leads, {WORKERS} workers: {_shown(found.engine)},"
        f" one statement {_shown(found.statement)}"
        + (f", undo {_shown(found.undo)}, chunks {_shown(found.chunks)}" if largest else "")
    )


def _calls(world: World, plan: Plan) -> Calls:
    progress.print("previewing, accepting, pausing, streaming")
    largest, work = max(plan.sizes), world.works()[0]
    world.restore(largest)
    previews = calls.preview_seconds(world, work, largest, plan.repeats, seal=False)
    sealed = calls.preview_seconds(world, work, largest, plan.repeats, seal=True)
    accept = calls.accept_seconds(world, work, POSTS)
    world.restore(largest)
    pause = calls.pause_seconds(world, work, PAUSES)
    world.restore(largest)
    done = engine.run(world, work, largest)
    with Memory("web") as idle:
        time.sleep(1.0)
    with Memory("web") as streaming:
        stream = [calls.stream_seconds(world, done, largest) for _ in range(plan.repeats)]
    return Calls(accept, pause, previews, sealed, stream, idle.peak_mb, streaming.peak_mb)


def _shown(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):.2f} s"
