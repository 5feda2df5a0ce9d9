"""What hangs on a lead refers to other rows: whether they are there, and that the lead stays while one is made.

Whoever makes such a row holds first the lead, then the contact, as a merge of leads does. Problems are told under the
keys of the API: `lead_id`, `contact_id`.
"""

from collections.abc import Mapping
from typing import TypeVar
from uuid import UUID

from django.db.models import Model, QuerySet
from django.db.models.functions import Now

from crm.errors import FieldErrors, NotFound
from crm.locks import hold_row
from crm.models import Activity, Contact, Lead, Membership, Task, User

M = TypeVar("M", bound=Model)
P = TypeVar("P", Activity, Task)
GONE = "Object does not exist."


def holds_lead(lead_id: UUID, organization_id: UUID) -> bool:
    """Keep the live lead from being merged or purged until this transaction ends; False where there is none.

    A lead that is marked as deleted meanwhile is not waited for: what is made goes with it, and may come back with it.
    """
    live = "id = %s AND organization_id = %s AND deleted_at IS NULL"
    return hold_row(Lead, live, [lead_id, organization_id]) is not None


def hold_lead(lead_id: UUID, organization_id: UUID) -> None:
    """As `holds_lead`; `FieldErrors` where there is none."""
    if not holds_lead(lead_id, organization_id):
        raise FieldErrors({"lead_id": GONE})


def held_part(rows: QuerySet[M], key: UUID, organization_id: UUID) -> M:
    """The one of `rows` with that key, kept from all other changes until this transaction ends. Raises `NotFound`."""
    # Locked without the join to its lead that `rows` has: a row that a merge moves meanwhile would fall out of that.
    locked = rows.model._default_manager.select_for_update(no_key=True)
    if locked.filter(pk=key, organization_id=organization_id).first() is None:
        raise NotFound
    found = rows.filter(pk=key).first()
    if found is None:
        raise NotFound
    return found


def change_part(
    rows: QuerySet[P],
    key: UUID,
    *,
    organization_id: UUID,
    by: User,
    columns: Mapping[str, object],
    users: Mapping[str, UUID | None],
) -> P:
    """Change `columns` of the one of `rows` with that key; its lead stays. `users` are those of `check_people`.

    In the transaction at hand. Raises `NotFound`, `FieldErrors`.
    """
    seen = rows.filter(pk=key).first()
    if seen is None:
        raise NotFound
    check_people(organization_id, lead_id=seen.lead_id, contact_id=columns.get("contact_id"), users=users)
    part = held_part(rows, key, organization_id)
    for column, value in columns.items():
        setattr(part, column, value)
    part.updated_by = by
    part.date_updated = Now()
    part.save(update_fields=[*columns, "updated_by", "date_updated"])
    part.refresh_from_db()
    return part


def check_people(
    organization_id: UUID, *, lead_id: UUID, contact_id: UUID | None, users: Mapping[str, UUID | None]
) -> None:
    """`FieldErrors` unless the contact is one of that lead, and `users` are members as `check_members` has it.

    The contact is held until the transaction ends: take it before the row that is to refer to it.
    """
    problems: dict[str, object] = {}
    if contact_id is not None:
        # Held as whoever deletes it holds it: a row that refers to a contact just deleted could not be stored.
        held = Contact.objects.select_for_update(no_key=True).filter(pk=contact_id, lead_id=lead_id)
        if held.first() is None:
            problems["contact_id"] = GONE
    problems |= strangers(organization_id, users)
    if problems:
        raise FieldErrors(problems)


def check_members(organization_id: UUID, users: Mapping[str, UUID | None]) -> None:
    """`FieldErrors` unless each of `users` (by the key to blame; null is nobody) is a member, active or not."""
    if problems := strangers(organization_id, users):
        raise FieldErrors(problems)


def strangers(organization_id: UUID, users: Mapping[str, UUID | None]) -> dict[str, str]:
    """What is wrong with `users`, as `check_members` has it."""
    wanted = {key for key in users.values() if key is not None}
    if not wanted:
        return {}
    members = Membership.objects.filter(organization_id=organization_id, user_id__in=wanted)
    known = set(members.values_list("user_id", flat=True))
    return {name: GONE for name, key in users.items() if key is not None and key not in known}
