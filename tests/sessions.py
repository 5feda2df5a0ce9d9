"""A second database session, for tests of what happens when two meet."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from django.db import connection

T = TypeVar("T")
DEADLINE_SECONDS = 20
# Not pg_stat_activity: a transaction sees that as it was at its first look. And not every waiter: on the server there
# are those of tests beside this one, too.
_WAITERS = "SELECT pid FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"


@contextmanager
def other_session() -> Iterator[Callable[[Callable[[], T]], "Future[T]"]]:
    """Gives a function that starts its argument in a session of its own, and the future of what that returns."""
    with ThreadPoolExecutor(1) as thread:

        def start(work: Callable[[], T]) -> "Future[T]":
            return thread.submit(work)

        try:
            yield start
        finally:
            thread.submit(lambda: connection.close())  # looked up over there: each thread has its own


def wait_until_blocked(future: "Future[object] | None" = None) -> None:
    """Return once some session waits for a lock of ours; fail when `future` ends instead."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        assert future is None or not future.done(), "it did not wait"
        with connection.cursor() as cursor:
            cursor.execute(_WAITERS)
            if cursor.fetchone():
                return
        time.sleep(0.01)
    raise AssertionError("it did not wait for us")


def end_who_waits() -> None:
    """The sessions that wait for a lock of ours are lost, as if the server had ended them."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT pg_terminate_backend(pid) FROM ({_WAITERS}) AS waiting")
