"""Lead statuses: making, naming and deleting them while others use them.

Leads refer to statuses without a constraint (`Lead.status`). In its place stand two locks on the status row: whoever is
about to write a status into leads holds it FOR KEY SHARE until commit; whoever deletes takes it FOR UPDATE, and only
then looks for leads.
"""

from uuid import UUID

from django.db import transaction
from django.db.models import Max
from django.db.models.functions import Now

from crm.errors import FieldErrors, Invalid, NotFound
from crm.locks import hold_row, hold_rows, lock_customizations
from crm.models import Lead, LeadStatus, Organization
from crm.slugs import unique_slug
from crm.text import clean_name


def hold_status(status_id: UUID, organization_id: UUID) -> bool:
    """Keep the status from being deleted until this transaction ends; False when the organization has none such."""
    return hold_row(LeadStatus, "id = %s AND organization_id = %s", [status_id, organization_id]) is not None


def hold_statuses(organization_id: UUID) -> None:
    """Keep every status that the organization has from being deleted until this transaction ends."""
    hold_rows(LeadStatus, "organization_id = %s ORDER BY id", [organization_id])


def hold_default_status(organization_id: UUID) -> UUID:
    """Hold the organization's first status and give its id; `Invalid` when there is none."""
    status_id = hold_row(LeadStatus, "organization_id = %s ORDER BY position, id LIMIT 1", [organization_id])
    if status_id is None:
        raise Invalid(["The organization has no lead status."])
    return status_id


@transaction.atomic
def create_status(*, organization: Organization, label: object) -> LeadStatus:
    """A new status at the end of the list. `FieldErrors` for a label that is empty or taken."""
    lock_customizations(organization.pk)
    cleaned = _free_label(organization.pk, label)
    statuses = LeadStatus.objects.filter(organization=organization)
    last = statuses.aggregate(last=Max("position"))["last"]
    return LeadStatus.objects.create(
        organization=organization,
        label=cleaned,
        slug=unique_slug(cleaned, set(statuses.values_list("slug", flat=True))),
        position=0 if last is None else last + 1,
    )


@transaction.atomic
def rename_status(*, status: LeadStatus, label: object) -> LeadStatus:
    """Give the status another label; its slug stays. `FieldErrors` for a label that is empty or taken."""
    lock_customizations(status.organization_id)
    cleaned = _free_label(status.organization_id, label, but=status.pk)
    # Touches no column of a key, so those who hold the status are not waited for.
    if not LeadStatus.objects.filter(pk=status.pk).update(label=cleaned, date_updated=Now()):
        raise NotFound
    status.refresh_from_db()
    return status


@transaction.atomic
def delete_status(*, status: LeadStatus) -> None:
    """Delete a status that no lead has, not even one that is marked as deleted (it may be undeleted); else `Invalid`.

    Waits for transactions that hold the status. The last status of an organization stays: new leads need one.
    """
    lock_customizations(status.organization_id)
    if not LeadStatus.objects.select_for_update().filter(pk=status.pk).exists():
        raise NotFound
    leads = Lead.all_objects.filter(organization_id=status.organization_id, status_id=status.pk)
    # Asked one by one: each half of the leads has an index of its own.
    if any(leads.filter(deleted_at__isnull=is_live).exists() for is_live in (True, False)):
        raise Invalid(["The status is used by leads (those deleted in the last 30 days included)."])
    if not LeadStatus.objects.filter(organization_id=status.organization_id).exclude(pk=status.pk).exists():
        raise Invalid(["The last status of an organization cannot be deleted."])
    LeadStatus.objects.filter(pk=status.pk).delete()


def _free_label(organization_id: UUID, label: object, *, but: UUID | None = None) -> str:
    cleaned = clean_name(label, path="label")
    if LeadStatus.objects.filter(organization_id=organization_id, label=cleaned).exclude(pk=but).exists():
        raise FieldErrors({"label": "There is a status with this label already."})
    return cleaned
