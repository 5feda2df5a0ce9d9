"""The kinds of bulk action. A new kind is one file here, one serializer in `bulk_actions.api`, and one line below."""

from bulk_actions.actions.base import Action, Change, Changing, Effect, Mailing, Merging, Subscribing
from bulk_actions.actions.deals import DealDelete, DealUpdate
from bulk_actions.actions.delete import Delete
from bulk_actions.actions.edit import Edit
from bulk_actions.actions.email import Email
from bulk_actions.actions.export import Export
from bulk_actions.actions.imports import Import
from bulk_actions.actions.sequence_subscription import SequenceSubscriptions
from bulk_actions.models import BulkAction, Kind

CHANGING: dict[str, Changing] = {
    Kind.DELETE: Delete(),
    Kind.EDIT: Edit(),
    Kind.DEAL_UPDATE: DealUpdate(),
    Kind.DEAL_DELETE: DealDelete(),
}
MAILING: dict[str, Mailing] = {Kind.EMAIL: Email()}
SUBSCRIBING: dict[str, Subscribing] = {Kind.SEQUENCE_SUBSCRIPTION: SequenceSubscriptions()}
MERGING: dict[str, Merging] = {Kind.IMPORT: Import()}
EXPORTING: dict[str, Action] = {Kind.EXPORT: Export()}
WITH_OBJECTS = frozenset({*MAILING, *SUBSCRIBING})  # objects of these are not their targets: mails, subscriptions
APPLYING: dict[str, Mailing | Subscribing | Merging] = {**MAILING, **SUBSCRIBING, **MERGING}
UNDOABLE: dict[str, Changing | Subscribing | Merging] = {**CHANGING, **SUBSCRIBING, **MERGING}
ACTIONS: dict[str, Action] = {**CHANGING, **APPLYING, **EXPORTING}


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
    "APPLYING",
    "CHANGING",
    "EXPORTING",
    "MAILING",
    "MERGING",
    "SUBSCRIBING",
    "UNDOABLE",
    "WITH_OBJECTS",
    "Action",
    "Change",
    "Changing",
    "Effect",
    "Mailing",
    "Merging",
    "Subscribing",
    "change_of",
    "describe",
]
