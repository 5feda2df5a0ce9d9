"""How long a query may take."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import OperationalError, connection, transaction
from psycopg.errors import QueryCanceled

from search.errors import SearchTooSlow


@contextmanager
def limited_in_time() -> Iterator[None]:
    """Statements within are stopped in the database after `SEARCH_STATEMENT_TIMEOUT_SECONDS`: `SearchTooSlow`."""
    seconds = settings.SEARCH_STATEMENT_TIMEOUT_SECONDS
    try:
        with transaction.atomic():
            with connection.cursor() as database:
                database.execute("SELECT set_config('statement_timeout', %s, true)", [f"{seconds}s"])
            yield
    except OperationalError as problem:
        if isinstance(problem.__cause__, QueryCanceled):
            raise SearchTooSlow(seconds) from problem
        raise
