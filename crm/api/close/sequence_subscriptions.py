"""`/sequence_subscription/` (close-api.md 4.10)."""

from django.urls import path
from rest_framework.response import Response

from crm.api.close import sequence_schemas as schemas
from crm.api.close.conventions import CloseRequest, CloseView, Fields, paginate, pick_fields
from crm.api.close.list_filters import filter_ids, words_of
from crm.api.close.openapi import FIELDS, NOTHING, PAGING, describe, page, query_text
from crm.api.close.sequence_input import SubscriptionReader
from crm.api.close.showing import Shown, naive_datetime, shown_id
from crm.errors import FieldErrors, Invalid, NotFound
from crm.ids import close_id, parse_close_id
from crm.models import SequenceSubscription
from crm.sequences.subscriptions import (
    create_subscription,
    delete_subscription,
    subscriptions_of,
    update_subscription,
)

_FILTERS = {
    "sequence_id": ("seq", "sequence_id"),
    "contact_id": ("cont", "contact_id"),
    "lead_id": ("lead", "lead_id"),
}
_STATUSES = ("active", "paused")


def serialize_subscription(one: SequenceSubscription, fields: Fields) -> Shown:
    callers = one.calls_assigned_to
    return pick_fields(
        {
            "id": close_id("sub", one.pk),
            "organization_id": close_id("orga", one.organization_id),
            "sequence_id": close_id("seq", one.sequence_id),
            "lead_id": close_id("lead", one.lead_id),
            "contact_id": close_id("cont", one.contact_id),
            "contact_email": one.contact_email,
            "sender_account_id": close_id("emailacct", one.sender_account_id),
            "sender_name": one.sender_name,
            "sender_email": one.sender_email,
            "calls_assigned_to": None if callers is None else [close_id("user", key) for key in callers],
            "status": one.status,
            "status_reason": one.status_reason,
            "start_date": naive_datetime(one.start_date) if one.start_date else None,
            "next_step_id": shown_id("seqstep", one.next_step_id),
            "next_step_due_at": naive_datetime(one.next_at) if one.next_at else None,
            "steps_done": one.steps_done,
            "created_by_id": shown_id("user", one.created_by_id),
            "updated_by_id": shown_id("user", one.updated_by_id),
            "date_created": naive_datetime(one.date_created),
            "date_updated": naive_datetime(one.date_updated),
        },
        fields,
    )


class _SubscriptionView(CloseView):
    def subscription_of(self, id: str) -> SequenceSubscription:
        rows = subscriptions_of(self.request.caller.organization.pk)
        found = rows.filter(pk=parse_close_id("sub", id)).first()
        if found is None:
            raise NotFound
        return found

    def answer(self, one: SequenceSubscription, status: int = 200) -> Response:
        return Response(serialize_subscription(one, self.fields), status=status)


class SubscriptionsView(_SubscriptionView):
    @describe(
        "sequence_subscription_list",
        "Lists subscriptions of a sequence, a contact or a lead, newest first. One of the three is needed.",
        answer=page("SequenceSubscriptionPage", schemas.SubscriptionAnswer),
        query=[*PAGING, FIELDS, *(query_text(name, "Ids, separated by commas.") for name in _FILTERS)],
    )
    def get(self, request: CloseRequest) -> Response:
        if not any(words_of(request, name) for name in _FILTERS):
            raise Invalid([f"One of these is needed: {', '.join(_FILTERS)}."])
        rows = filter_ids(request, subscriptions_of(request.caller.organization.pk), _FILTERS)
        return paginate(request, rows, lambda found: [serialize_subscription(one, self.fields) for one in found])

    @describe(
        "sequence_subscription_create",
        "Puts a contact into a sequence.",
        body=schemas.SubscriptionBody,
        answer=schemas.SubscriptionAnswer,
        query=[FIELDS],
        status=201,
    )
    def post(self, request: CloseRequest) -> Response:
        columns = SubscriptionReader(self.body, request.tz).read(is_new=True)
        return self.answer(create_subscription(caller=request.caller, columns=columns), status=201)


class SubscriptionView(_SubscriptionView):
    @describe("sequence_subscription_get", "Gives a subscription.", answer=schemas.SubscriptionAnswer, query=[FIELDS])
    def get(self, request: CloseRequest, id: str) -> Response:
        return self.answer(self.subscription_of(id))

    @describe(
        "sequence_subscription_update",
        "Pauses a subscription or lets it go on; changes its sender and who calls.",
        body=schemas.SubscriptionChanges,
        answer=schemas.SubscriptionAnswer,
        query=[FIELDS],
    )
    def put(self, request: CloseRequest, id: str) -> Response:
        current = self.subscription_of(id)
        status = self.body.get("status")
        if status is not None and status not in _STATUSES:
            raise FieldErrors({"status": f"Not a valid choice. One of: {', '.join(_STATUSES)}."})
        columns = SubscriptionReader(self.body, request.tz).read(is_new=False)
        return self.answer(
            update_subscription(caller=request.caller, subscription_id=current.pk, columns=columns, status=status)
        )

    @describe(
        "sequence_subscription_delete", "Deletes a subscription; its mail that waits does not leave.", answer=NOTHING
    )
    def delete(self, request: CloseRequest, id: str) -> Response:
        delete_subscription(caller=request.caller, subscription_id=parse_close_id("sub", id))
        return Response({})


urlpatterns = [
    path("sequence_subscription/", SubscriptionsView.as_view()),
    path("sequence_subscription/<str:id>/", SubscriptionView.as_view()),
]
