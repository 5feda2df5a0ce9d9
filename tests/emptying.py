"""After a test that committed: only what it wrote is deleted.

Django empties all hundred tables with TRUNCATE, which makes new files for each (150 ms), and then writes content types
and permissions anew. Deleting the few rows of a test takes some milliseconds.
"""

from django.db import connections
from django.test import TransactionTestCase

MUCH = 4 * 1024 * 1024  # bytes of a table from which TRUNCATE is faster
_KEPT = {"django_migrations", "django_content_type", "auth_permission"}
_django_empties = TransactionTestCase._fixture_teardown


def install() -> None:
    TransactionTestCase._fixture_teardown = _fixture_teardown


def _fixture_teardown(case: TransactionTestCase) -> None:
    if not _emptied():
        _django_empties(case)


def _emptied() -> bool:
    """Whether all rows are gone: not where a table is large, or where this role may not switch triggers off."""
    connection = connections["default"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT has_parameter_privilege('session_replication_role', 'SET')")
        if not cursor.fetchone()[0]:
            return False
        tables = sorted(set(connection.introspection.table_names(cursor)) - _KEPT)
        held = " UNION ALL ".join(
            f"SELECT '{table}', pg_table_size('\"{table}\"') WHERE EXISTS (SELECT FROM \"{table}\")" for table in tables
        )
        cursor.execute(held)
        found = cursor.fetchall()
        if any(size > MUCH for _, size in found):
            return False
        if found:
            deletes = "; ".join(f'DELETE FROM "{table}"' for table, _ in found)
            cursor.execute(f"BEGIN; SET LOCAL session_replication_role = replica; {deletes}; COMMIT")
    return True
