"""Bulk delete: marks leads as deleted. They can be restored until they are purged."""

from collections.abc import Mapping

from bulk_actions.actions.base import Change, Effect, Written
from bulk_actions.models import BulkAction, Kind
from crm.companies import ATTACH, DETACH
from crm.models import Permission


class Delete:
    """`params`: `{}`, or those of an undo that brings leads back: `{"restore": the job that deleted them}`.

    The undo of such an undo deletes again: nothing but a delete of the leads that were brought back. With
    `"detach": true` beside them contacts and deals stay, without a lead, until it is brought back (`crm.companies`).
    """

    kind = Kind.DELETE
    permission = Permission.BULK_DELETE
    max_leads = None

    def change(self, action: BulkAction) -> Change:
        return Change(
            update="""
                UPDATE crm_lead AS lead
                SET deleted_at = statement_timestamp(), deleted_by_action = %(action)s
                WHERE {these} AND lead.deleted_at IS NULL
                RETURNING lead.id AS lead_id, NULL::jsonb AS before
            """,
            parameters={},
            also=DETACH if "detach" in action.params else {},
            keeps_before=False,
        )

    def effect(self, params: Mapping[str, object]) -> Effect:
        """Every live lead goes; what it held is said for the eye."""
        held = "jsonb_build_object('name', {row}.name, 'status_id', {row}.status_id)"
        return Effect(held=held, becomes="NULL::jsonb", differs="true")

    def describe(self, action: BulkAction) -> str:
        return "Delete leads"

    def undo_params(self, action: BulkAction, *, force: bool) -> dict[str, object]:
        detach = {"detach": True} if "detach" in action.params else {}
        return detach if "restore" in action.params else {**detach, "restore": str(action.pk)}

    def written(self, action: BulkAction) -> Written | None:
        return None

    def undo(self, action: BulkAction) -> Change:
        if "restore" not in action.params:
            return self.change(action)
        # Whatever `force` says: what others deleted is not this job's to bring back. The condition does not name
        # `deleted_at`: right after a big delete the planner takes the index of deleted leads for an empty one, and
        # walked all of it for each batch (an undo of a million leads took 13 minutes).
        return Change(
            update="""
                UPDATE crm_lead AS lead SET deleted_at = NULL, deleted_by_action = NULL
                WHERE {these} AND lead.deleted_by_action = %(deleter)s::uuid
                RETURNING lead.id AS lead_id, NULL::jsonb AS before
            """,
            parameters={"deleter": action.params["restore"]},
            also=ATTACH if "detach" in action.params else {},
            keeps_before=False,
            skip_code="""
                CASE WHEN lead.id IS NULL THEN 'lead_gone'
                     WHEN lead.deleted_at IS NOT NULL AND lead.deleted_by_action IS DISTINCT FROM %(deleter)s::uuid
                     THEN 'changed_since' END
            """,
            messages={
                "lead_gone": "The lead has been purged.",
                "changed_since": "The lead was restored and then deleted by somebody else.",
            },
        )
