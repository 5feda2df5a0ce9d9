"""Drover's own jobs, end to end: from the POST over HTTP to the status `done`, by the stack's worker processes."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from bench.work import Work
from bench.world import World
from config.demo.api import Json, key_of

JOB_SECONDS = 900
POLL_SECONDS = 0.005  # at first: one look at the job's row by its key
POLL_SHARE = 0.005  # of the time that has passed; always every 5 ms, the looks took a tenth of two processors


class JobFailed(Exception):
    """A job did not do what was asked; its numbers would mean nothing."""


@dataclass(frozen=True)
class Run:
    """A job that is done. Seconds: all of it, and from the first sight of `loading` to that of `processing`."""

    path: str
    total: float
    loading: float


def run(world: World, work: Work, n_leads: int) -> Run:
    """Run the work as a job. Raises `JobFailed` unless exactly `n_leads` leads were changed."""
    return run_to_end(world, work.kind, n_leads, lambda: world.crm.call("post", f"bulk_action/{work.kind}", work.body))


def undo_seconds(world: World, work: Work, done: Run, n_leads: int) -> float:
    """Undo that job. Raises `JobFailed` unless exactly `n_leads` leads were restored."""
    world.connection.execute("CHECKPOINT")
    return run_to_end(world, work.kind, n_leads, lambda: world.crm.call("post", f"{done.path}/undo", {})).total


def run_to_end(world: World, kind: str, n_leads: int, post: Callable[[], Json]) -> Run:
    """The job of that kind that `post` makes. Raises `JobFailed` unless exactly `n_leads` objects of it succeeded."""
    began = time.monotonic()
    job = post()
    path = f"bulk_action/{kind}/{job['id']}"
    seen = wait_for_end(world, key_of(job["id"]), path)
    ended = time.monotonic()
    final = world.crm.call("get", path)
    if final["status"] != "done" or final["n_succeeded"] != n_leads:
        raise JobFailed(f"{path} ended as {final['status']} with {final['n_succeeded']} of {n_leads} leads changed.")
    loaded = seen.get("processing", ended)
    return Run(path, total=ended - began, loading=loaded - seen.get("loading", began))


def wait_for_end(world: World, key: UUID, path: str) -> dict[str, float]:
    """Return once the job is over: when each status before that was first seen. Raises `JobFailed`."""
    began, seen = time.monotonic(), dict[str, float]()
    while (status := status_of(world, key)) not in ("done", "error"):
        seen.setdefault(status, time.monotonic())
        passed = time.monotonic() - began
        if passed > JOB_SECONDS:
            raise JobFailed(f"{path} was still {status} after {JOB_SECONDS} s.")
        time.sleep(max(POLL_SECONDS, POLL_SHARE * passed))
    return seen


def loading_seconds(world: World, kind: str, body: Json) -> float:
    """From the first sight of `loading` to that of what comes after. The job is cancelled then."""
    job = world.crm.call("post", f"bulk_action/{kind}", body)
    key, began = key_of(job["id"]), time.monotonic()
    loading = None
    while (status := status_of(world, key)) in ("created", "loading"):
        loading = loading or (time.monotonic() if status == "loading" else None)
        if time.monotonic() - began > JOB_SECONDS:
            raise JobFailed(f"Loading took longer than {JOB_SECONDS} s.")
        time.sleep(POLL_SECONDS)
    seconds = time.monotonic() - (loading or began)
    cancel(world, kind, job)
    return seconds


def cancel(world: World, kind: str, job: Json) -> None:
    """End the job, unless it has ended."""
    if status_of(world, key_of(job["id"])) not in ("done", "error"):
        world.crm.call("post", f"bulk_action/{kind}/{job['id']}/cancel", {})


def status_of(world: World, key: UUID) -> str:
    return world.connection.execute("SELECT status FROM bulk_actions_bulkaction WHERE id = %s", [key]).fetchone()[0]
