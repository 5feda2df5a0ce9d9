"""Filling a table without what every row would pay for: triggers, foreign keys, indexes."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

_INDEXES = """
    SELECT format('DROP INDEX %%s', indexrelid::regclass), pg_get_indexdef(indexrelid)
    FROM pg_index WHERE indrelid = %(table)s::regclass AND NOT indisunique
"""
_FOREIGN_KEYS = """
    SELECT format('ALTER TABLE %%s DROP CONSTRAINT %%I', conrelid::regclass, conname),
           format('ALTER TABLE %%s ADD CONSTRAINT %%I %%s', conrelid::regclass, conname, pg_get_constraintdef(oid))
    FROM pg_constraint WHERE conrelid = %(table)s::regclass AND contype = 'f'
"""


@contextmanager
def unburdened(connection: psycopg.Connection, table: str) -> Iterator[None]:
    """Within, the table has no trigger of ours, no foreign key of its own and no index but unique ones; then again all
    of them, the indexes as fresh as the rows. (A third of the time for a million leads.)
    """
    parameters = {"table": table}
    taken = [row for query in (_INDEXES, _FOREIGN_KEYS) for row in connection.execute(query, parameters).fetchall()]
    connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    for drop, _ in taken:
        connection.execute(drop)
    try:
        yield
    finally:
        for _, make in taken:
            connection.execute(make)
        connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
