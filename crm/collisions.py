"""What the database says when others are in the way."""

_TRY_AGAIN = {"40001", "40P01", "55P03"}  # serialization failure, deadlock, lock timeout


def sqlstate(problem: BaseException) -> str | None:
    """PostgreSQL's code of the error, None where it did not come from the server."""
    return getattr(problem.__cause__, "sqlstate", None)


def may_be_tried_again(problem: BaseException) -> bool:
    """Others were in the way: the transaction has rolled back, and the same again may pass."""
    return sqlstate(problem) in _TRY_AGAIN
