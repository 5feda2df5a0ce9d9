"""A table that was filled without its indexes, foreign keys and triggers has all of them again."""

import pytest
from django.db import connection

from bench.unburdened import unburdened

pytestmark = pytest.mark.django_db

_SCHEMA = """
    SELECT 'index', pg_get_indexdef(indexrelid), indisvalid FROM pg_index WHERE indrelid = %(table)s::regclass
    UNION ALL SELECT 'constraint', conname || pg_get_constraintdef(oid), convalidated
    FROM pg_constraint WHERE conrelid = %(table)s::regclass
    UNION ALL SELECT 'trigger', pg_get_triggerdef(oid), tgenabled = 'O'
    FROM pg_trigger WHERE tgrelid = %(table)s::regclass AND NOT tgisinternal
    ORDER BY 1, 2
"""


def schema(table: str) -> list[tuple[str, str, bool]]:
    with connection.cursor() as cursor:
        return cursor.execute(_SCHEMA, {"table": table}).fetchall()


@pytest.mark.parametrize("table", ["crm_lead", "search_leadwords"])
def test_the_table_is_afterwards_as_it_was(table: str) -> None:
    before = schema(table)
    connection.ensure_connection()
    with unburdened(connection.connection, table):
        assert len(schema(table)) < len(before)
    assert schema(table) == before


def test_it_is_as_it_was_after_an_error_too() -> None:
    before = schema("crm_lead")
    with pytest.raises(ZeroDivisionError), unburdened(connection.connection, "crm_lead"):
        raise ZeroDivisionError
    assert schema("crm_lead") == before
