"""Bulk changes of deals, as BlueAI asks for them: another stage, another owner, or gone (blueai-api.md 6)."""

from collections.abc import Mapping

from bulk_actions.actions.base import DEALS, Change, Written
from bulk_actions.models import BulkAction, Kind
from crm.locks import hold_rows
from crm.models import OpportunityStatus, Permission, User

# Of deals that nobody sees: deleted, or hanging on a deleted lead.
GONE = """(deal.id IS NULL OR deal.deleted_at IS NOT NULL OR EXISTS (
    SELECT FROM crm_lead AS lead WHERE lead.id = deal.lead_id AND lead.deleted_at IS NOT NULL))"""
_MESSAGES = {
    "deal_gone": "not found",
    "unknown_stage": "the deal's pipeline has no such stage",
    "changed_since": "The deal was changed after the job had run.",
    "value_gone": "The stage that the deal was in has been deleted.",
}
# The columns that an update writes, or that follow from what it writes, as JSON of a row; an undo gives them all back.
_HELD = """jsonb_build_object(
    'status', {row}.status_id, 'member', {row}.user_id, 'confidence', {row}.confidence, 'won', {row}.date_won,
    'lost', {row}.date_lost, 'reason', {row}.lost_reason)"""
_ASKED = ("status", "member")  # what a deal must still hold to be given back what it held before
_MOVED = """
    INSERT INTO crm_opportunitystatuschange
        (organization_id, opportunity_id, lead_id, old_status_id, new_status_id, user_id)
    SELECT %(organization)s, lead_id, of_lead, old_status_id, new_status_id, %(user)s
    FROM changed WHERE old_status_id <> new_status_id
"""


class DealUpdate:
    """`params`: `{"stage": a slug or null, "member_id": a user or null, "today": the day in the caller's zone}`; null
    leaves as it is. A stage is that of the deal's own pipeline. An undo has `{"force"}`.
    """

    kind = Kind.DEAL_UPDATE
    permission = Permission.BULK_EDIT
    max_leads = None

    def change(self, action: BulkAction) -> Change:
        # Kept from being deleted until the change has committed.
        hold_rows(
            OpportunityStatus,
            "organization_id = %s AND slug = %s ORDER BY id",
            [action.organization_id, action.params["stage"]],
        )
        return Change(
            update=f"""
                UPDATE crm_opportunity AS deal
                SET status_id = coalesce(wanted.id, deal.status_id),
                    user_id = coalesce(%(member)s::uuid, deal.user_id),
                    confidence = CASE WHEN wanted.id <> held.id THEN coalesce(wanted.probability, deal.confidence)
                                      ELSE deal.confidence END,
                    date_won = CASE WHEN wanted.type = 'won' AND (held.type <> 'won' OR deal.date_won IS NULL)
                                    THEN %(today)s::date
                                    WHEN wanted.type <> 'won' AND held.type = 'won' THEN NULL
                                    ELSE deal.date_won END,
                    date_lost = CASE WHEN wanted.type = 'lost' AND held.type <> 'lost' THEN statement_timestamp()
                                     WHEN wanted.type <> 'lost' AND held.type = 'lost' THEN NULL
                                     ELSE deal.date_lost END,
                    lost_reason = CASE WHEN wanted.type <> 'lost' AND held.type = 'lost' THEN NULL
                                       ELSE deal.lost_reason END,
                    date_updated = statement_timestamp(), updated_by_id = %(user)s
                FROM crm_opportunitystatus AS held
                LEFT JOIN crm_opportunitystatus AS wanted
                    ON wanted.pipeline_id = held.pipeline_id AND wanted.slug = %(stage)s
                WHERE {{these}} AND held.id = deal.status_id
                  AND (coalesce(wanted.id, deal.status_id) <> deal.status_id
                       OR coalesce(%(member)s::uuid, deal.user_id) IS DISTINCT FROM deal.user_id)
                RETURNING deal.id AS lead_id, {_HELD.format(row="old")} AS before,
                          new.lead_id AS of_lead, old.status_id AS old_status_id, new.status_id AS new_status_id
            """,
            parameters=self._parameters(action),
            also={"moved": _MOVED},
            skip_code=f"""
                CASE WHEN {GONE} THEN 'deal_gone'
                     WHEN %(stage)s::text IS NOT NULL AND NOT EXISTS (
                        SELECT FROM crm_opportunitystatus AS held
                        JOIN crm_opportunitystatus AS wanted
                            ON wanted.pipeline_id = held.pipeline_id AND wanted.slug = %(stage)s
                        WHERE held.id = deal.status_id) THEN 'unknown_stage' END
            """,
            messages=_MESSAGES,
            targets=DEALS,
        )

    def describe(self, action: BulkAction) -> str:
        parts = []
        if stage := action.params["stage"]:
            parts.append(f"move deals to {stage}")
        if member := action.params["member_id"]:
            user = User.objects.filter(pk=member).first()
            parts.append(f"assign deals to {(user.full_name or user.email) if user else 'somebody who is gone'}")
        said = " and ".join(parts)
        return said[:1].upper() + said[1:]

    def undo_params(self, action: BulkAction, *, force: bool) -> dict[str, object]:
        return {"force": force}

    def written(self, action: BulkAction) -> Written | None:
        if action.undo_of_id is not None:
            return Written("given->'to'")
        return Written(
            """jsonb_build_object(
                'status', coalesce((
                    SELECT to_jsonb(wanted.id) FROM crm_opportunitystatus AS held
                    JOIN crm_opportunitystatus AS wanted
                        ON wanted.pipeline_id = held.pipeline_id AND wanted.slug = %(stage)s
                    WHERE held.id = (before->>'status')::uuid), before->'status'),
                'member', coalesce(to_jsonb(%(member)s::uuid), before->'member'))""",
            self._parameters(action),
        )

    def undo(self, action: BulkAction) -> Change:
        holds = {
            side: " AND ".join(
                f"to_jsonb(deal.{column}) IS NOT DISTINCT FROM nullif(target.given->'{side}'->'{key}', 'null')"
                for key, column in zip(_ASKED, ("status_id", "user_id"), strict=True)
            )
            for side in ("from", "to")
        }
        return Change(
            update=f"""
                UPDATE crm_opportunity AS deal
                SET status_id = (given->'to'->>'status')::uuid, user_id = (given->'to'->>'member')::uuid,
                    confidence = (given->'to'->>'confidence')::smallint, date_won = (given->'to'->>'won')::date,
                    date_lost = (given->'to'->>'lost')::timestamptz, lost_reason = given->'to'->>'reason',
                    date_updated = statement_timestamp(), updated_by_id = %(user)s
                FROM judged
                WHERE {{these}} AND judged.lead_id = deal.id
                  AND {_HELD.format(row="deal")} <> judged.given->'to'
                RETURNING deal.id AS lead_id, {_HELD.format(row="old")} AS before,
                          new.lead_id AS of_lead, old.status_id AS old_status_id, new.status_id AS new_status_id
            """,
            parameters={"force": action.params["force"]},
            also={"moved": _MOVED},
            skip_code=f"""
                CASE WHEN {GONE} THEN 'deal_gone'
                     WHEN {holds["to"]} THEN NULL
                     WHEN NOT EXISTS (
                        SELECT FROM crm_opportunitystatus AS status
                        WHERE status.id = (target.given->'to'->>'status')::uuid
                          AND status.organization_id = %(organization)s) THEN 'value_gone'
                     WHEN NOT %(force)s AND NOT ({holds["from"]}) THEN 'changed_since' END
            """,
            messages=_MESSAGES,
            targets=DEALS,
        )

    def _parameters(self, action: BulkAction) -> Mapping[str, object]:
        return {"stage": action.params["stage"], "member": action.params["member_id"], "today": action.params["today"]}


class DealDelete:
    """`params`: `{}`, or those of an undo that brings deals back: `{"restore": the job that deleted them}`. As with
    leads (`delete.py`), the undo of an undo deletes again, and deals that are deleted for 30 days are purged.
    """

    kind = Kind.DEAL_DELETE
    permission = Permission.BULK_DELETE
    max_leads = None

    def change(self, action: BulkAction) -> Change:
        return Change(
            update="""
                UPDATE crm_opportunity AS deal
                SET deleted_at = statement_timestamp(), deleted_by_action = %(action)s
                WHERE {these} AND deal.deleted_at IS NULL
                RETURNING deal.id AS lead_id, NULL::jsonb AS before
            """,
            parameters={},
            keeps_before=False,
            skip_code=f"CASE WHEN {GONE} THEN 'deal_gone' END",
            messages=_MESSAGES,
            targets=DEALS,
        )

    def describe(self, action: BulkAction) -> str:
        return "Delete deals"

    def undo_params(self, action: BulkAction, *, force: bool) -> dict[str, object]:
        return {} if "restore" in action.params else {"restore": str(action.pk)}

    def written(self, action: BulkAction) -> Written | None:
        return None

    def undo(self, action: BulkAction) -> Change:
        if "restore" not in action.params:
            return self.change(action)
        return Change(
            update="""
                UPDATE crm_opportunity AS deal SET deleted_at = NULL, deleted_by_action = NULL
                WHERE {these} AND deal.deleted_at IS NOT NULL
                RETURNING deal.id AS lead_id, NULL::jsonb AS before
            """,
            parameters={"deleter": action.params["restore"]},
            keeps_before=False,
            skip_code="""
                CASE WHEN deal.id IS NULL THEN 'deal_gone'
                     WHEN deal.deleted_at IS NOT NULL AND deal.deleted_by_action IS DISTINCT FROM %(deleter)s::uuid
                     THEN 'changed_since' END
            """,
            messages={**_MESSAGES, "changed_since": "The deal was restored and then deleted by somebody else."},
            targets=DEALS,
        )
