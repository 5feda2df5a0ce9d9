"""Activities of leads: notes, calls, mails, messages and meetings as they are written down (close-api.md 4.11).

Writing one down does nothing else: no mail is sent, no number is called.
"""

from collections.abc import Mapping
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from crm.lead_parts import change_part, check_people, held_part, hold_lead
from crm.models import Activity, Organization, User


def activities_of(organization_id: UUID) -> QuerySet[Activity]:
    """The organization's activities; those of a deleted lead are not to be seen."""
    return Activity.objects.filter(organization_id=organization_id, lead__deleted_at__isnull=True)


@transaction.atomic
def create_activity(*, organization: Organization, by: User, type: str, columns: Mapping[str, object]) -> Activity:
    """A new activity. `columns` holds what is known of it, `lead_id` among it; without `user_id` it is that of `by`.

    Raises `FieldErrors` for a lead, a contact or a user that is not there.
    """
    known = {"user_id": by.pk, **columns}
    hold_lead(known["lead_id"], organization.pk)
    check_people(
        organization.pk,
        lead_id=known["lead_id"],
        contact_id=known.get("contact_id"),
        users={"user_id": known["user_id"]},
    )
    made = Activity.objects.create(organization=organization, type=type, created_by=by, updated_by=by, **known)
    made.refresh_from_db()
    return made


@transaction.atomic
def update_activity(
    *, activity_id: UUID, organization: Organization, by: User, columns: Mapping[str, object]
) -> Activity:
    """Change `columns`. The lead stays: activities move only with their lead. Raises `NotFound`, `FieldErrors`."""
    return change_part(
        activities_of(organization.pk),
        activity_id,
        organization_id=organization.pk,
        by=by,
        columns=columns,
        users={"user_id": columns.get("user_id")},
    )


@transaction.atomic
def delete_activity(*, activity_id: UUID, organization: Organization) -> None:
    """Delete the activity for good. Raises `NotFound`."""
    held_part(activities_of(organization.pk), activity_id, organization.pk).delete()
