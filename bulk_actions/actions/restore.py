"""Undoing edits: each lead gets back what it held, where it still holds what the edit wrote.

`given` of a lead is `{"from": what was written, "to": what it held before}`; JSON null is no value. Values decide, not
history: a lead that was changed since and changed back looks as the edit left it, and is restored.
"""

import json

from bulk_actions.actions.base import GONE, Change
from bulk_actions.models import BulkAction
from crm.models import CustomField, FieldType
from crm.statuses import hold_statuses

_MESSAGES = {
    "changed_since": "The lead no longer holds what the job had written.",
    "value_gone": "What the lead held before is not a valid value any more.",
}

# What makes the values of a field invalid after they were set, over `held(value)`. `custom_values.clean_value` says the
# same of new values, but that a user who has left is still accepted there by id.
_INVALID = {
    FieldType.CHOICES: "NOT %(choices)s::jsonb @> held.value",
    FieldType.USER: """NOT EXISTS (
        SELECT FROM crm_membership AS member JOIN crm_user AS person ON person.id = member.user_id
        WHERE member.organization_id = %(organization)s AND member.user_id = (held.value#>>'{}')::uuid
          AND member.is_active AND person.is_active)""",
    FieldType.CONTACT: """NOT EXISTS (
        SELECT FROM crm_contact AS contact LEFT JOIN crm_lead AS home ON home.id = contact.lead_id
        WHERE contact.organization_id = %(organization)s AND contact.id = (held.value#>>'{}')::uuid
          AND home.deleted_at IS NULL)""",
}


def restore_status(action: BulkAction) -> Change:
    """The change of an undo of a status edit. Keeps every status of the organization from being deleted meanwhile."""
    hold_statuses(action.organization_id)
    gone = """NOT EXISTS (
        SELECT FROM crm_leadstatus AS status
        WHERE status.organization_id = %(organization)s AND status.id = (target.given->>'to')::uuid)"""
    return Change(
        update="""
            UPDATE crm_lead AS lead
            SET status_id = (judged.given->>'to')::uuid, date_updated = statement_timestamp(), updated_by_id = %(user)s
            FROM judged
            WHERE {these} AND judged.lead_id = lead.id AND lead.status_id <> (judged.given->>'to')::uuid
            RETURNING lead.id AS lead_id, to_jsonb(old.status_id) AS before,
                      old.status_id AS old_status_id, new.status_id AS new_status_id
        """,
        parameters={},
        also={
            "noted": """
                INSERT INTO crm_leadstatuschange
                    (organization_id, lead_id, old_status_id, new_status_id, user_id, bulk_action_id)
                SELECT %(organization)s, lead_id, old_status_id, new_status_id, %(user)s, %(action)s FROM changed
            """
        },
        skip_code=_skip_code(action, "to_jsonb(lead.status_id)", gone),
        messages=_MESSAGES,
    )


def restore_custom_field(action: BulkAction, field: CustomField) -> Change:
    """The change of an undo of an edit of that field, which is held."""
    invalid = _INVALID.get(FieldType(field.type))
    gone = "false"
    if invalid:
        gone = f"""EXISTS (
            SELECT FROM jsonb_array_elements(
                CASE jsonb_typeof(target.given->'to') WHEN 'array' THEN target.given->'to' WHEN 'null' THEN '[]'
                ELSE jsonb_build_array(target.given->'to') END) AS held(value)
            WHERE {invalid})"""
    return Change(
        update="""
            UPDATE crm_lead AS lead
            SET custom = CASE judged.given->'to' WHEN 'null' THEN lead.custom - %(key)s
                         ELSE lead.custom || jsonb_build_object(%(key)s, judged.given->'to') END,
                date_updated = statement_timestamp(), updated_by_id = %(user)s
            FROM judged
            WHERE {these} AND judged.lead_id = lead.id
              AND coalesce(lead.custom->%(key)s, 'null') <> judged.given->'to'
            RETURNING lead.id AS lead_id, old.custom->%(key)s AS before
        """,
        parameters={"key": field.key, "choices": json.dumps(field.choices)},
        skip_code=_skip_code(action, "coalesce(lead.custom->%(key)s, 'null')", gone),
        messages=_MESSAGES,
    )


def _skip_code(action: BulkAction, current: str, value_gone: str) -> str:
    """`current`: what the lead holds, as jsonb; `value_gone`: whether `target.given->'to'` is no valid value."""
    changed = "" if action.params["force"] else f"WHEN {current} <> target.given->'from' THEN 'changed_since'"
    return f"""
        CASE WHEN {GONE} THEN 'lead_gone'
             WHEN {current} = target.given->'to' THEN NULL
             {changed}
             WHEN {value_gone} THEN 'value_gone' END
    """
