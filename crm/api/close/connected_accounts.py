"""`/connected_account/` (close-api.md 4.8): fetching as Close has it; making, changing and testing are ours."""

from collections.abc import Sequence

from django.urls import path
from rest_framework import serializers
from rest_framework.response import Response

from crm import connected_accounts
from crm.api.close.connected_account_input import read_account, shown_identities
from crm.api.close.conventions import CloseRequest, CloseView, close_datetime, paginate, pick_fields, wants
from crm.api.close.openapi import FIELDS, PAGING, Answer, any_value, describe, page, query_text, strings
from crm.api.close.record_schemas import text
from crm.api.close.showing import Shown, shown_id
from crm.connected_accounts import accounts_of
from crm.errors import NotFound
from crm.ids import close_id, parse_close_id
from crm.mail import limits
from crm.models import EmailAccount

PREFIX = "emailacct"


class IdentityAnswer(Answer):
    email = serializers.CharField()
    name = serializers.CharField(allow_blank=True)


class SmtpAnswer(Answer):
    host = serializers.CharField()
    port = serializers.IntegerField(allow_null=True)
    use_ssl = serializers.BooleanField()
    security = serializers.ChoiceField(EmailAccount.Security.values)
    username = serializers.CharField(allow_blank=True)


class ConnectedAccountAnswer(Answer):
    """The password never comes back. `smtp` is null where mail leaves through the relay of this installation."""

    id = serializers.CharField()
    _type = serializers.CharField()
    user_id = text()
    organization_id = serializers.CharField()
    email = serializers.CharField()
    identities = IdentityAnswer(many=True)
    default_identity = IdentityAnswer()
    smtp = SmtpAnswer(allow_null=True)
    imap = any_value(allow_null=True)
    send_status = serializers.ChoiceField(["ok", "error"])
    latest_send_error = text()
    receive_status = text()
    latest_receive_error = text()
    available_features = strings()
    enabled_features = strings()
    synced_calendars = strings()
    available_calendars = strings()
    daily_limit = serializers.IntegerField(allow_null=True)
    hourly_limit = serializers.IntegerField(allow_null=True)
    minimum_gap_seconds = serializers.FloatField(allow_null=True)
    waiting_for = serializers.ChoiceField(limits.Reason.values, allow_null=True, help_text="Why it sends nothing now.")
    waiting_until = serializers.DateTimeField(allow_null=True)
    date_created = serializers.DateTimeField()
    date_updated = serializers.DateTimeField()


class IdentityBody(serializers.Serializer):
    email = serializers.EmailField()
    name = text(required=False)


class SmtpBody(serializers.Serializer):
    host = serializers.CharField(required=False)
    port = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=65535)
    use_ssl = serializers.BooleanField(required=False, default=True, help_text="Port 465: TLS; others: STARTTLS.")
    security = serializers.ChoiceField(EmailAccount.Security.values, required=False)
    username = serializers.CharField(required=False, allow_blank=True)
    password = serializers.CharField(required=False, allow_blank=True, write_only=True)


class ConnectedAccountChanges(serializers.Serializer):
    user_id = text(required=False, help_text="Null: everybody's. Only admins make accounts of others.")
    identities = IdentityBody(many=True, required=False, help_text="The first is the default.")
    default_identity = IdentityBody(required=False)
    smtp = SmtpBody(required=False, allow_null=True, help_text="Null: the relay of this installation.")
    daily_limit = serializers.IntegerField(required=False, allow_null=True, min_value=1)
    hourly_limit = serializers.IntegerField(required=False, allow_null=True, min_value=1)
    minimum_gap_seconds = serializers.FloatField(required=False, allow_null=True, min_value=0)


class ConnectedAccountBody(ConnectedAccountChanges):
    identities = IdentityBody(many=True, help_text="The first is the default.")


class ConnectedAccountTestAnswer(Answer):
    ok = serializers.BooleanField()
    stage = serializers.ChoiceField(["connect", "login", "done"], help_text="Where it ended.")
    error = text()


def show_account(account: EmailAccount, fields: frozenset[str] | None = None) -> Shown:
    """An account as Close spells it, with our limits."""
    identities = shown_identities(account)
    asked = wants(fields, "waiting_for", "waiting_until")
    reason, until = (limits.waiting_of(account) if asked else None) or (None, None)
    shown = {
        "id": close_id(PREFIX, account.pk),
        "_type": "custom_email",
        "user_id": shown_id("user", account.user_id),
        "organization_id": close_id("orga", account.organization_id),
        "email": account.sender_email,
        "identities": identities,
        "default_identity": identities[0],
        "smtp": _show_smtp(account),
        "imap": None,
        "send_status": account.send_status,
        "latest_send_error": account.send_error or None,
        "receive_status": None,
        "latest_receive_error": None,
        "available_features": ["email_sending"],
        "enabled_features": ["email_sending"],
        "synced_calendars": [],
        "available_calendars": [],
        "daily_limit": account.daily_limit,
        "hourly_limit": account.hourly_limit,
        "minimum_gap_seconds": account.minimum_gap_seconds,
        "waiting_for": reason,
        "waiting_until": until and close_datetime(until),
        "date_created": close_datetime(account.date_created),
        "date_updated": close_datetime(account.date_updated),
    }
    return pick_fields(shown, fields)


def _show_smtp(account: EmailAccount) -> Shown | None:
    if not account.smtp_host:
        return None
    return {
        "host": account.smtp_host,
        "port": account.smtp_port,
        "use_ssl": account.smtp_security != EmailAccount.Security.NONE,
        "security": account.smtp_security,
        "username": account.smtp_username,
    }


class _AccountView(CloseView):
    def answer(self, account: EmailAccount, status: int = 200) -> Response:
        return Response(show_account(account, self.fields), status=status)


class ConnectedAccountsView(_AccountView):
    @describe(
        "connected_account_list",
        "Lists the accounts that mail is sent from.",
        answer=page("ConnectedAccountPage", ConnectedAccountAnswer),
        query=[*PAGING, FIELDS, query_text("user_id", "Only those of this user.")],
    )
    def get(self, request: CloseRequest) -> Response:
        found = accounts_of(request.caller.organization.pk)
        if (user_id := request.query_params.get("user_id")) is not None:
            key = parse_close_id("user", user_id)
            found = found.filter(user_id=key) if key else found.none()

        def show(accounts: Sequence[EmailAccount]) -> list[Shown]:
            return [show_account(account, self.fields) for account in accounts]

        return paginate(request, found, show)

    @describe(
        "connected_account_create",
        "Makes an account to send from. The server is not asked: see `test/`.",
        body=ConnectedAccountBody,
        answer=ConnectedAccountAnswer,
        status=201,
    )
    def post(self, request: CloseRequest) -> Response:
        draft = read_account(self.body, request.tz, None)
        made = connected_accounts.create_account(
            caller=request.caller, columns=draft.columns, password=draft.password or ""
        )
        return self.answer(made, status=201)


class ConnectedAccountView(_AccountView):
    @describe("connected_account_get", "Gives an account.", answer=ConnectedAccountAnswer, query=[FIELDS])
    def get(self, request: CloseRequest, id: str) -> Response:
        return self.answer(self._account(id))

    @describe(
        "connected_account_update",
        "Changes an account. Another server or username needs the password again.",
        body=ConnectedAccountChanges,
        answer=ConnectedAccountAnswer,
    )
    def put(self, request: CloseRequest, id: str) -> Response:
        account = self._account(id)
        draft = read_account(self.body, request.tz, account)
        changed = connected_accounts.update_account(
            caller=request.caller, account_id=account.pk, columns=draft.columns, password=draft.password
        )
        return self.answer(changed)

    @describe(
        "connected_account_delete", "Deletes an account by which nothing waits to leave.", answer=None, status=204
    )
    def delete(self, request: CloseRequest, id: str) -> Response:
        connected_accounts.delete_account(caller=request.caller, account_id=parse_close_id(PREFIX, id))
        return Response(status=204)

    def _account(self, id: str) -> EmailAccount:
        found = accounts_of(self.request.caller.organization.pk).filter(pk=parse_close_id(PREFIX, id)).first()
        if found is None:
            raise NotFound
        return found


class ConnectedAccountTestView(_AccountView):
    creates = False

    @describe(
        "connected_account_test",
        "Connects to the server of an account and logs in; sends nothing.",
        answer=ConnectedAccountTestAnswer,
    )
    def post(self, request: CloseRequest, id: str) -> Response:
        found = connected_accounts.try_account(caller=request.caller, account_id=parse_close_id(PREFIX, id))
        return Response({"ok": found.ok, "stage": found.stage, "error": found.error or None})


urlpatterns = [
    path("connected_account/", ConnectedAccountsView.as_view()),
    path("connected_account/<str:id>/", ConnectedAccountView.as_view()),
    path("connected_account/<str:id>/test/", ConnectedAccountTestView.as_view()),
]
