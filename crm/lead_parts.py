"""What hangs on a lead refers to other rows: whether they are there, and that the lead stays while one is made."""

from collections.abc import Mapping
from uuid import UUID

from crm.errors import FieldErrors
from crm.locks import hold_row
from crm.models import Contact, Lead, Membership

GONE = "Object does not exist."


def hold_lead(lead_id: UUID, organization_id: UUID) -> None:
    """Keep the live lead from being merged into another until this transaction ends; `FieldErrors` without one."""
    live = "id = %s AND organization_id = %s AND deleted_at IS NULL"
    if hold_row(Lead, live, [lead_id, organization_id]) is None:
        raise FieldErrors({"lead": GONE})


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
            problems["contact"] = GONE
    problems |= _strangers(organization_id, users)
    if problems:
        raise FieldErrors(problems)


def check_members(organization_id: UUID, users: Mapping[str, UUID | None]) -> None:
    """`FieldErrors` unless each of `users` (by the key to blame; null is nobody) is a member, active or not."""
    if problems := _strangers(organization_id, users):
        raise FieldErrors(problems)


def _strangers(organization_id: UUID, users: Mapping[str, UUID | None]) -> dict[str, str]:
    wanted = {key for key in users.values() if key is not None}
    if not wanted:
        return {}
    members = Membership.objects.filter(organization_id=organization_id, user_id__in=wanted)
    known = set(members.values_list("user_id", flat=True))
    return {name: GONE for name, key in users.items() if key is not None and key not in known}
