"""What files call people and lead statuses."""

from uuid import UUID

from crm.ids import close_id
from crm.models import LeadStatus, Membership
from crm.text import composed


def statuses_by_name(organization_id: UUID) -> dict[str, str]:
    """The keys of the lead statuses by id, slug and label; of equal labels the first."""
    found: dict[str, str] = {}
    for status in LeadStatus.objects.filter(organization=organization_id).order_by("position", "pk"):
        for name in (close_id("stat", status.pk), status.slug, status.label):
            found.setdefault(composed(name).casefold(), str(status.pk))
    return found


def members_by_name(organization_id: UUID) -> dict[str, str]:
    """The keys of the active members by id, address and name; a name of two people is nobody's."""
    found: dict[str, str] = {}
    doubled: set[str] = set()
    members = Membership.objects.filter(organization=organization_id, is_active=True, user__is_active=True)
    for member in members.select_related("user").order_by("pk"):
        user = member.user
        name = composed(user.full_name).casefold()
        if name in found:
            doubled.add(name)
        for known in (close_id("user", user.pk).casefold(), user.email.casefold(), name):
            found.setdefault(known, str(user.pk))
    return {name: key for name, key in found.items() if name and name not in doubled}
