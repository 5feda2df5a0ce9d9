"""What the members of an organization are to it: their roles."""

from collections.abc import Sequence
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from crm.auth import Caller
from crm.errors import FieldErrors, Forbidden, Invalid
from crm.locks import lock_customizations
from crm.models import PERMISSIONS_OF_ROLE, Membership, Role


@transaction.atomic
def set_role(*, caller: Caller, membership_ids: Sequence[UUID], role: object) -> None:
    """Give those of these memberships that the caller's organization has that role, ended ones too; all or none.

    `FieldErrors` for an unknown role. `Forbidden` where the old or the new role may do what the caller may not: nobody
    can raise others, or themselves, above their own place. `Invalid` where the last active admin would become less.
    """
    organization_id = caller.organization.pk
    lock_customizations(organization_id)  # two admins who demote each other at once would leave none
    if role not in Role.values:
        raise FieldErrors({"role_id": f"Not a valid choice. One of: {', '.join(Role.values)}"})
    chosen = Membership.objects.filter(organization_id=organization_id, pk__in=membership_ids)
    roles = set(chosen.values_list("role", flat=True))
    for concerned in {role} | roles:
        if not all(caller.may(permission) for permission in PERMISSIONS_OF_ROLE[concerned]):
            raise Forbidden(f"You may do less than the role '{concerned}': you cannot give or take it.")
    chosen.exclude(role=role).update(role=role, date_updated=Now())
    admins = Membership.objects.filter(organization_id=organization_id, role=Role.ADMIN, is_active=True)
    if Role.ADMIN in roles and not admins.exists():
        raise Invalid(["The organization would be left without an admin."])
