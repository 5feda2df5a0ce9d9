"""`/lead/merge/` (close-api.md 4.1)."""

from django.urls import path
from rest_framework import serializers
from rest_framework.response import Response

from crm.api.close.conventions import CloseRequest, CloseView
from crm.api.close.inputs import GONE, REQUIRED
from crm.api.close.openapi import NOTHING, describe
from crm.errors import FieldErrors
from crm.ids import parse_close_id
from crm.lead_merge import merge_leads
from crm.models import Permission


class LeadMergeBody(serializers.Serializer):
    source = serializers.CharField(help_text="Goes away.")
    destination = serializers.CharField(help_text="Gets all that hangs on the source.")


class LeadMergeView(CloseView):
    permissions = {"POST": Permission.DELETE_LEAD}
    creates = False

    @describe("lead_merge", "Merges one lead into another.", body=LeadMergeBody, answer=NOTHING)
    def post(self, request: CloseRequest) -> Response:
        keys = {name: parse_close_id("lead", self.body.get(name)) for name in ("source", "destination")}
        problems = {
            name: REQUIRED if self.body.get(name) is None else GONE for name, key in keys.items() if key is None
        }
        if problems:
            raise FieldErrors(problems)
        caller = request.caller
        merge_leads(
            source_id=keys["source"],
            destination_id=keys["destination"],
            organization=caller.organization,
            by=caller.user,
        )
        return Response({})


urlpatterns = [path("lead/merge/", LeadMergeView.as_view())]
