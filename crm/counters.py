"""Counting rare events for `/metrics`, over all processes and restarts."""

from django.db import connection


def count(name: str, n: int = 1) -> None:
    """Add to a counter. One row a counter, so for what happens rarely: its writers wait for each other's commit."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO crm_counter (name, value) VALUES (%s, %s)
            ON CONFLICT (name) DO UPDATE SET value = crm_counter.value + excluded.value
            """,
            [name, n],
        )
