"""The kinds of bulk action. A new kind is one file here, one serializer in `bulk_actions.api`, and one line below."""

from bulk_actions.actions.base import Action, Change
from bulk_actions.actions.delete import Delete
from bulk_actions.actions.edit import Edit
from bulk_actions.models import Kind

ACTIONS: dict[str, Action] = {Kind.DELETE: Delete(), Kind.EDIT: Edit()}

__all__ = ["ACTIONS", "Action", "Change"]
