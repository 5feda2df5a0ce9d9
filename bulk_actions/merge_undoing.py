"""The undo of an import: what a merge made is deleted, what it changed is restored.

Where a lead still holds what was written, or always (`force`). What the merge did is `given` to the batches as
`actions/imports.py` has it; one that may not be touched is skipped, and told of by a code of `_MESSAGES`.
"""

from collections.abc import Mapping, Sequence

from django.db import connection

from bulk_actions.actions.base import GONE_MESSAGE
from bulk_actions.models import BulkAction
from crm.contacts import remove_contacts
from crm.locks import hold_rows
from crm.merging.rows import ADDRESS_COLUMNS, CONTACT_COLUMNS, LEAD_COLUMNS
from crm.models import CustomField
from crm.statuses import hold_statuses

_MESSAGES = {
    "lead_gone": GONE_MESSAGE,
    "contact_gone": "The contact was deleted after the job had begun.",
    "changed_since": "The lead or contact no longer holds what the job had written.",
    "value_gone": "What the lead or contact held before is not a valid value any more.",
}
# The tables of what belongs to leads and contacts, with the columns that a merge may change.
_DETAILS: Mapping[str, tuple[str, Sequence[str]]] = {
    "email": ("crm_contactemail", ["email"]),
    "phone": ("crm_contactphone", ["phone"]),
    "url": ("crm_contacturl", []),
    "address": ("crm_address", ADDRESS_COLUMNS),
}


def take_back(action: BulkAction, batch_ids: Sequence[int]) -> None:
    """Take back what a merge did to the leads (or contacts) of these batches, and write down what became of each."""
    hold_statuses(action.organization_id)
    fields = hold_rows(CustomField, "organization_id = %s ORDER BY id", [action.organization_id])
    keys = [field.key for field in CustomField.objects.filter(pk__in=fields)]
    common = {
        "batches": list(batch_ids),
        "organization": action.organization_id,
        "user": action.created_by_id,
        "action": action.pk,
        "force": action.params["force"],
        "fields": keys,
        "messages": list(_MESSAGES.values()),
        "codes": list(_MESSAGES),
    }
    with connection.cursor() as cursor:
        if action.is_over_contacts:
            cursor.execute(_LOCK_LEADS_OF_BEFORE, common)
            cursor.execute(_LOCK_THESE_CONTACTS, common)
            cursor.execute(_JUDGE_CONTACTS, common)
        else:
            cursor.execute(_LOCK_LEADS, common)
            cursor.execute(_LOCK_CONTACTS, common)
            cursor.execute(_JUDGE, common)
        cursor.execute(_NOTE, common)
        for statement in (_DELETE_CREATED, _RESTORE_LEADS, _RESTORE_CONTACTS, *_RESTORE_DETAILS, *_REMOVE_DETAILS):
            cursor.execute(statement, common)
        if action.is_over_contacts:
            cursor.execute(_TAKE_SUBSCRIPTIONS_BACK, common)
            cursor.execute(_RESTORE_SUBSCRIPTIONS, common)
        cursor.execute(_ADDED_CONTACTS, common)
        if added := [key for (key,) in cursor.fetchall()]:
            remove_contacts(added)
        cursor.execute(_DONE, common)
        cursor.execute("DROP TABLE import_undo")


# Leads before contacts, each in the order of their keys, as everybody takes them.
_LOCK_LEADS = """
    SELECT FROM crm_lead WHERE organization_id = %(organization)s AND id = ANY(ARRAY(
        SELECT unnest(lead_ids) FROM bulk_actions_batch WHERE id = ANY(%(batches)s)))
    ORDER BY id FOR NO KEY UPDATE
"""
_TARGET = """
    SELECT batch.id AS batch_id, target.lead_id, target.given->'to' AS was
    FROM bulk_actions_batch AS batch, unnest(batch.lead_ids, batch.given) AS target(lead_id, given)
    WHERE batch.id = ANY(%(batches)s)
"""
# Those of the leads, and what the merge made or changed, wherever it is by now.
_LOCK_CONTACTS = f"""
    WITH target AS MATERIALIZED ({_TARGET})
    SELECT FROM crm_contact WHERE id = ANY(ARRAY(
        SELECT contact.id FROM crm_contact AS contact WHERE contact.lead_id IN (SELECT lead_id FROM target)
        UNION
        SELECT (part->>'id')::uuid FROM target
        CROSS JOIN LATERAL jsonb_array_elements((was->'made') || (was->'changes')) AS part
        WHERE part->>'table' = 'contact'))
    ORDER BY id FOR NO KEY UPDATE
"""


def _held(row: str) -> str:
    """The row as JSON, custom values as `custom.<key>`: the words of `crm.merging.Change`."""
    custom = f"SELECT jsonb_object_agg('custom.' || key, value) FROM jsonb_each({row}.custom)"
    return f"to_jsonb({row}) - 'custom' || coalesce(({custom}), '{{}}')"


_HELD_DETAILS = "".join(
    f"""
        UNION ALL
        SELECT wrote.lead_id, after, to_jsonb(detail), false
        FROM wrote LEFT JOIN {table} AS detail ON detail.id = wrote.id WHERE kind = '{kind}'"""
    for kind, (table, _) in _DETAILS.items()
)


# A created lead that nobody has written to since was updated when it was created, and has the contacts that it was
# given, none written to after the merge: whoever writes to what belongs to a contact writes to the contact. Of a
# contact that was added the same holds; of what else was added or changed the values decide. A lead of which the ledger
# holds nothing any more has been removed for good.
_JUDGE = f"""
    CREATE TEMPORARY TABLE import_undo ON COMMIT DROP AS
    WITH target AS MATERIALIZED ({_TARGET}),
    change AS MATERIALIZED (
        SELECT lead_id, change->>'table' AS kind, (change->>'id')::uuid AS id, change->'before' AS before,
               change->'after' AS after
        FROM target CROSS JOIN LATERAL jsonb_array_elements(was->'changes') AS change),
    made AS MATERIALIZED (
        SELECT lead_id, made->>'table' AS kind, (made->>'id')::uuid AS id, made->'after' AS after,
               (was->>'noted')::timestamptz AS noted
        FROM target CROSS JOIN LATERAL jsonb_array_elements(was->'made') AS made),
    wrote AS MATERIALIZED (  -- of what the same job has made and then changed, what it held in the end
        SELECT lead_id, kind, id, coalesce(made.after, '{{}}') || coalesce(change.after, '{{}}') AS after, noted
        FROM change FULL JOIN made USING (lead_id, kind, id)),
    held AS (
        SELECT wrote.lead_id, after, {_held("lead")} AS held, false AS is_later
        FROM wrote LEFT JOIN crm_lead AS lead ON lead.id = wrote.id WHERE kind = 'lead'
        UNION ALL
        SELECT wrote.lead_id, after, {_held("contact")}, contact.date_updated > noted
        FROM wrote LEFT JOIN crm_contact AS contact ON contact.id = wrote.id WHERE kind = 'contact'
        {_HELD_DETAILS}),
    other AS (
        SELECT DISTINCT lead_id FROM held WHERE held.held IS NULL OR held.is_later OR EXISTS (
            SELECT FROM jsonb_each(held.after) AS value
            WHERE coalesce(held.held->value.key, 'null') IS DISTINCT FROM value.value)),
    people AS (
        SELECT lead_id, count(*) AS n, max(date_updated) AS written FROM crm_contact
        WHERE lead_id = ANY(ARRAY(SELECT lead_id FROM target WHERE (was->>'created')::boolean))
        GROUP BY lead_id),
    gone AS (
        SELECT lead_id FROM change WHERE kind = 'lead' AND before ? 'status_id' AND NOT EXISTS (
            SELECT FROM crm_leadstatus AS status
            WHERE status.organization_id = %(organization)s AND status.id = (before->>'status_id')::uuid))
    SELECT target.batch_id, target.lead_id, target.was,
           CASE WHEN lead.id IS NULL OR lead.deleted_at IS NOT NULL OR coalesce(target.was, 'null') = 'null'
                    THEN 'lead_gone'
                WHEN NOT %(force)s AND ((target.was->>'created')::boolean AND (
                            lead.date_updated <> coalesce((target.was->>'at')::timestamptz, lead.date_created)
                            OR people.written > (target.was->>'noted')::timestamptz
                            OR coalesce(people.n, 0) <> (target.was->>'contacts')::integer)
                        OR target.lead_id IN (SELECT lead_id FROM other)) THEN 'changed_since'
                WHEN target.lead_id IN (SELECT lead_id FROM gone) THEN 'value_gone' END AS code
    FROM target LEFT JOIN people ON people.lead_id = target.lead_id LEFT JOIN crm_lead AS lead
        ON lead.id = target.lead_id AND lead.organization_id = %(organization)s
"""
# What is to refer to a lead again: contacts, and their subscriptions.
_LEADS_OF_BEFORE = f"""
    SELECT target.lead_id AS contact_id, change->>'table' AS kind, (change->'before'->>'lead_id')::uuid AS lead_id
    FROM ({_TARGET}) AS target CROSS JOIN LATERAL jsonb_array_elements(was->'changes') AS change
    WHERE change->'before'->>'lead_id' IS NOT NULL
"""
_LOCK_LEADS_OF_BEFORE = f"""
    SELECT FROM crm_lead WHERE organization_id = %(organization)s AND id = ANY(ARRAY(
        SELECT lead_id FROM ({_LEADS_OF_BEFORE}) AS before))
    ORDER BY id FOR NO KEY UPDATE
"""
_LOCK_THESE_CONTACTS = """
    SELECT FROM crm_contact WHERE organization_id = %(organization)s AND id = ANY(ARRAY(
        SELECT unnest(lead_ids) FROM bulk_actions_batch WHERE id = ANY(%(batches)s)))
    ORDER BY id FOR NO KEY UPDATE
"""
# A contact would not be seen any more with a deleted lead. What was left behind by one keeps its subscriptions there.
_JUDGE_CONTACTS = f"""
    CREATE TEMPORARY TABLE import_undo ON COMMIT DROP AS
    WITH gone AS (
        SELECT before.contact_id FROM ({_LEADS_OF_BEFORE}) AS before LEFT JOIN crm_lead AS lead
            ON lead.id = before.lead_id AND lead.organization_id = %(organization)s
        WHERE lead.id IS NULL OR kind = 'contact' AND lead.deleted_at IS NOT NULL)
    SELECT target.batch_id, target.lead_id, target.was,
           CASE WHEN contact.id IS NULL OR coalesce(target.was, 'null') = 'null' THEN 'contact_gone'
                WHEN NOT %(force)s AND contact.date_updated <> (target.was->>'at')::timestamptz THEN 'changed_since'
                WHEN target.lead_id IN (SELECT contact_id FROM gone) THEN 'value_gone' END AS code
    FROM ({_TARGET}) AS target LEFT JOIN crm_contact AS contact
        ON contact.id = target.lead_id AND contact.organization_id = %(organization)s
"""
_NOTE = """
    INSERT INTO bulk_actions_leadoutcome (action_id, batch_id, lead_id, outcome, code, message)
    SELECT %(action)s, batch_id, lead_id, 'skipped', code, message
    FROM import_undo JOIN unnest(%(codes)s::text[], %(messages)s::text[]) AS told(code, message) USING (code)
"""
_DELETE_CREATED = """
    UPDATE crm_lead SET deleted_at = statement_timestamp(), deleted_by_action = %(action)s,
        date_updated = statement_timestamp(), updated_by_id = %(user)s
    WHERE id = ANY(ARRAY(SELECT lead_id FROM import_undo WHERE code IS NULL AND (was->>'created')::boolean))
"""
_CHANGES = """
    SELECT (change->>'id')::uuid AS id, change->'before' AS before, change->'after' AS after
    FROM import_undo CROSS JOIN LATERAL jsonb_array_elements(was->'changes') AS change
    WHERE code IS NULL AND change->>'table' = '{kind}'
"""


def _restored(row: str, columns: Mapping[str, str]) -> str:
    """Each column that was changed as it was before, and custom values of fields that there are still."""
    plain = ", ".join(
        f"{name} = CASE WHEN change.before ? '{name}' THEN (change.before->>'{name}')::{sql_type} ELSE {row}.{name} END"
        for name, sql_type in columns.items()
    )
    return f"""{plain},
        custom = {row}.custom - ARRAY(
            SELECT substr(key, 8) FROM jsonb_object_keys(change.after) AS key WHERE key LIKE 'custom.%%')
            || coalesce((
                SELECT jsonb_object_agg(substr(key, 8), value) FROM jsonb_each(change.before)
                WHERE key LIKE 'custom.%%' AND substr(key, 8) = ANY(%(fields)s)), '{{}}'),
        date_updated = statement_timestamp(), updated_by_id = %(user)s"""


_RESTORE_LEADS = f"""
    WITH changed AS (
        UPDATE crm_lead AS lead SET {_restored("lead", LEAD_COLUMNS)}
        FROM ({_CHANGES.format(kind="lead")}) AS change WHERE lead.id = change.id
        RETURNING lead.id, old.status_id AS old_status, new.status_id AS new_status)
    INSERT INTO crm_leadstatuschange (organization_id, lead_id, old_status_id, new_status_id, user_id, bulk_action_id)
    SELECT %(organization)s, id, old_status, new_status, %(user)s, %(action)s FROM changed
    WHERE old_status <> new_status
"""
_RESTORE_CONTACTS = f"""
    UPDATE crm_contact AS contact
    SET {_restored("contact", {**CONTACT_COLUMNS, "position": "integer", "detached_from": "uuid"})}
    FROM ({_CHANGES.format(kind="contact")}) AS change WHERE contact.id = change.id
"""
# All go with their contact, those made since too; then those that were there go where they were.
_TAKE_SUBSCRIPTIONS_BACK = f"""
    UPDATE crm_sequencesubscription AS subscription
    SET lead_id = contact.lead_id, date_updated = statement_timestamp()
    FROM ({_CHANGES.format(kind="contact")}) AS change JOIN crm_contact AS contact ON contact.id = change.id
    WHERE subscription.contact_id = contact.id AND change.before ? 'lead_id' AND contact.lead_id IS NOT NULL
"""
_RESTORE_SUBSCRIPTIONS = f"""
    UPDATE crm_sequencesubscription AS subscription
    SET lead_id = (change.before->>'lead_id')::uuid, date_updated = statement_timestamp()
    FROM ({_CHANGES.format(kind="subscription")}) AS change WHERE subscription.id = change.id
"""
_RESTORE_DETAILS = [
    f"""
    UPDATE {table} AS detail
    SET {
        ", ".join(
            f"{name} = CASE WHEN change.before ? '{name}' THEN change.before->>'{name}' ELSE detail.{name} END"
            for name in columns
        )
    }
    FROM ({_CHANGES.format(kind=kind)}) AS change WHERE detail.id = change.id
    """
    for kind, (table, columns) in _DETAILS.items()
    if columns
]
_MADE = """
    SELECT (made->>'id')::uuid FROM import_undo CROSS JOIN LATERAL jsonb_array_elements(was->'made') AS made
    WHERE code IS NULL AND made->>'table' = '{kind}'
"""
_REMOVE_DETAILS = [
    f"DELETE FROM {table} WHERE id IN ({_MADE.format(kind=kind)})" for kind, (table, _) in _DETAILS.items()
]
_ADDED_CONTACTS = _MADE.format(kind="contact")
_DONE = """
    UPDATE bulk_actions_batch AS batch
    SET changed_ids = tally.ids, date_done = clock_timestamp(), n_succeeded = coalesce(cardinality(tally.ids), 0),
        n_skipped = tally.n_skipped
    FROM (
        SELECT batch_id, array_agg(lead_id) FILTER (WHERE code IS NULL) AS ids,
               count(*) FILTER (WHERE code IS NOT NULL) AS n_skipped
        FROM import_undo GROUP BY batch_id) AS tally
    WHERE batch.id = tally.batch_id
"""
