"""`/bulk_action/<kind>/preview/`: what a create with the same body would do. Ours, Close has no such call."""

from collections.abc import Mapping
from uuid import UUID

from django.urls import path
from rest_framework import serializers
from rest_framework.response import Response

from bulk_actions.actions import MAILING, SUBSCRIBING
from bulk_actions.api.answers import (
    BulkDeletePreviewBody,
    BulkEditPreviewBody,
    BulkEmailPreviewBody,
    BulkSequenceSubscriptionPreviewBody,
)
from bulk_actions.api.base import BulkActionView
from bulk_actions.api.orders import asked_of, order_of, seal_of
from bulk_actions.api.sequences import show_held
from bulk_actions.models import Kind
from bulk_actions.previews import Forecast, preview
from bulk_actions.seals import LIFE, token_of
from bulk_actions.services import Order
from crm.api.close.conventions import CloseRequest, close_datetime, pick_fields
from crm.api.close.openapi import Answer, any_value, describe
from crm.custom_values import show_value
from crm.ids import close_id
from crm.models import CustomField


class SampleAnswer(Answer):
    lead_id = serializers.CharField()
    name = serializers.CharField(allow_null=True)
    before = serializers.DictField(child=any_value(allow_null=True), help_text="Keys of the lead as its own answer.")
    after = serializers.DictField(
        child=any_value(allow_null=True), allow_null=True, help_text="Null: the lead will be deleted."
    )


class BlockedAnswer(Answer):
    code = serializers.CharField()
    message = serializers.CharField()
    n_leads = serializers.IntegerField()


class ForecastAnswer(Answer):
    would_change = serializers.IntegerField()
    already_equal = serializers.IntegerField()
    blocked = BlockedAnswer(many=True)


class EstimateAnswer(Answer):
    seconds = serializers.FloatField()
    leads_per_second = serializers.FloatField()
    basis = serializers.ChoiceField(choices=["measured", "default", "ceiling"])


class BulkPreviewAnswer(Answer):
    n_leads = serializers.IntegerField()
    n_objects = serializers.IntegerField()
    forecast = ForecastAnswer()
    samples = SampleAnswer(many=True, help_text="The first leads that would change, in the order of the job.")
    estimate = EstimateAnswer(help_text="From the start of the job to its end.")
    preview_token = serializers.CharField(allow_null=True, help_text="Only with `seal`: good for one create.")
    date_expires = serializers.DateTimeField(allow_null=True)


class MailBlockedAnswer(Answer):
    code = serializers.CharField()
    message = serializers.CharField()
    n_objects = serializers.IntegerField()


class MailForecastAnswer(Answer):
    would_send = serializers.IntegerField()
    blocked = MailBlockedAnswer(many=True)


class MailSampleAnswer(Answer):
    lead_id = serializers.CharField()
    contact_id = serializers.CharField()
    email = serializers.CharField()
    subject = serializers.CharField(allow_null=True)
    body_text = serializers.CharField(allow_null=True)
    body_html = serializers.CharField(allow_null=True)
    problem = serializers.CharField(allow_null=True, help_text="Why the template cannot be rendered for them.")


class BulkEmailPreviewAnswer(Answer):
    n_leads = serializers.IntegerField()
    n_objects = serializers.IntegerField()
    forecast = MailForecastAnswer()
    samples = MailSampleAnswer(many=True, help_text="The first mails, in the order of the job.")
    estimate = EstimateAnswer(help_text="From the start of the job to its end, if no limit of its account delays it.")
    preview_token = serializers.CharField(allow_null=True, help_text="Only with `seal`: good for one create.")
    date_expires = serializers.DateTimeField(allow_null=True)


class SubscriptionForecastAnswer(Answer):
    would_change = serializers.IntegerField()
    already_equal = serializers.IntegerField()
    blocked = MailBlockedAnswer(many=True)


class SubscriptionSampleAnswer(Answer):
    lead_id = serializers.CharField()
    contact_id = serializers.CharField()
    email = serializers.CharField()
    before = serializers.DictField(
        child=any_value(allow_null=True), allow_null=True, help_text="Null: the contact has no subscription yet."
    )
    after = serializers.DictField(child=any_value(allow_null=True), help_text="Keys of the subscription.")


class BulkSequenceSubscriptionPreviewAnswer(Answer):
    n_leads = serializers.IntegerField()
    n_objects = serializers.IntegerField()
    forecast = SubscriptionForecastAnswer()
    samples = SubscriptionSampleAnswer(many=True, help_text="The first that would change, in the order of the job.")
    estimate = EstimateAnswer(help_text="From the start of the job to its end.")
    preview_token = serializers.CharField(allow_null=True, help_text="Only with `seal`: good for one create.")
    date_expires = serializers.DateTimeField(allow_null=True)


class _PreviewView(BulkActionView):
    @property
    def creates(self) -> bool:
        """Only a sealed preview leaves something behind that a second one would double."""
        return self.body.get("seal") is True

    def preview(self, request: CloseRequest) -> Response:
        order = order_of(self.kind, self.body, caller=request.caller, tz=request.tz, is_preview=True)
        forecast = preview(order=order, caller=request.caller, seal=seal_of(self.body), asked=asked_of(self.body))
        show = _show_mails if order.kind in MAILING else _show_subscriptions if order.kind in SUBSCRIBING else _show
        return Response(pick_fields(show(order, forecast), self.fields))


class BulkDeletePreviewView(_PreviewView):
    kind = Kind.DELETE

    @describe(
        "bulk_delete_preview", "Tells what a bulk delete would do.",
        body=BulkDeletePreviewBody, answer=BulkPreviewAnswer,
    )  # fmt: skip
    def post(self, request: CloseRequest) -> Response:
        return self.preview(request)


class BulkEditPreviewView(_PreviewView):
    kind = Kind.EDIT

    @describe(
        "bulk_edit_preview", "Tells what a bulk edit would do.", body=BulkEditPreviewBody, answer=BulkPreviewAnswer
    )
    def post(self, request: CloseRequest) -> Response:
        return self.preview(request)


class BulkEmailPreviewView(_PreviewView):
    kind = Kind.EMAIL

    @describe(
        "bulk_email_preview", "Tells what a bulk email would send, and to whom not.",
        body=BulkEmailPreviewBody, answer=BulkEmailPreviewAnswer,
    )  # fmt: skip
    def post(self, request: CloseRequest) -> Response:
        return self.preview(request)


class BulkSequenceSubscriptionPreviewView(_PreviewView):
    kind = Kind.SEQUENCE_SUBSCRIPTION

    @describe(
        "bulk_sequence_subscription_preview", "Tells what a bulk change of sequence subscriptions would do.",
        body=BulkSequenceSubscriptionPreviewBody, answer=BulkSequenceSubscriptionPreviewAnswer,
    )  # fmt: skip
    def post(self, request: CloseRequest) -> Response:
        return self.preview(request)


def _show_subscriptions(order: Order, forecast: Forecast) -> dict[str, object]:
    told = forecast.subscriptions
    blocked = told.blocked if told else [(one.code, one.message, one.n_leads) for one in forecast.blocked]
    return {
        "n_leads": forecast.n_leads,
        "n_objects": told.n_objects if told else forecast.n_leads,
        "forecast": {
            "would_change": told.would_change if told else 0,
            "already_equal": told.already_equal if told else 0,
            "blocked": [{"code": code, "message": message, "n_objects": n} for code, message, n in blocked],
        },
        "samples": [
            {
                "lead_id": close_id("lead", sample.lead_id),
                "contact_id": close_id("cont", sample.contact_id),
                "email": sample.email,
                "before": None if sample.before is None else show_held(sample.before),
                "after": show_held(sample.after),
            }
            for sample in (told.samples if told else ())
        ],
        **_estimate_and_token(forecast),
    }


def _show_mails(order: Order, forecast: Forecast) -> dict[str, object]:
    mails = forecast.mails
    blocked = mails.blocked if mails else [(one.code, one.message, one.n_leads) for one in forecast.blocked]
    return {
        "n_leads": forecast.n_leads,
        "n_objects": mails.n_objects if mails else forecast.n_leads,
        "forecast": {
            "would_send": mails.would_send if mails else 0,
            "blocked": [{"code": code, "message": message, "n_objects": n} for code, message, n in blocked],
        },
        "samples": [
            {
                **vars(sample),
                "lead_id": close_id("lead", sample.lead_id),
                "contact_id": close_id("cont", sample.contact_id),
            }
            for sample in (mails.samples if mails else ())
        ],
        **_estimate_and_token(forecast),
    }


def _show(order: Order, forecast: Forecast) -> dict[str, object]:
    field = CustomField.objects.filter(pk=order.params.get("field_id")).first()
    return {
        "n_leads": forecast.n_leads,
        "n_objects": forecast.n_leads,
        "forecast": {
            "would_change": forecast.would_change,
            "already_equal": forecast.already_equal,
            "blocked": [vars(blocked) for blocked in forecast.blocked],
        },
        "samples": [
            {
                "lead_id": close_id("lead", sample.lead_id),
                "name": sample.name,
                "before": _held(order, sample.before, field),
                "after": _held(order, sample.after, field),
            }
            for sample in forecast.samples
        ],
        **_estimate_and_token(forecast),
    }


def _estimate_and_token(forecast: Forecast) -> dict[str, object]:
    sealed = forecast.sealed
    return {
        "estimate": vars(forecast.estimate),
        "preview_token": token_of(sealed) if sealed else None,
        "date_expires": close_datetime(sealed.date_created + LIFE) if sealed else None,
    }


def _held(order: Order, value: object, field: CustomField | None) -> Mapping[str, object] | None:
    """What a lead holds of what the job would change, by the keys of its own answer; None for no lead."""
    if order.kind == Kind.DELETE:
        return _with_status(value) if isinstance(value, dict) else None
    if field is None:
        return _with_status({"status_id": value})
    return {f"custom.cf_{field.key}": show_value(field, value)}


def _with_status(held: dict[str, object]) -> dict[str, object]:
    return {**held, "status_id": close_id("stat", UUID(str(held["status_id"])))}


urlpatterns = [
    path("bulk_action/delete/preview/", BulkDeletePreviewView.as_view()),
    path("bulk_action/edit/preview/", BulkEditPreviewView.as_view()),
    path("bulk_action/email/preview/", BulkEmailPreviewView.as_view()),
    path("bulk_action/sequence_subscription/preview/", BulkSequenceSubscriptionPreviewView.as_view()),
]
