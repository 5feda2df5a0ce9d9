"""`/unsubscribe/email/` (close-api.md 4.17): addresses that do not want the organization's mail."""

from collections.abc import Sequence

from django.urls import path
from rest_framework import serializers
from rest_framework.response import Response

from crm.api.close.conventions import CloseRequest, CloseView, close_datetime, paginate, pick_fields
from crm.api.close.openapi import FIELDS, NOTHING, PAGING, Answer, describe, page
from crm.api.close.showing import Shown
from crm.errors import FieldErrors, Invalid, NotFound
from crm.ids import close_id
from crm.mail.addresses import normalise
from crm.mail.suppression import release, suppress, unwanted
from crm.models import Suppression
from crm.text import clean_name

MAX_LENGTH = 500  # characters, by close-api.md 4.17; an address that can be written to has fewer


class UnsubscribedEmailAnswer(Answer):
    email = serializers.CharField()
    organization_id = serializers.CharField()
    reason = serializers.ChoiceField([str(reason) for reason in Suppression.UNWANTED])
    date_created = serializers.DateTimeField()


class UnsubscribedEmailBody(serializers.Serializer):
    email = serializers.CharField(max_length=MAX_LENGTH)


class UnsubscribedEmailsView(CloseView):
    @describe(
        "unsubscribed_email_list",
        "Lists the addresses that do not want mail, newest first.",
        answer=page("UnsubscribedEmailPage", UnsubscribedEmailAnswer),
        query=[*PAGING, FIELDS],
    )
    def get(self, request: CloseRequest) -> Response:
        def show(rows: Sequence[Suppression]) -> list[Shown]:
            return [pick_fields(_shown(row), self.fields) for row in rows]

        return paginate(request, unwanted(request.caller.organization.pk).order_by("-id"), show)

    @describe(
        "unsubscribed_email_create",
        "Puts an address on the list; one that is there already stays as it is.",
        body=UnsubscribedEmailBody,
        answer=UnsubscribedEmailAnswer,
        query=[FIELDS],
        status=201,
    )
    def post(self, request: CloseRequest) -> Response:
        organization = request.caller.organization
        if "email" not in self.body:
            raise FieldErrors({"email": "This field is required."})
        try:
            address = normalise(clean_name(self.body["email"], path="email", limit=MAX_LENGTH))
        except Invalid as problem:
            raise FieldErrors(problem.field_errors or {"email": problem.errors[0]}) from None
        suppress(organization.pk, address, Suppression.Reason.UNSUBSCRIBED, f"By {request.caller.user.email}.")
        row = unwanted(organization.pk).get(address=address)
        return Response(pick_fields(_shown(row), self.fields), status=201)


class UnsubscribedEmailView(CloseView):
    @describe("unsubscribed_email_delete", "Takes an address off the list.", answer=NOTHING)
    def delete(self, request: CloseRequest, address: str) -> Response:
        organization = request.caller.organization
        try:
            address = normalise(address)
        except Invalid:
            raise NotFound from None
        if not unwanted(organization.pk).filter(address=address).exists():
            raise NotFound
        release(organization.pk, address)
        return Response({})


def _shown(row: Suppression) -> Shown:
    return {
        "email": row.address,
        "organization_id": close_id("orga", row.organization_id),
        "reason": row.reason,
        "date_created": close_datetime(row.date_created),
    }


urlpatterns = [
    path("unsubscribe/email/", UnsubscribedEmailsView.as_view()),
    # `path`: a slash is allowed in a local part.
    path("unsubscribe/email/<path:address>/", UnsubscribedEmailView.as_view()),
]
