"""Removing for good what was marked as deleted long ago."""

from datetime import timedelta

from django.db import connection

# Bounded, and never waiting: rows that somebody else holds are left for the next time.
_PURGE = """
WITH doomed AS MATERIALIZED (
    SELECT id FROM crm_lead WHERE deleted_at < now() - %(age)s::interval
    ORDER BY deleted_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED),
people AS MATERIALIZED (SELECT contact.id FROM crm_contact AS contact JOIN doomed ON doomed.id = contact.lead_id),
emails AS (DELETE FROM crm_contactemail WHERE contact_id IN (SELECT id FROM people)),
phones AS (DELETE FROM crm_contactphone WHERE contact_id IN (SELECT id FROM people)),
urls AS (DELETE FROM crm_contacturl WHERE contact_id IN (SELECT id FROM people)),
addresses AS (DELETE FROM crm_address WHERE lead_id IN (SELECT id FROM doomed)),
changes AS (DELETE FROM crm_leadstatuschange WHERE lead_id IN (SELECT id FROM doomed)),
deals AS (DELETE FROM crm_opportunity WHERE lead_id IN (SELECT id FROM doomed) RETURNING id),
moves AS (DELETE FROM crm_opportunitystatuschange WHERE opportunity_id IN (SELECT id FROM deals)),
-- A deal of another lead, with a contact that has moved since: not one row with the deals above.
orphans AS (
    UPDATE crm_opportunity SET contact_id = NULL
    WHERE contact_id IN (SELECT id FROM people) AND (lead_id IS NULL OR lead_id NOT IN (SELECT id FROM doomed))),
done AS (DELETE FROM crm_activity WHERE lead_id IN (SELECT id FROM doomed)),
done_elsewhere AS (
    UPDATE crm_activity SET contact_id = NULL
    WHERE contact_id IN (SELECT id FROM people) AND lead_id NOT IN (SELECT id FROM doomed)),
to_do AS (DELETE FROM crm_task WHERE lead_id IN (SELECT id FROM doomed)),
to_do_elsewhere AS (
    UPDATE crm_task SET contact_id = NULL
    WHERE contact_id IN (SELECT id FROM people) AND lead_id NOT IN (SELECT id FROM doomed)),
subscriptions AS (DELETE FROM crm_sequencesubscription WHERE contact_id IN (SELECT id FROM people)),
contacts AS (DELETE FROM crm_contact WHERE id IN (SELECT id FROM people))
DELETE FROM crm_lead WHERE id IN (SELECT id FROM doomed)
"""


def purge_deleted(*, older_than: timedelta, limit: int) -> int:
    """Delete up to `limit` leads marked as deleted longer ago, with all that hangs on them; returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(_PURGE, {"age": older_than, "limit": limit})
        return cursor.rowcount
