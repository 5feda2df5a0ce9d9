"""What an error of the database says about the work in hand."""

from django.db import DatabaseError, InterfaceError, OperationalError

from crm.collisions import sqlstate

# The server has ended our transaction, and with it the session: idle in it for too long, or in it for too long. psycopg
# calls these internal errors.
_ENDED = {"25P02", "25P03", "25P04"}


def is_cut_off(problem: BaseException) -> bool:
    """The session or the server is gone. What was in hand has rolled back; nothing is wrong with the job."""
    return isinstance(problem, OperationalError | InterfaceError) or (
        isinstance(problem, DatabaseError) and sqlstate(problem) in _ENDED
    )
