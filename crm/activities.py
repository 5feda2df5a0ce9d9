"""Activities of leads: notes, calls, mails, messages and meetings as they are written down (close-api.md 4.11).

Writing one down does nothing else: no mail is sent, no number is called.
"""

from collections.abc import Mapping
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from crm.contacts import contacts_of
from crm.errors import FieldErrors
from crm.lead_parts import GONE, change_part, check_people, held_part, hold_lead, holds_lead
from crm.models import Activity, Organization, User
from crm.opportunities import deals_of


def activities_of(organization_id: UUID) -> QuerySet[Activity]:
    """The organization's activities of live leads. Close sees no others."""
    return Activity.objects.filter(
        lead__organization_id=organization_id, lead__deleted_at__isnull=True, organization_id=organization_id
    )


def all_activities_of(organization_id: UUID) -> QuerySet[Activity]:
    """The organization's activities, those without a lead as well; those of a deleted lead are not to be seen."""
    live = Q(lead__isnull=True) | Q(lead__deleted_at__isnull=True)
    return Activity.objects.filter(live, organization_id=organization_id)


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
    held_part(all_activities_of(organization.pk), activity_id, organization.pk).delete()


@transaction.atomic
def create_entry(*, organization: Organization, by: User, columns: Mapping[str, object]) -> Activity:
    """BlueAI's: an activity of a deal (`opportunity_id`), of a contact, of both or of neither (blueai-api.md 5).

    It is one of the deal's lead, else of the contact's, where they have one. `FieldErrors` for what is not there.
    """
    lead_id = _lead_of(organization, columns)
    made = Activity.objects.create(
        organization=organization, lead_id=lead_id, user=by, created_by=by, updated_by=by, **columns
    )
    made.refresh_from_db()
    return made


@transaction.atomic
def update_entry(*, activity_id: UUID, organization: Organization, by: User, columns: Mapping[str, object]) -> Activity:
    """Change `columns` of any activity; its lead stays. Raises `NotFound`, `FieldErrors`."""
    _lead_of(organization, columns)
    activity = held_part(all_activities_of(organization.pk), activity_id, organization.pk)
    for column, value in columns.items():
        setattr(activity, column, value)
    activity.updated_by, activity.date_updated = by, Now()
    activity.save(update_fields=[*columns, "updated_by", "date_updated"])
    activity.refresh_from_db()
    return activity


def _lead_of(organization: Organization, columns: Mapping[str, object]) -> UUID | None:
    """Hold the deal and the contact that `columns` name until this transaction ends; the lead that they are of."""
    named = {
        name: rows.filter(pk=columns[name])
        for name, rows in (("opportunity_id", deals_of(organization.pk)), ("contact_id", contacts_of(organization.pk)))
        if columns.get(name) is not None
    }
    # The lead before what is of it, as whoever merges leads or deletes a company takes them.
    for lead_id in sorted({row.lead_id for rows in named.values() for row in rows if row.lead_id}):
        holds_lead(lead_id, organization.pk)
    found: list[UUID | None] = []
    for name, rows in named.items():
        row = rows.select_for_update(of=("self",), no_key=True).first()
        if row is None:
            raise FieldErrors({"deal_id" if name == "opportunity_id" else name: GONE})
        found.append(row.lead_id)
    lead_id = next((key for key in found if key), None)
    # A merge may just have moved them away: then it is an activity of none, rather than of a lead that is gone.
    return lead_id if lead_id and holds_lead(lead_id, organization.pk) else None
