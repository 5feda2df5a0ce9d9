"""Bulk edit: sets the status of leads, or one custom field of theirs."""

import json
from collections.abc import Mapping

from bulk_actions.actions.base import Change, Effect, Written
from bulk_actions.actions.restore import restore_custom_field, restore_status
from bulk_actions.errors import JobImpossible
from bulk_actions.models import BulkAction, Kind
from crm.custom_fields import hold_field
from crm.models import CustomField, LeadStatus, Permission
from crm.statuses import hold_status

# Each operation on a custom field: the value that the field gets (NULL: none), and which leads really change.
_OPERATIONS = {
    "replace": ("%(value)s::jsonb", "lead.custom->%(key)s IS DISTINCT FROM %(value)s::jsonb"),
    "clear": ("NULL::jsonb", "jsonb_exists(lead.custom, %(key)s)"),
    "add": (
        """coalesce(lead.custom->%(key)s, '[]') || (
            SELECT coalesce(jsonb_agg(given ORDER BY position), '[]')
            FROM jsonb_array_elements(%(value)s::jsonb) WITH ORDINALITY AS element(given, position)
            WHERE NOT coalesce(lead.custom->%(key)s, '[]') @> given)""",
        "NOT coalesce(lead.custom->%(key)s, '[]') @> %(value)s::jsonb",
    ),
    "remove": (
        """(
            SELECT jsonb_agg(held ORDER BY position)
            FROM jsonb_array_elements(lead.custom->%(key)s) WITH ORDINALITY AS element(held, position)
            WHERE NOT %(value)s::jsonb @> held)""",
        """EXISTS (
            SELECT FROM jsonb_array_elements(%(value)s::jsonb) AS element(given)
            WHERE lead.custom->%(key)s @> given)""",
    ),
}


class Edit:
    """`params`: `{"type": "set_lead_status", "status_id"}`, or
    `{"type": "set_custom_field" | "clear_custom_field", "field_id", "field_key", "operation", "value"}`.
    An undo has the same keys without what to set, and `force`.
    """

    kind = Kind.EDIT
    permission = Permission.BULK_EDIT
    max_leads = None

    def change(self, action: BulkAction) -> Change:
        return self._status(action) if action.params["type"] == "set_lead_status" else self._custom_field(action)

    def effect(self, params: Mapping[str, object]) -> Effect:
        if params["type"] == "set_lead_status":
            return Effect(
                held="to_jsonb({row}.status_id)",
                becomes="to_jsonb(%(status)s::uuid)",
                differs="lead.status_id <> %(status)s",
                parameters={"status": params["status_id"]},
            )
        becomes, differs = _OPERATIONS[params["operation"]]
        return Effect(
            held="{row}.custom->%(key)s",
            becomes=becomes,
            differs=differs,
            parameters={"key": params["field_key"], "value": json.dumps(params["value"])},
        )

    def describe(self, action: BulkAction) -> str:
        params = action.params
        if params["type"] == "set_lead_status":
            status = LeadStatus.objects.filter(pk=params["status_id"]).first()
            return f"Set the status to {status.label if status else 'a status that is gone'}"
        field = CustomField.objects.filter(pk=params["field_id"]).first()
        name = field.name if field else "a field that is gone"
        if params["type"] == "clear_custom_field":
            return f"Clear {name}"
        verb = {"replace": "Set", "add": "Add to", "remove": "Remove from"}[params["operation"]]
        return f"{verb} {name}: {json.dumps(params['shown_value'], ensure_ascii=False)}"

    def undo_params(self, action: BulkAction, *, force: bool) -> dict[str, object]:
        if action.params["type"] == "set_lead_status":
            return {"type": "set_lead_status", "force": force}
        field = {key: action.params[key] for key in ("field_id", "field_key")}
        return {"type": "set_custom_field", **field, "operation": "replace", "force": force}

    def written(self, action: BulkAction) -> Written | None:
        if action.undo_of_id is not None:
            return Written("given->'to'")
        effect = self.effect(action.params)
        if action.params["type"] == "set_lead_status":
            return Written(effect.becomes, effect.parameters)
        held = "SELECT jsonb_strip_nulls(jsonb_build_object(%(key)s, before)) AS custom"
        return Written(f"(SELECT {effect.becomes} FROM ({held}) AS lead)", effect.parameters)

    def undo(self, action: BulkAction) -> Change:
        if action.params["type"] == "set_lead_status":
            return restore_status(action)
        return restore_custom_field(action, self._held_field(action))

    def _held_field(self, action: BulkAction) -> CustomField:
        field_id = action.params["field_id"]
        if not hold_field(field_id, action.organization_id):
            raise JobImpossible("field_gone", "The custom field that this job edits has been deleted.")
        return CustomField.objects.get(pk=field_id)

    def _status(self, action: BulkAction) -> Change:
        if not hold_status(action.params["status_id"], action.organization_id):
            raise JobImpossible("status_gone", "The lead status that this job sets has been deleted.")
        effect = self.effect(action.params)
        return Change(
            update=f"""
                UPDATE crm_lead AS lead
                SET status_id = %(status)s, date_updated = statement_timestamp(), updated_by_id = %(user)s
                WHERE {{these}} AND lead.deleted_at IS NULL AND {effect.differs}
                RETURNING lead.id AS lead_id, {effect.held.format(row="old")} AS before,
                          old.status_id AS old_status_id
            """,
            parameters=effect.parameters,
            also={
                "noted": """
                    INSERT INTO crm_leadstatuschange
                        (organization_id, lead_id, old_status_id, new_status_id, user_id, bulk_action_id)
                    SELECT %(organization)s, lead_id, old_status_id, %(status)s, %(user)s, %(action)s FROM changed
                """
            },
        )

    def _custom_field(self, action: BulkAction) -> Change:
        self._held_field(action)
        effect = self.effect(action.params)
        return Change(
            update=f"""
                UPDATE crm_lead AS lead
                SET custom = CASE WHEN ({effect.becomes}) IS NULL THEN lead.custom - %(key)s
                                  ELSE lead.custom || jsonb_build_object(%(key)s, {effect.becomes}) END,
                    date_updated = statement_timestamp(), updated_by_id = %(user)s
                WHERE {{these}} AND lead.deleted_at IS NULL AND ({effect.differs})
                RETURNING lead.id AS lead_id, {effect.held.format(row="old")} AS before
            """,
            parameters=effect.parameters,
        )
