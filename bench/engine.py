"""Drover's own jobs, end to end: from the POST over HTTP to the status `done`, by the stack's worker processes."""

import time
from dataclasses import dataclass
from uuid import UUID

from bench.work import Work
from bench.world import World
from config.demo.api import key_of

JOB_SECONDS = 900
POLL_SECONDS = 0.005  # one look at the job's row by its key: cheap enough not to disturb
STILL_SECONDS = 1.0


class JobFailed(Exception):
    """A job did not do what was asked; its numbers would mean nothing."""


@dataclass(frozen=True)
class Run:
    """Seconds of one job: all of it, and from the first sight of `loading` to that of `processing`."""

    total: float
    loading: float


def run(world: World, work: Work, n_leads: int) -> Run:
    """Run the work as a job. Raises `JobFailed` unless exactly `n_leads` leads were changed."""
    began = time.monotonic()
    job = world.crm.call("post", f"bulk_action/{work.kind}", work.body)
    key = key_of(job["id"])
    seen: dict[str, float] = {}
    while (status := _status(world, key)) not in ("done", "error"):
        seen.setdefault(status, time.monotonic())
        if time.monotonic() - began > JOB_SECONDS:
            raise JobFailed(f"{work.name} was still {status} after {JOB_SECONDS} s.")
        time.sleep(POLL_SECONDS)
    ended = time.monotonic()
    final = world.crm.call("get", f"bulk_action/{work.kind}/{job['id']}")
    if final["status"] != "done" or final["n_succeeded"] != n_leads:
        raise JobFailed(
            f"{work.name} ended as {final['status']} with {final['n_succeeded']} of {n_leads} leads changed."
        )
    loaded = seen.get("processing", ended)
    return Run(total=ended - began, loading=loaded - seen.get("loading", began))


def loading_seconds(world: World, kind: str, body: dict[str, object]) -> float:
    """From the first sight of `loading` to that of what comes after. The job is cancelled then."""
    job = world.crm.call("post", f"bulk_action/{kind}", body)
    key, began = key_of(job["id"]), time.monotonic()
    loading = None
    while (status := _status(world, key)) in ("created", "loading"):
        loading = loading or (time.monotonic() if status == "loading" else None)
        if time.monotonic() - began > JOB_SECONDS:
            raise JobFailed(f"Loading took longer than {JOB_SECONDS} s.")
        time.sleep(POLL_SECONDS)
    seconds = time.monotonic() - (loading or began)
    if status not in ("done", "error"):
        world.crm.call("post", f"bulk_action/{kind}/{job['id']}/cancel", {})
    return seconds


def accept_seconds(world: World, work: Work, n: int) -> list[float]:
    """How long each of `n` POSTs took that ask for all leads. Each job is cancelled at once."""
    took = []
    for _ in range(n):
        began = time.monotonic()
        job = world.crm.call("post", f"bulk_action/{work.kind}", work.body)
        took.append(time.monotonic() - began)
        _cancel(world, work, job)
    return took


def pause_seconds(world: World, work: Work, n: int) -> list[float]:
    """How long each of up to `n` pauses of one running job took. Raises `JobFailed` when a lead changes after one."""
    job = world.crm.call("post", f"bulk_action/{work.kind}", work.body)
    path, key, took = f"bulk_action/{work.kind}/{job['id']}", key_of(job["id"]), []
    n_done = 0
    while len(took) < n and _advances(world, key, n_done):
        began = time.monotonic()
        world.crm.call("put", path, {"status": "paused"})
        took.append(time.monotonic() - began)
        n_done = _n_done(world, key)
        n_changed = _n_in_new_status(world)
        time.sleep(STILL_SECONDS)
        if (_n_done(world, key), _n_in_new_status(world)) != (n_done, n_changed):
            raise JobFailed("Leads changed after the pause had returned.")
        world.crm.call("put", path, {"status": "resuming"})
    _cancel(world, work, job)
    return took


def _advances(world: World, key: UUID, n_done: int) -> bool:
    """Wait until more batches than `n_done` are done; False when the job ended (or nearly) before."""
    deadline = time.monotonic() + JOB_SECONDS
    while time.monotonic() < deadline:
        if _status(world, key) in ("done", "error"):
            return False
        if _n_done(world, key) > n_done:
            return _n_pending(world, key) > 0
        time.sleep(POLL_SECONDS)
    raise JobFailed(f"The job to be paused did not advance for {JOB_SECONDS} s.")


def _cancel(world: World, work: Work, job: dict[str, object]) -> None:
    key = key_of(job["id"])
    if _status(world, key) not in ("done", "error"):
        world.crm.call("post", f"bulk_action/{work.kind}/{job['id']}/cancel", {})


def _status(world: World, key: UUID) -> str:
    return world.connection.execute("SELECT status FROM bulk_actions_bulkaction WHERE id = %s", [key]).fetchone()[0]


def _n_done(world: World, key: UUID) -> int:
    query = "SELECT count(*) FROM bulk_actions_batch WHERE action_id = %s AND date_done IS NOT NULL"
    return world.connection.execute(query, [key]).fetchone()[0]


def _n_pending(world: World, key: UUID) -> int:
    query = "SELECT count(*) FROM bulk_actions_batch WHERE action_id = %s AND date_done IS NULL"
    return world.connection.execute(query, [key]).fetchone()[0]


def _n_in_new_status(world: World) -> int:
    query = "SELECT count(*) FROM crm_lead WHERE organization_id = %(organization)s AND status_id = %(new_status)s"
    return world.connection.execute(query, world.parameters).fetchone()[0]
