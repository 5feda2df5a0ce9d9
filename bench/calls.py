"""The calls of the API around a job: how long POST, pause and preview take, and how fast results stream."""

import base64
import time
from urllib.request import Request, urlopen
from uuid import UUID

from bench.engine import JOB_SECONDS, POLL_SECONDS, JobFailed, Run, cancel, status_of
from bench.work import Work
from bench.world import World
from config.demo.api import key_of

STILL_SECONDS = 1.0
_PIECE = 1 << 16  # bytes of a stream that are read at once


def accept_seconds(world: World, work: Work, n: int) -> list[float]:
    """How long each of `n` POSTs took that ask for all leads. Each job is cancelled at once."""
    took = []
    for _ in range(n):
        began = time.monotonic()
        job = world.crm.call("post", f"bulk_action/{work.kind}", work.body)
        took.append(time.monotonic() - began)
        cancel(world, work.kind, job)
    return took


def preview_seconds(world: World, work: Work, n_leads: int, n: int, *, seal: bool) -> list[float]:
    """How long each of `n` previews of the work took. Raises `JobFailed` for one that does not see all leads."""
    took = []
    for _ in range(n):
        began = time.monotonic()
        told = world.crm.call("post", f"bulk_action/{work.kind}/preview", {**work.body, "seal": seal})
        took.append(time.monotonic() - began)
        if told["forecast"]["would_change"] != n_leads:
            raise JobFailed(f"A preview foresaw {told['forecast']['would_change']} changes of {n_leads}.")
    return took


def stream_seconds(world: World, done: Run, n_leads: int) -> float:
    """How long all results of that job took to arrive as JSON lines. Raises `JobFailed` when one is missing."""
    credentials = base64.b64encode(f"{world.secret}:".encode()).decode()
    request = Request(
        f"{world.api_url}/api/v1/{done.path}/results/",
        headers={"Authorization": f"Basic {credentials}", "Accept": "application/jsonl"},
    )
    n_rows, began = 0, time.monotonic()
    with urlopen(request) as answer:
        while piece := answer.read(_PIECE):
            n_rows += piece.count(b"\n")
    if n_rows != n_leads:
        raise JobFailed(f"The results of {n_leads} leads had {n_rows} rows.")
    return time.monotonic() - began


def pause_seconds(world: World, work: Work, n: int) -> list[float]:
    """How long each of up to `n` pauses of one running job took. Raises `JobFailed` when a lead changes after one."""
    job = world.crm.call("post", f"bulk_action/{work.kind}", work.body)
    path, key, took = f"bulk_action/{work.kind}/{job['id']}", key_of(job["id"]), []
    n_done = 0
    while len(took) < n and _advances(world, key, n_done):
        began = time.monotonic()
        world.crm.call("put", path, {"status": "paused"})
        took.append(time.monotonic() - began)
        n_done = _n_batches(world, key, done=True)
        n_changed = _n_in_new_status(world)
        time.sleep(STILL_SECONDS)
        if (_n_batches(world, key, done=True), _n_in_new_status(world)) != (n_done, n_changed):
            raise JobFailed("Leads changed after the pause had returned.")
        world.crm.call("put", path, {"status": "resuming"})
    cancel(world, work.kind, job)
    return took


def _advances(world: World, key: UUID, n_done: int) -> bool:
    """Wait until more batches than `n_done` are done; False when the job ended (or nearly) before."""
    deadline = time.monotonic() + JOB_SECONDS
    while time.monotonic() < deadline:
        if status_of(world, key) in ("done", "error"):
            return False
        if _n_batches(world, key, done=True) > n_done:
            return _n_batches(world, key, done=False) > 0
        time.sleep(POLL_SECONDS)
    raise JobFailed(f"The job to be paused did not advance for {JOB_SECONDS} s.")


def _n_batches(world: World, key: UUID, *, done: bool) -> int:
    query = "SELECT count(*) FROM bulk_actions_batch WHERE action_id = %s AND (date_done IS NOT NULL) = %s"
    return world.connection.execute(query, [key, done]).fetchone()[0]


def _n_in_new_status(world: World) -> int:
    query = "SELECT count(*) FROM crm_lead WHERE organization_id = %(organization)s AND status_id = %(new_status)s"
    return world.connection.execute(query, world.parameters).fetchone()[0]
