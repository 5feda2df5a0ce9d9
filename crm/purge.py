"""Removing leads for good, with all that hangs on them.

What other apps hold of them they take out themselves: each removed lead leaves a `PurgedLead`, in the same transaction,
until they have done so.
"""

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from django.db import connection

# Bounded, and never waiting: rows that somebody else holds are left for the next time.
_LONG_DELETED = """
    SELECT id, organization_id FROM crm_lead WHERE deleted_at < now() - %(age)s::interval
    ORDER BY deleted_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
"""
_ONE = "SELECT id, organization_id FROM crm_lead WHERE id = %(lead)s FOR UPDATE"

_PURGE = """
WITH doomed AS MATERIALIZED ({doomed}),
people AS MATERIALIZED (SELECT contact.id FROM crm_contact AS contact JOIN doomed ON doomed.id = contact.lead_id),
noted AS (
    INSERT INTO crm_purgedlead (lead_id, organization_id, addresses, contacts)
    SELECT id, organization_id, ARRAY(
        SELECT email FROM crm_contactemail JOIN crm_contact AS contact ON contact.id = contact_id
        WHERE contact.lead_id = doomed.id), ARRAY(SELECT id FROM crm_contact WHERE lead_id = doomed.id)
    FROM doomed),
emails AS (DELETE FROM crm_contactemail WHERE contact_id IN (SELECT id FROM people)),
phones AS (DELETE FROM crm_contactphone WHERE contact_id IN (SELECT id FROM people)),
urls AS (DELETE FROM crm_contacturl WHERE contact_id IN (SELECT id FROM people)),
addresses AS (DELETE FROM crm_address WHERE lead_id IN (SELECT id FROM doomed) RETURNING id),
changes AS (DELETE FROM crm_leadstatuschange WHERE lead_id IN (SELECT id FROM doomed) RETURNING id),
deals AS (DELETE FROM crm_opportunity WHERE lead_id IN (SELECT id FROM doomed) RETURNING id),
moves AS (DELETE FROM crm_opportunitystatuschange WHERE opportunity_id IN (SELECT id FROM deals)),
-- A deal of another lead, with a contact that has moved since: not one row with the deals above.
orphans AS (
    UPDATE crm_opportunity SET contact_id = NULL
    WHERE contact_id IN (SELECT id FROM people) AND (lead_id IS NULL OR lead_id NOT IN (SELECT id FROM doomed))),
done AS (DELETE FROM crm_activity WHERE lead_id IN (SELECT id FROM doomed) RETURNING id),
done_on_deals AS (DELETE FROM crm_activity WHERE lead_id IS NULL AND opportunity_id IN (SELECT id FROM deals)),
done_elsewhere AS (
    UPDATE crm_activity SET contact_id = NULL
    WHERE contact_id IN (SELECT id FROM people)
      AND NOT coalesce(lead_id IN (SELECT id FROM doomed), opportunity_id IN (SELECT id FROM deals), false)),
to_do AS (DELETE FROM crm_task WHERE lead_id IN (SELECT id FROM doomed) RETURNING id),
to_do_elsewhere AS (
    UPDATE crm_task SET contact_id = NULL
    WHERE contact_id IN (SELECT id FROM people) AND lead_id NOT IN (SELECT id FROM doomed)),
subscriptions AS (
    DELETE FROM crm_sequencesubscription
    WHERE contact_id IN (SELECT id FROM people) OR lead_id IN (SELECT id FROM doomed)
    RETURNING id),
told AS (DELETE FROM crm_webhookdelivery WHERE lead_id IN (SELECT id FROM doomed)),
contacts AS (DELETE FROM crm_contact WHERE id IN (SELECT id FROM people)),
leads AS (DELETE FROM crm_lead WHERE id IN (SELECT id FROM doomed) RETURNING id)
SELECT (SELECT count(*) FROM leads), (SELECT count(*) FROM people), (SELECT count(*) FROM addresses),
       (SELECT count(*) FROM deals), (SELECT count(*) FROM done), (SELECT count(*) FROM to_do),
       (SELECT count(*) FROM changes), (SELECT count(*) FROM subscriptions)
"""
_COUNTED = ("leads", "contacts", "addresses", "opportunities", "activities", "tasks", "status changes", "subscriptions")


def purge_deleted(*, older_than: timedelta, limit: int) -> int:
    """Remove up to `limit` leads marked as deleted longer ago; returns how many."""
    return _purge(_LONG_DELETED, {"age": older_than, "limit": limit})["leads"]


_PURGE_DEALS = """
WITH doomed AS MATERIALIZED (
    SELECT id FROM crm_opportunity WHERE deleted_at < now() - %(age)s::interval
    ORDER BY deleted_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED),
moves AS (DELETE FROM crm_opportunitystatuschange WHERE opportunity_id IN (SELECT id FROM doomed)),
done AS (UPDATE crm_activity SET opportunity_id = NULL WHERE opportunity_id IN (SELECT id FROM doomed)),
deals AS (DELETE FROM crm_opportunity WHERE id IN (SELECT id FROM doomed) RETURNING id)
SELECT count(*) FROM deals
"""


def purge_deleted_deals(*, older_than: timedelta, limit: int) -> int:
    """Remove up to `limit` deals marked as deleted longer ago; returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(_PURGE_DEALS, {"age": older_than, "limit": limit})
        return cursor.fetchone()[0]


def purge_lead(lead_id: UUID) -> dict[str, int]:
    """Remove this lead, live or marked, waiting for whoever holds it; returns how many rows of what are gone."""
    return _purge(_ONE, {"lead": lead_id})


def _purge(doomed: str, parameters: Mapping[str, object]) -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute(_PURGE.format(doomed=doomed), parameters)
        return dict(zip(_COUNTED, cursor.fetchone(), strict=True))
