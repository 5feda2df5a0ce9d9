"""What each index costs a bulk edit: the same edits with all of them, and with one dropped (or made) at a time.

The time is that of the statements alone, without the commit: the words of the leads are read anew within it.
"""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from time import perf_counter

from bench import floors
from bench.findings import IndexCost
from bench.work import Work
from bench.world import World

CHUNK = 1_000  # leads of one transaction
TABLES = ("crm_lead", "crm_leadstatuschange", "search_leadwords")
NOT_MADE = {
    "GIN on `custom`": "USING gin (custom)",
    "(organization, date_updated)": "(organization_id, date_updated)",
    "BRIN on `date_updated`": "USING brin (date_updated)",
}


def measure(world: World, n_leads: int, repeats: int) -> list[IndexCost]:
    """Each work on fresh leads, in as many rounds as there are `repeats`; all works together take `n_leads`."""
    found = [_costs(world, "all indexes, as they are", n_leads, repeats)]
    for name, definition in _indexes(world):
        with _dropped(world, name, definition):
            found.append(_costs(world, f"without `{name}`", n_leads, repeats))
    found.append(_costs(world, "without the triggers of the text index", n_leads, repeats, triggers=False))
    for name, columns in NOT_MADE.items():
        with _made(world, columns):
            found.append(_costs(world, f"with {name}, which is not made", n_leads, repeats))
    return found


def _costs(world: World, state: str, n_leads: int, repeats: int, *, triggers: bool = True) -> IndexCost:
    world.restore(n_leads, with_words=True)
    works = world.works()
    chunks = _chunks(world)
    n_each = len(chunks) // (len(works) * repeats)
    us, wal = defaultdict(list), defaultdict(list)
    if not triggers:  # after the restore, which turns them on
        world.connection.execute("ALTER TABLE crm_lead DISABLE TRIGGER USER")
    for _ in range(repeats):
        for work in works:
            for _ in range(n_each):
                seconds, n_bytes = _edit(world, work, chunks.pop())
                us[work.name].append(seconds * 1e6 / CHUNK)
                wal[work.name].append(n_bytes / CHUNK)
    if not triggers:
        world.connection.execute("ALTER TABLE crm_lead ENABLE TRIGGER USER")
    return IndexCost(
        state, {name: median(all_) for name, all_ in us.items()}, {name: median(all_) for name, all_ in wal.items()}
    )


def _chunks(world: World) -> list[list[object]]:
    """Keys of `CHUNK` leads each."""
    ids = [row[0] for row in world.connection.execute("SELECT id FROM crm_lead ORDER BY id").fetchall()]
    return [ids[start : start + CHUNK] for start in range(0, len(ids) - CHUNK + 1, CHUNK)]


def _edit(world: World, work: Work, ids: list[object]) -> tuple[float, int]:
    """Seconds, and bytes of the write-ahead log."""
    connection = world.connection
    parameters = {**world.parameters, "lead_ids": ids}
    with connection.transaction():
        before = connection.execute("SELECT pg_current_wal_insert_lsn()").fetchone()[0]
        began = perf_counter()
        connection.execute(floors.change_of(work, "id = ANY(%(lead_ids)s)"), parameters)
        connection.execute("SET CONSTRAINTS ALL IMMEDIATE")  # has the words read, which a commit would do
        seconds = perf_counter() - began
        written = connection.execute("SELECT pg_current_wal_insert_lsn() - %s::pg_lsn", [before]).fetchone()[0]
    return seconds, int(written)


def _indexes(world: World) -> list[tuple[str, str]]:
    """Name and definition of every index that only makes reading faster."""
    return world.connection.execute(
        """
        SELECT index.indexrelid::regclass::text, pg_get_indexdef(index.indexrelid)
        FROM pg_index AS index
        WHERE index.indrelid = ANY(%s::regclass[]) AND NOT index.indisunique ORDER BY 1
        """,
        [list(TABLES)],
    ).fetchall()


@contextmanager
def _dropped(world: World, name: str, definition: str) -> Iterator[None]:
    world.connection.execute(f"DROP INDEX {name}")
    try:
        yield
    finally:
        world.connection.execute(definition)


@contextmanager
def _made(world: World, columns: str) -> Iterator[None]:
    world.connection.execute(f"CREATE INDEX bench_more ON crm_lead {columns}")
    try:
        yield
    finally:
        world.connection.execute("DROP INDEX bench_more")
