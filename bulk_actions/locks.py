"""Advisory locks of a job. All of them end with their transaction, so a dead worker holds none."""

from enum import IntEnum
from uuid import UUID

from django.db import connection


class Purpose(IntEnum):
    GATE = 0  # work holds it shared; pause and cancel take it exclusively
    LOADER = 1  # one loader at a time
    PACE = 2  # workers of a job with a ceiling count one after the other
    LEDGER = 3  # whoever copies values out of a ledger shares it; scrubbing one takes it exclusively
    MAIL = 4  # delivery shares it while mail of the job leaves; pause and cancel take it exclusively
    SLOT = 16  # + number: one slice per slot of a job


def key_of(action_id: UUID, purpose: int) -> int:
    """A signed 64-bit lock key: the random half of the UUIDv7, with the purpose in its last bits."""
    number = (action_id.int & 0xFFFF_FFFF_FFFF_FFFF) ^ purpose
    return number - (1 << 64) if number >= 1 << 63 else number


def share_gate(action_id: UUID) -> None:
    """Enter the gate, waiting while a pause or cancel stands in it. Held until the transaction ends."""
    _run("SELECT pg_advisory_xact_lock_shared(%s)", action_id, Purpose.GATE)


def close_gate(action_id: UUID) -> None:
    """Wait until nobody is inside the gate. Raises OperationalError when `lock_timeout` runs out first."""
    _run("SELECT pg_advisory_xact_lock(%s)", action_id, Purpose.GATE)


def share_mail_gate(action_id: UUID) -> None:
    """The same for the mail of the job that is about to leave."""
    _run("SELECT pg_advisory_xact_lock_shared(%s)", action_id, Purpose.MAIL)


def close_mail_gate(action_id: UUID) -> None:
    """Wait until no mail of the job is leaving. Raises OperationalError when `lock_timeout` runs out first."""
    _run("SELECT pg_advisory_xact_lock(%s)", action_id, Purpose.MAIL)


def wait_for_pace(action_id: UUID) -> None:
    """Take turns with the other workers of a job that has a ceiling."""
    _run("SELECT pg_advisory_xact_lock(%s)", action_id, Purpose.PACE)


def share_ledger(action_id: UUID) -> None:
    """Keep the values in a job's ledger from being taken out until the transaction ends."""
    _run("SELECT pg_advisory_xact_lock_shared(%s)", action_id, Purpose.LEDGER)


def hold_ledger(action_id: UUID) -> None:
    """Wait until nobody copies values out of a job's ledger. Raises OperationalError when `lock_timeout` runs out."""
    _run("SELECT pg_advisory_xact_lock(%s)", action_id, Purpose.LEDGER)


def take_slot(action_id: UUID, number: int) -> bool:
    """Whether this slice may work as number `number` of its job: a doubled doorbell finds the slot taken."""
    return _try(action_id, Purpose.SLOT + number)


def become_loader(action_id: UUID) -> bool:
    """Whether nobody else loads this job now."""
    return _try(action_id, Purpose.LOADER)


def holders(action_id: UUID, purpose: Purpose) -> list[int]:
    """The backends (process ids) that hold the lock now, ours not among them."""
    key = key_of(action_id, purpose) & 0xFFFF_FFFF_FFFF_FFFF
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT pid FROM pg_locks
            WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND classid = %s::oid AND objid = %s::oid
              AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
              AND pid <> pg_backend_pid()
            """,
            [key >> 32, key & 0xFFFF_FFFF],
        )
        return [pid for (pid,) in cursor.fetchall()]


def _run(sql: str, action_id: UUID, purpose: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, [key_of(action_id, purpose)])


def _try(action_id: UUID, purpose: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [key_of(action_id, purpose)])
        return cursor.fetchone()[0]
