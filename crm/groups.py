"""Groups of people: making and naming them, and who is in them."""

from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from crm.errors import FieldErrors, NotFound
from crm.locks import lock_customizations
from crm.models import Group, Membership, Organization, User
from crm.text import clean_name


@transaction.atomic
def create_group(*, organization: Organization, name: object) -> Group:
    """A new group without members. `FieldErrors` for a name that is empty or taken."""
    lock_customizations(organization.pk)
    return Group.objects.create(organization=organization, name=_free_name(organization.pk, name))


@transaction.atomic
def rename_group(*, group: Group, name: object) -> None:
    """Give the group another name. `FieldErrors` for a name that is empty or taken."""
    lock_customizations(group.organization_id)
    group.name = _free_name(group.organization_id, name, but=group.pk)
    if not Group.objects.filter(pk=group.pk).update(name=group.name, date_updated=Now()):
        raise NotFound


def delete_group(*, group: Group) -> None:
    """Delete a group. Its members stay; a condition that names it matches nobody from then on."""
    Group.objects.filter(pk=group.pk).delete()


@transaction.atomic
def add_member(*, group: Group, user_id: UUID | None) -> User:
    """Put a member of the organization into the group; who is in it already stays. `FieldErrors` for anybody else."""
    if not Group.objects.select_for_update(no_key=True).filter(pk=group.pk).exists():
        raise NotFound
    memberships = Membership.objects.filter(organization_id=group.organization_id, user_id=user_id, is_active=True)
    membership = memberships.select_related("user").first()
    if membership is None:
        raise FieldErrors({"user_id": "Object does not exist."})
    group.members.add(membership.user)
    return membership.user


def remove_member(*, group: Group, user_id: UUID | None) -> None:
    """Take somebody out of the group; `NotFound` where they are not in it."""
    removed, _ = Group.members.through.objects.filter(group_id=group.pk, user_id=user_id).delete()
    if not removed:
        raise NotFound


def _free_name(organization_id: UUID, name: object, *, but: UUID | None = None) -> str:
    cleaned = clean_name(name, path="name")
    if Group.objects.filter(organization_id=organization_id, name=cleaned).exclude(pk=but).exists():
        raise FieldErrors({"name": "There is a group with this name already."})
    return cleaned
