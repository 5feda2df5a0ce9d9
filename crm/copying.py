"""COPY: the fastest way in for many rows. Triggers, defaults and constraints hold as for an INSERT."""

from collections.abc import Iterable, Sequence

from django.db import connection


def copy_rows(table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Insert the rows in their order; nothing where there are none. Raises the errors of Django, as a statement does:
    those of a bare `cursor.copy` are the driver's own."""
    values = list(rows)
    if not values:
        return
    sql = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
    with connection.wrap_database_errors, connection.cursor() as cursor, cursor.copy(sql) as copy:
        for row in values:
            copy.write_row(row)
