"""What the views of bulk actions share, whichever file they live in."""

from django.db.models import QuerySet
from rest_framework.response import Response

from bulk_actions.actions import ACTIONS
from bulk_actions.api.answers import show_actions
from bulk_actions.models import PREFIX, BulkAction, Kind
from crm.api.close.conventions import CloseView, pick_fields
from crm.errors import NotFound
from crm.ids import parse_close_id
from crm.models import Permission


class BulkActionView(CloseView):
    """Jobs of one kind in the caller's organization; everything but reading takes the permission of the kind."""

    kind: Kind

    def permission_for(self, method: str) -> Permission | None:
        return None if method == "GET" else ACTIONS[self.kind].permission

    def actions(self) -> QuerySet[BulkAction]:
        return BulkAction.objects.filter(organization=self.request.caller.organization, kind=self.kind)

    def action_of(self, id: str) -> BulkAction:
        action = self.actions().filter(pk=parse_close_id(PREFIX[self.kind], id)).first()
        if action is None:
            raise NotFound
        return action

    def answer(self, action: BulkAction, **more: object) -> Response:
        """The job as Close spells it, with `more` keys."""
        return Response(pick_fields({**show_actions([action])[0], **more}, self.fields))
