"""Bulk delete: marks leads as deleted. They can be restored until they are purged."""

from bulk_actions.actions.base import Change
from bulk_actions.models import BulkAction, Kind
from crm.models import Permission


class Delete:
    kind = Kind.DELETE
    permission = Permission.BULK_DELETE

    def change(self, action: BulkAction) -> Change:
        return Change(
            update="""
                UPDATE crm_lead AS lead
                SET deleted_at = statement_timestamp(), deleted_by_action = %(action)s
                WHERE {these} AND lead.deleted_at IS NULL
                RETURNING lead.id AS lead_id, NULL::jsonb AS before
            """,
            parameters={},
            keeps_before=False,
        )

    def describe(self, action: BulkAction) -> str:
        return "Delete leads"
