"""`/bulk_action/<kind>/` (close-api.md section 2)."""

from typing import ClassVar

import django_filters
from django.db.models import QuerySet
from django.urls import path
from rest_framework.response import Response

from bulk_actions.api import previews
from bulk_actions.api.answers import (
    BulkDeleteAnswer,
    BulkDeleteBody,
    BulkEditAnswer,
    BulkEditBody,
    BulkEmailAnswer,
    BulkEmailBody,
    BulkSequenceSubscriptionAnswer,
    BulkSequenceSubscriptionBody,
    ChangeBody,
    show_actions,
)
from bulk_actions.api.base import BulkActionView
from bulk_actions.api.changes import change_of
from bulk_actions.api.orders import order_of
from bulk_actions.models import BulkAction, Kind
from bulk_actions.seals import n_no_longer_matching
from bulk_actions.services import cancel, create_bulk_action
from bulk_actions.states import Status
from crm.api.close.conventions import CloseRequest, paginate, pick_fields
from crm.api.close.openapi import FIELDS, PAGING, describe, page, query_text
from crm.errors import FieldErrors
from crm.ids import parse_close_id


class UserFilter(django_filters.Filter):
    """`user_…`: an id of another form is an unknown user, and nobody's jobs."""

    def filter(self, queryset: QuerySet[BulkAction], value: str | None) -> QuerySet[BulkAction]:
        if not value:
            return queryset
        key = parse_close_id("user", value)
        return queryset.filter(created_by=key) if key else queryset.none()


class TemplateFilter(django_filters.Filter):
    """`tmpl_…`: an id of another form is that of no template."""

    def filter(self, queryset: QuerySet[BulkAction], value: str | None) -> QuerySet[BulkAction]:
        if not value:
            return queryset
        key = parse_close_id("tmpl", value)
        return queryset.filter(params__template_id=str(key)) if key else queryset.none()


class _Statuses(django_filters.BaseInFilter, django_filters.ChoiceFilter):
    """`created,done`"""


class BulkActionFilter(django_filters.FilterSet):
    status = django_filters.ChoiceFilter(choices=Status.choices)
    status__in = _Statuses(field_name="status", choices=Status.choices)
    created_by = UserFilter()
    date_created__gte = django_filters.IsoDateTimeFilter(field_name="date_created", lookup_expr="gte")
    date_created__lte = django_filters.IsoDateTimeFilter(field_name="date_created", lookup_expr="lte")

    class Meta:
        model = BulkAction
        fields: ClassVar = []


class BulkEmailFilter(BulkActionFilter):
    template_id = TemplateFilter()


FILTERS = [
    query_text("status", "Only jobs with this status."),
    query_text("status__in", "Only jobs with one of these statuses, separated by commas."),
    query_text("created_by", "Only jobs of this user."),
    query_text("date_created__gte", "Only jobs made at or after this moment (ISO 8601)."),
    query_text("date_created__lte", "Only jobs made at or before this moment (ISO 8601)."),
]


class ListView(BulkActionView):
    filters: type[BulkActionFilter] = BulkActionFilter

    def list(self, request: CloseRequest) -> Response:
        found = self.filters(request.query_params, queryset=self.actions().order_by("-pk"))
        if not found.is_valid():
            raise FieldErrors({name: messages[0] for name, messages in found.form.errors.items()})
        return paginate(
            request, found.qs, lambda actions: [pick_fields(shown, self.fields) for shown in show_actions(actions)]
        )

    def create(self, request: CloseRequest) -> Response:
        order = order_of(self.kind, self.body, caller=request.caller, tz=request.tz)
        lost = {"n_no_longer_match": n_no_longer_matching(order.preview_id)} if order.preview_id else {}
        return self.answer(create_bulk_action(order=order, caller=request.caller), **lost)


class DetailView(BulkActionView):
    def change(self, request: CloseRequest, id: str) -> Response:
        action = self.action_of(id)
        change = change_of(self.body, action)
        return self.answer(change(action=action, by=request.caller.user))


class BulkDeletesView(ListView):
    kind = Kind.DELETE

    @describe(
        "bulk_delete_list", "Lists the bulk deletes, newest first.",
        answer=page("BulkDeletePage", BulkDeleteAnswer), query=[*FILTERS, *PAGING, FIELDS],
    )  # fmt: skip
    def get(self, request: CloseRequest) -> Response:
        return self.list(request)

    @describe("bulk_delete_create", "Starts a bulk delete.", body=BulkDeleteBody, answer=BulkDeleteAnswer)
    def post(self, request: CloseRequest) -> Response:
        return self.create(request)


class BulkDeleteView(DetailView):
    kind = Kind.DELETE

    @describe("bulk_delete_get", "Gives a bulk delete.", answer=BulkDeleteAnswer, query=[FIELDS])
    def get(self, request: CloseRequest, id: str) -> Response:
        return self.answer(self.action_of(id))

    @describe("bulk_delete_update", "Steers a bulk delete that lives.", body=ChangeBody, answer=BulkDeleteAnswer)
    def put(self, request: CloseRequest, id: str) -> Response:
        return self.change(request, id)


class BulkDeleteCancelView(BulkActionView):
    kind = Kind.DELETE
    creates = False

    @describe("bulk_delete_cancel", "Ends a bulk delete for good.", answer=BulkDeleteAnswer)
    def post(self, request: CloseRequest, id: str) -> Response:
        return self.answer(cancel(action=self.action_of(id), by=request.caller.user))


class BulkEditsView(ListView):
    kind = Kind.EDIT

    @describe(
        "bulk_edit_list", "Lists the bulk edits, newest first.",
        answer=page("BulkEditPage", BulkEditAnswer), query=[*FILTERS, *PAGING, FIELDS],
    )  # fmt: skip
    def get(self, request: CloseRequest) -> Response:
        return self.list(request)

    @describe("bulk_edit_create", "Starts a bulk edit.", body=BulkEditBody, answer=BulkEditAnswer)
    def post(self, request: CloseRequest) -> Response:
        return self.create(request)


class BulkEditView(DetailView):
    kind = Kind.EDIT

    @describe("bulk_edit_get", "Gives a bulk edit.", answer=BulkEditAnswer, query=[FIELDS])
    def get(self, request: CloseRequest, id: str) -> Response:
        return self.answer(self.action_of(id))

    @describe("bulk_edit_update", "Steers a bulk edit that lives.", body=ChangeBody, answer=BulkEditAnswer)
    def put(self, request: CloseRequest, id: str) -> Response:
        return self.change(request, id)


class BulkEditCancelView(BulkActionView):
    kind = Kind.EDIT
    creates = False

    @describe("bulk_edit_cancel", "Ends a bulk edit for good.", answer=BulkEditAnswer)
    def post(self, request: CloseRequest, id: str) -> Response:
        return self.answer(cancel(action=self.action_of(id), by=request.caller.user))


class BulkEmailsView(ListView):
    kind = Kind.EMAIL
    filters = BulkEmailFilter

    @describe(
        "bulk_email_list", "Lists the bulk emails, newest first.", answer=page("BulkEmailPage", BulkEmailAnswer),
        query=[query_text("template_id", "Only jobs with this template."), *FILTERS, *PAGING, FIELDS],
    )  # fmt: skip
    def get(self, request: CloseRequest) -> Response:
        return self.list(request)

    @describe("bulk_email_create", "Starts a bulk email.", body=BulkEmailBody, answer=BulkEmailAnswer)
    def post(self, request: CloseRequest) -> Response:
        return self.create(request)


class BulkEmailView(DetailView):
    kind = Kind.EMAIL

    @describe("bulk_email_get", "Gives a bulk email.", answer=BulkEmailAnswer, query=[FIELDS])
    def get(self, request: CloseRequest, id: str) -> Response:
        return self.answer(self.action_of(id))

    @describe("bulk_email_update", "Steers a bulk email that lives.", body=ChangeBody, answer=BulkEmailAnswer)
    def put(self, request: CloseRequest, id: str) -> Response:
        return self.change(request, id)


class BulkEmailCancelView(BulkActionView):
    kind = Kind.EMAIL
    creates = False

    @describe("bulk_email_cancel", "Ends a bulk email for good.", answer=BulkEmailAnswer)
    def post(self, request: CloseRequest, id: str) -> Response:
        return self.answer(cancel(action=self.action_of(id), by=request.caller.user))


class BulkSequenceSubscriptionsView(ListView):
    kind = Kind.SEQUENCE_SUBSCRIPTION

    @describe(
        "bulk_sequence_subscription_list", "Lists the bulk changes of sequence subscriptions, newest first.",
        answer=page("BulkSequenceSubscriptionPage", BulkSequenceSubscriptionAnswer), query=[*FILTERS, *PAGING, FIELDS],
    )  # fmt: skip
    def get(self, request: CloseRequest) -> Response:
        return self.list(request)

    @describe(
        "bulk_sequence_subscription_create", "Subscribes contacts to a sequence, or changes their subscriptions.",
        body=BulkSequenceSubscriptionBody, answer=BulkSequenceSubscriptionAnswer,
    )  # fmt: skip
    def post(self, request: CloseRequest) -> Response:
        return self.create(request)


class BulkSequenceSubscriptionView(DetailView):
    kind = Kind.SEQUENCE_SUBSCRIPTION

    @describe(
        "bulk_sequence_subscription_get", "Gives a bulk change of sequence subscriptions.",
        answer=BulkSequenceSubscriptionAnswer, query=[FIELDS],
    )  # fmt: skip
    def get(self, request: CloseRequest, id: str) -> Response:
        return self.answer(self.action_of(id))

    @describe(
        "bulk_sequence_subscription_update", "Steers a bulk change of sequence subscriptions that lives.",
        body=ChangeBody, answer=BulkSequenceSubscriptionAnswer,
    )  # fmt: skip
    def put(self, request: CloseRequest, id: str) -> Response:
        return self.change(request, id)


class BulkSequenceSubscriptionCancelView(BulkActionView):
    kind = Kind.SEQUENCE_SUBSCRIPTION
    creates = False

    @describe(
        "bulk_sequence_subscription_cancel", "Ends a bulk change of sequence subscriptions for good.",
        answer=BulkSequenceSubscriptionAnswer,
    )  # fmt: skip
    def post(self, request: CloseRequest, id: str) -> Response:
        return self.answer(cancel(action=self.action_of(id), by=request.caller.user))


urlpatterns = [
    *previews.urlpatterns,  # before `edit/{id}/`
    path("bulk_action/delete/", BulkDeletesView.as_view()),
    path("bulk_action/delete/<str:id>/", BulkDeleteView.as_view()),
    path("bulk_action/delete/<str:id>/cancel/", BulkDeleteCancelView.as_view()),
    path("bulk_action/edit/", BulkEditsView.as_view()),
    path("bulk_action/edit/<str:id>/", BulkEditView.as_view()),
    path("bulk_action/edit/<str:id>/cancel/", BulkEditCancelView.as_view()),
    path("bulk_action/email/", BulkEmailsView.as_view()),
    path("bulk_action/email/<str:id>/", BulkEmailView.as_view()),
    path("bulk_action/email/<str:id>/cancel/", BulkEmailCancelView.as_view()),
    path("bulk_action/sequence_subscription/", BulkSequenceSubscriptionsView.as_view()),
    path("bulk_action/sequence_subscription/<str:id>/", BulkSequenceSubscriptionView.as_view()),
    path("bulk_action/sequence_subscription/<str:id>/cancel/", BulkSequenceSubscriptionCancelView.as_view()),
]
