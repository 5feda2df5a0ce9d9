"""Tasks of people: what is still to do with a lead (close-api.md 4.5)."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from crm.lead_parts import change_part, check_members, check_people, held_part, hold_lead
from crm.models import Organization, Task, User
from crm.sequences.to_do import release_waiting


def tasks_of(organization_id: UUID) -> QuerySet[Task]:
    """The organization's tasks, complete or not; those of a deleted lead are not to be seen."""
    return Task.objects.filter(organization_id=organization_id, lead__deleted_at__isnull=True)


def due_columns(due: date | datetime | None) -> dict[str, date | datetime | None]:
    """The two columns of a due date: a moment has its day (in UTC) in the first one as well."""
    if isinstance(due, datetime):
        return {"due_date": due.astimezone(UTC).date(), "due_at": due}
    return {"due_date": due, "due_at": None}


@transaction.atomic
def create_task(*, organization: Organization, by: User, columns: Mapping[str, object]) -> Task:
    """A new task. `columns` holds what is known of it, `lead_id` among it; without `assigned_to_id` it is for `by`.

    Raises `FieldErrors` for a lead, a contact or a user that is not there.
    """
    known = {"assigned_to_id": by.pk, **columns}
    hold_lead(known["lead_id"], organization.pk)
    check_people(
        organization.pk,
        lead_id=known["lead_id"],
        contact_id=known.get("contact_id"),
        users={"assigned_to": known["assigned_to_id"]},
    )
    made = Task.objects.create(organization=organization, created_by=by, updated_by=by, **known)
    made.refresh_from_db()
    return made


@transaction.atomic
def update_task(*, task_id: UUID, organization: Organization, by: User, columns: Mapping[str, object]) -> Task:
    """Change `columns`; the lead stays. Raises `NotFound`, `FieldErrors`."""
    task = change_part(
        tasks_of(organization.pk),
        task_id,
        organization_id=organization.pk,
        by=by,
        columns=columns,
        users={"assigned_to": columns.get("assigned_to_id")},
    )
    if columns.get("is_complete"):
        release_waiting(Task.objects.filter(pk=task.pk))
    return task


@transaction.atomic
def update_tasks(*, tasks: QuerySet[Task], organization: Organization, by: User, columns: Mapping[str, object]) -> int:
    """Change `columns` of all of `tasks` (tasks of `tasks_of`) in one statement; returns how many there were.

    Raises `FieldErrors` for a user who is no member.
    """
    check_members(organization.pk, {"assigned_to": columns.get("assigned_to_id")})
    if columns.get("is_complete"):
        release_waiting(tasks)  # before: afterwards the filter may not find them any more
    return tasks.order_by().update(**columns, updated_by=by, date_updated=Now())


@transaction.atomic
def delete_task(*, task_id: UUID, organization: Organization) -> None:
    """Delete the task for good. Raises `NotFound`."""
    task = held_part(tasks_of(organization.pk), task_id, organization.pk)
    release_waiting(Task.objects.filter(pk=task.pk))
    task.delete()
