"""Deleting a lead the way BlueAI deletes a company: its contacts and deals stay, without a company.

`detached_from` remembers where they belonged, so that a lead that comes back gets those that nobody has moved since.
"""

from uuid import UUID

from django.db import connection, transaction
from django.db.models.functions import Now

from crm.errors import NotFound
from crm.leads import leads_of
from crm.models import Lead, Organization, User

# CTEs beside a statement that marks leads as deleted, or brings them back, and returns them as `changed` (lead_id).
DETACH = {
    f"detached_{table}": f"""
        UPDATE {table} SET lead_id = NULL, detached_from = lead_id, date_updated = statement_timestamp()
        WHERE lead_id IN (SELECT lead_id FROM changed)"""
    for table in ("crm_contact", "crm_opportunity")
}
ATTACH = {
    f"attached_{table}": f"""
        UPDATE {table} SET lead_id = detached_from, detached_from = NULL, date_updated = statement_timestamp()
        WHERE detached_from IN (SELECT lead_id FROM changed) AND lead_id IS NULL"""
    for table in ("crm_contact", "crm_opportunity")
}


@transaction.atomic
def delete_company(*, lead_id: UUID, organization: Organization, by: User) -> None:
    """Mark the lead as deleted and detach its contacts and deals. Raises `NotFound`."""
    # FOR UPDATE: whoever is adding something to the lead holds it FOR KEY SHARE, and is waited for.
    lead: Lead | None = leads_of(organization.pk).select_for_update().filter(pk=lead_id).first()
    if lead is None:
        raise NotFound
    lead.deleted_at = lead.date_updated = Now()
    lead.updated_by = by
    lead.save(update_fields=["deleted_at", "date_updated", "updated_by"])
    parts = ", ".join(f"{name} AS ({sql})" for name, sql in DETACH.items())
    with connection.cursor() as cursor:
        cursor.execute(f"WITH changed AS (SELECT %s::uuid AS lead_id), {parts} SELECT", [lead.pk])
