"""Checks of relations that nobody sees in one place: between settings, and between us and the database server."""

from collections.abc import Sequence

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import Error as DatabaseError
from django.db import connections

OLDEST_POSTGRES = 18  # RETURNING old.column, uuidv7(), pg_c_utf8


def _relations() -> list[tuple[float, float, str]]:
    """Each: what must be smaller, than what, and why."""
    s = settings
    return [
        (s.BULK_SLICE_SECONDS, s.WORKER_STOP_GRACE_SECONDS, "A slice must end before a stopping worker is killed."),
        (
            s.BULK_SLICE_SECONDS_WHEN_OTHERS_WAIT,
            s.BULK_SLICE_SECONDS,
            "A slice must be shorter when other jobs wait, not longer.",
        ),
        (
            s.CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT,
            s.WORKER_STOP_GRACE_SECONDS,
            "A worker's soft shutdown must be over before the worker is killed.",
        ),
        (
            max(s.BULK_BATCH_TARGET_SECONDS, s.IMPORT_BATCH_TARGET_SECONDS),
            s.WORKER_IDLE_IN_TRANSACTION_SECONDS,
            "A batch must be done before the server ends the transaction of an idle worker.",
        ),
        (
            s.WORKER_IDLE_IN_TRANSACTION_SECONDS,
            s.WORKER_TRANSACTION_SECONDS,
            "A frozen worker must lose its transaction by the idle limit, before the limit of working ones.",
        ),
        (
            s.SMTP_TIMEOUT_SECONDS,
            s.MAIL_IDLE_IN_TRANSACTION_SECONDS,
            "A slow SMTP server must be given up before the transaction that records its answer is ended.",
        ),
        (
            s.LOADING_STATEMENT_TIMEOUT_SECONDS,
            s.CELERY_TASK_TIME_LIMIT,
            "Loading must end by its own limit, before its task is killed.",
        ),
        (
            s.CELERY_TASK_TIME_LIMIT,
            s.CELERY_BROKER_TRANSPORT_OPTIONS["visibility_timeout"],
            "A task must be over before the broker hands its message to another worker.",
        ),
    ]


@register()
def check_relations_of_settings(app_configs: Sequence[AppConfig] | None, **_: object) -> list[CheckMessage]:
    """One error for each pair of settings that contradict each other."""
    return [
        Error(f"{why} ({smaller} is not less than {larger}.)", id=f"config.E{number:03}")
        for number, (smaller, larger, why) in enumerate(_relations(), start=1)
        if not smaller < larger
    ]


@register(Tags.database)
def check_postgres_version(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **_: object
) -> list[CheckMessage]:
    """An error when the server is older than PostgreSQL 18. Runs with commands on the database, such as `migrate`."""
    return [Error(problem, id="config.E100") for alias in databases or () if (problem := problem_with_database(alias))]


def problem_with_database(alias: str = "default") -> str | None:
    """One sentence when the database does not answer or is too old; None when it is fit."""
    try:
        connections[alias].ensure_connection()
        version = connections[alias].pg_version // 10_000
    except DatabaseError as problem:
        return f"The database does not answer: {' '.join(str(problem).split())}"
    if version < OLDEST_POSTGRES:
        return f"The database server is PostgreSQL {version}; {OLDEST_POSTGRES} is the oldest that works."
    return None
