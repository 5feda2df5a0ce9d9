"""The kinds of bulk action. A new kind is one file here, one serializer in `bulk_actions.api`, and one line below."""

from bulk_actions.actions.base import Action, Change, Changing, Effect, Mailing, Merging
from bulk_actions.actions.deals import DealDelete, DealUpdate
from bulk_actions.actions.delete import Delete
from bulk_actions.actions.edit import Edit
from bulk_actions.actions.email import Email
from bulk_actions.actions.imports import Import
from bulk_actions.models import BulkAction, Kind

CHANGING: dict[str, Changing] = {
    Kind.DELETE: Delete(),
    Kind.EDIT: Edit(),
    Kind.DEAL_UPDATE: DealUpdate(),
    Kind.DEAL_DELETE: DealDelete(),
}
MAILING: dict[str, Mailing] = {Kind.EMAIL: Email()}
MERGING: dict[str, Merging] = {Kind.IMPORT: Import()}
UNDOABLE: dict[str, Changing | Merging] = {**CHANGING, **MERGING}
ACTIONS: dict[str, Action] = {**UNDOABLE, **MAILING}


def change_of(action: BulkAction) -> Change:
    """The change for any batch of this job, which is of a kind in `CHANGING`."""
    kind = CHANGING[action.kind]
    return kind.change(action) if action.undo_of_id is None else kind.undo(action)


def describe(action: BulkAction) -> str:
    """What the job does, for people; of an undo: "Undo: Set the status to Won"."""
    depth, original = 0, action
    while original.undo_of_id is not None:
        depth, original = depth + 1, BulkAction.objects.get(pk=original.undo_of_id)
    what = ACTIONS[original.kind].describe(original)
    if depth == 0:
        return what
    return f"Undo: {what}" if depth == 1 else f"Undo ({depth} deep): {what}"


__all__ = [
    "ACTIONS",
    "CHANGING",
    "MAILING",
    "MERGING",
    "UNDOABLE",
    "Action",
    "Change",
    "Changing",
    "Effect",
    "Mailing",
    "Merging",
    "change_of",
    "describe",
]
