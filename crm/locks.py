"""Locks that stand in for constraints: between those who use a status or a field, and those who delete it."""

import hashlib
from collections.abc import Sequence
from uuid import UUID

from django.db import connection
from django.db.models import Model
from django.db.transaction import TransactionManagementError

from crm.models import Organization

_MATCHING = 0x6D617463  # "matc"


def hold_row(model: type[Model], condition: str, parameters: Sequence[UUID | str]) -> UUID | None:
    """The id of the first such row, kept from being deleted until this transaction ends; None where there is none.

    Waits for a transaction that is deleting it. FOR KEY SHARE: any number may hold a row, also while it is renamed.
    """
    rows = hold_rows(model, condition, parameters)
    return rows[0] if rows else None


def hold_rows(model: type[Model], condition: str, parameters: Sequence[UUID | str]) -> list[UUID]:
    """The ids of all such rows, held as by `hold_row`."""
    if not connection.in_atomic_block:
        raise TransactionManagementError("A row is held until a transaction ends: begin one first.")
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT id FROM {model._meta.db_table} WHERE {condition} FOR KEY SHARE", parameters)
        return [key for (key,) in cursor.fetchall()]


def lock_matching(organization_id: UUID) -> None:
    """One search for duplicates, with what is made of it, at a time, until this transaction ends: two calls with the
    same new address make one lead. An advisory lock, since Close allows equal addresses: there is no unique key.
    """
    # Two numbers, as idempotency keys have (`crm.idempotency`): should two things share them, they take turns.
    number = int.from_bytes(hashlib.sha256(organization_id.bytes).digest()[:4], signed=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_MATCHING, number])


def lock_customizations(organization_id: UUID) -> None:
    """One change of an organization's statuses and fields at a time: names and slugs stay unique, one status is left.

    FOR NO KEY UPDATE: new records refer to the organization and must not wait.
    """
    Organization.objects.select_for_update(no_key=True).get(pk=organization_id)
