"""Keys of rows to come, known before they are written: rows of one statement can then name each other."""

from uuid import UUID

from django.db import connection


def new_keys(number: int) -> list[UUID]:
    """So many keys, as the database itself would give."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT uuidv7() FROM generate_series(1, %s)", [number])
        return [key for (key,) in cursor.fetchall()]
