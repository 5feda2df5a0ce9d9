"""What PostgreSQL itself takes: one statement, and chunks with a ledger in two processes (the fair floor)."""

import multiprocessing
import time
from multiprocessing.synchronize import Barrier

import psycopg

from bench.work import Work
from bench.world import World

CHUNK = 1000
PROCESSES = 2
START_SECONDS = 60  # a process that has not come by then never will

_ACTIVITY = """
    INSERT INTO crm_leadstatuschange (organization_id, lead_id, old_status_id, new_status_id, user_id, bulk_action_id)
    SELECT %(organization)s, id, old_status_id, %(new_status)s, %(user)s, %(action)s FROM changed
"""


def single_statement(world: World, work: Work) -> float:
    """Seconds of one statement that changes all leads of the work, and writes the activities where there are any."""
    began = time.monotonic()
    world.connection.execute(change_of(work, work.filter), world.parameters)
    return time.monotonic() - began


def change_of(work: Work, condition: str) -> str:
    """The one statement that does the work on the leads of the condition."""
    update = f"UPDATE crm_lead SET {work.assignments} WHERE {condition}"
    if work.writes_activity:
        update = f"WITH changed AS ({update} RETURNING id, old.status_id AS old_status_id) {_ACTIVITY}"
    return update


def single_undo(world: World, work: Work) -> float:
    """Seconds of one statement that takes the work back, by a table of all leads as they were, after `single_statement`
    has done it.
    """
    update = f"UPDATE crm_lead SET {work.restored} FROM bench_lead AS was WHERE was.id = crm_lead.id"
    if work.writes_activity:
        update = f"""
            WITH changed AS ({update} RETURNING crm_lead.id, old.status_id AS old_status_id, new.status_id AS status_id)
            {_ACTIVITY.replace("%(new_status)s", "status_id")}
        """
    world.connection.execute("CHECKPOINT")
    began = time.monotonic()
    world.connection.execute(update, world.parameters)
    return time.monotonic() - began


def bare_selection(world: World, work: Work) -> float:
    """Seconds to select the ids of the work into arrays of 1,000, with nothing stored and nothing sent."""
    began = time.monotonic()
    # The sum reads the arrays: without it the planner would leave them out.
    world.connection.execute(f"SELECT sum(cardinality(ids)) FROM ({_arrays(work)}) AS arrays (ids)", world.parameters)
    return time.monotonic() - began


def chunks(world: World, work: Work) -> float:
    """Seconds to freeze the leads into chunks and work them in two processes, one transaction each: `SKIP LOCKED`, the
    change, old values and outcomes beside the chunk.
    """
    context = multiprocessing.get_context("spawn")
    ready, go = (context.Barrier(PROCESSES + 1, timeout=START_SECONDS) for _ in range(2))
    arguments = (world.database_url, _claim(work), world.parameters, ready, go)
    processes = [context.Process(target=_work_chunks, args=arguments) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    ready.wait()
    began = time.monotonic()
    world.connection.execute(f"INSERT INTO bench_chunk (lead_ids) {_arrays(work)}", world.parameters)
    go.wait()
    for process in processes:
        process.join()
    seconds = time.monotonic() - began
    if any(process.exitcode for process in processes):
        raise RuntimeError("A process of the chunked floor failed.")
    n_changed, n_in_chunks = world.connection.execute(
        "SELECT sum(n_changed), sum(cardinality(lead_ids)) FROM bench_chunk"
    ).fetchone()
    if n_changed != n_in_chunks:
        raise RuntimeError("The chunked floor did not change every lead.")
    return seconds


def _arrays(work: Work) -> str:
    return f"""
        SELECT array_agg(id ORDER BY rank)
        FROM (SELECT id, row_number() OVER (ORDER BY id) - 1 AS rank FROM crm_lead WHERE {work.filter}) AS ranked
        GROUP BY rank / {CHUNK} ORDER BY rank / {CHUNK}
    """


def _claim(work: Work) -> str:
    """The statement that works one claimed chunk. Its parameters: `chunk` and `lead_ids`, and those of the world."""
    activity = f", activity AS ({_ACTIVITY})" if work.writes_activity else ""
    return f"""
        WITH changed AS (
            UPDATE crm_lead SET {work.assignments} WHERE id = ANY(%(lead_ids)s) AND {work.filter}
            RETURNING id, old.status_id AS old_status_id, {work.before} AS before
        ){activity}
        UPDATE bench_chunk
        SET (changed_ids, before, n_changed) = (SELECT array_agg(id), jsonb_agg(before), count(*) FROM changed),
            date_done = clock_timestamp()
        WHERE bench_chunk.id = %(chunk)s
    """


def _work_chunks(database_url: str, statement: str, parameters: dict[str, object], ready: Barrier, go: Barrier) -> None:
    with psycopg.connect(database_url) as connection:
        ready.wait()
        go.wait()
        while True:
            with connection.transaction():
                claimed = connection.execute(
                    "SELECT id, lead_ids FROM bench_chunk WHERE date_done IS NULL"
                    " ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED"
                ).fetchone()
                if claimed is None:
                    return
                connection.execute(statement, {**parameters, "chunk": claimed[0], "lead_ids": claimed[1]})
