"""What an error of the database says about the work in hand."""

from django.db import DatabaseError, InterfaceError, OperationalError

_TRY_AGAIN = {"40001", "40P01", "55P03"}  # serialization failure, deadlock, lock timeout
# The server has ended our transaction, and with it the session: idle in it for too long, or in it for too long. psycopg
# calls these internal errors.
_ENDED = {"25P02", "25P03", "25P04"}


def sqlstate(problem: BaseException) -> str | None:
    """PostgreSQL's code of the error, None where it did not come from the server."""
    return getattr(problem.__cause__, "sqlstate", None)


def may_be_tried_again(problem: BaseException) -> bool:
    """Others were in the way: the transaction has rolled back, and the same again may pass."""
    return sqlstate(problem) in _TRY_AGAIN


def is_cut_off(problem: BaseException) -> bool:
    """The session or the server is gone. What was in hand has rolled back; nothing is wrong with the job."""
    return isinstance(problem, OperationalError | InterfaceError) or (
        isinstance(problem, DatabaseError) and sqlstate(problem) in _ENDED
    )
