"""Bulk changes of sequence subscriptions: subscribe, resume, pause, reassign (close-api.md 2.8)."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from uuid import UUID

from bulk_actions import subscriptions
from bulk_actions.errors import JobImpossible
from bulk_actions.models import BulkAction, Kind
from crm.locks import hold_row, hold_rows
from crm.models import EmailAccount, Permission
from crm.models import Sequence as MailSequence
from crm.sequences import bulk
from crm.sequences.bulk import Statement


class ActionType(StrEnum):
    SUBSCRIBE = "subscribe"
    RESUME = "resume"
    RESUME_FINISHED = "resume_finished"
    PAUSE = "pause"
    REASSIGN = "reassign"


_STATEMENTS = {
    ActionType.RESUME: bulk.RESUME,
    ActionType.RESUME_FINISHED: bulk.RESUME_FINISHED,
    ActionType.PAUSE: bulk.PAUSE,
    ActionType.REASSIGN: bulk.REASSIGN,
}
_SAID = {
    ActionType.SUBSCRIBE: "Subscribe to {}",
    ActionType.RESUME: "Resume paused subscriptions of {}",
    ActionType.RESUME_FINISHED: "Resume finished subscriptions of {}",
    ActionType.PAUSE: "Pause the subscriptions of {}",
    ActionType.REASSIGN: "Reassign the subscriptions of {}",
}


class SequenceSubscriptions:
    """`params`: `{"action_type", "sequence_id", "contact_preference", "sender_account_id", "sender_name",
    "sender_email", "calls_assigned_to"}`, null where the action type takes none. An undo has the same, and `force`.
    """

    kind = Kind.SEQUENCE_SUBSCRIPTION
    permission = Permission.BULK_EMAIL  # what is subscribed gets mail
    max_leads = None

    def describe(self, action: BulkAction) -> str:
        key = action.params["sequence_id"]
        sequence = MailSequence.objects.filter(pk=key).first() if key else None
        name = "every sequence" if key is None else sequence.name if sequence else "a sequence that is gone"
        return _SAID[ActionType(action.params["action_type"])].format(name)

    def apply(self, action: BulkAction, batch_ids: Sequence[int]) -> None:
        subscriptions.begin(action, batch_ids)
        if action.undo_of_id is not None:
            _hold_sequences(action)
            is_sender = action.params["action_type"] == ActionType.REASSIGN
            statement = bulk.RESTORE_SENDER if is_sender else bulk.RESTORE_STATUS
            # What it is about stands in `given`; whatever sequence that is of.
            more: dict[str, object] = {"sequence": None, "force": action.params["force"]}
        else:
            statement, more = self._held(action)
        own = {"organization": action.organization_id, "by": action.created_by_id, "job": action.pk}
        subscriptions.work(action, batch_ids, statement, {**own, **more})

    def look(self, params: Mapping[str, object]) -> tuple[Statement, dict[str, object]]:
        action_type = ActionType(params["action_type"])
        is_new = action_type == ActionType.SUBSCRIBE
        statement = bulk.SUBSCRIBE[params["contact_preference"]] if is_new else _STATEMENTS[action_type]
        people = params["calls_assigned_to"]
        return statement, {
            "sequence": params["sequence_id"],
            "account": params["sender_account_id"],
            "sender_name": params["sender_name"],
            "sender_email": params["sender_email"],
            "calls_assigned_to": None if people is None else [UUID(key) for key in people],
        }

    def undo_params(self, action: BulkAction, *, force: bool) -> dict[str, object]:
        return {**action.params, "force": force}

    def given(self, action: BulkAction) -> tuple[str, dict[str, object]]:
        if action.undo_of_id is not None:
            return "jsonb_build_object('from', given->'to', 'to', was)", {}
        statement, parameters = self.look(action.params)
        return (
            f"jsonb_build_object('from', coalesce(was, '{{}}') || {statement.becomes},"
            f" 'to', coalesce(was, {bulk.SUBSCRIPTION_TAKEN_BACK}))",
            parameters,
        )

    def _held(self, action: BulkAction) -> tuple[Statement, dict[str, object]]:
        """What the job does, with what it refers to kept as it is until the transaction ends."""
        statement, parameters = self.look(action.params)
        if parameters["sequence"] is None:
            _hold_sequences(action)
        else:
            live = "id = %s AND organization_id = %s AND deleted_at IS NULL"
            if hold_row(MailSequence, live, [parameters["sequence"], action.organization_id]) is None:
                raise JobImpossible("sequence_gone", "The sequence of this job has been deleted.")
        accounts = EmailAccount.objects.filter(organization=action.organization_id)
        if parameters["account"] is not None and not accounts.filter(pk=parameters["account"]).exists():
            raise JobImpossible("account_gone", "The account that this job sends from has been deleted.")
        if action.params["action_type"] == ActionType.SUBSCRIBE:
            parameters |= _first_step(parameters["sequence"])
        return statement, parameters


def _hold_sequences(action: BulkAction) -> None:
    """None is paused, or loses a step, while subscriptions of it go on."""
    hold_rows(MailSequence, "organization_id = %s ORDER BY id", [action.organization_id])


def _first_step(sequence_id: object) -> dict[str, object]:
    sequence = MailSequence.objects.get(pk=sequence_id)
    if sequence.status != MailSequence.Status.ACTIVE:
        problem = f"The sequence is {sequence.status}: nobody can be subscribed to it."
        raise JobImpossible("sequence_not_active", problem)
    if not sequence.allow_manual_enrollment:
        raise JobImpossible("sequence_closed", "The sequence does not take contacts by hand any more.")
    try:
        return bulk.first_step(sequence)
    except LookupError as empty:
        raise JobImpossible("sequence_empty", "The sequence has no steps.") from empty
