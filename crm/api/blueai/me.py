"""Who calls: `/me`, `/auth/sign-in/email`, `/api-keys` (blueai-api.md 1)."""

from django.conf import settings
from django.db.models.functions import Now
from django.urls import path
from rest_framework import serializers
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.response import Response

from crm.api.blueai.authentication import COOKIE, refuse_strange_origin
from crm.api.blueai.conventions import BlueAIRequest, BlueAIView, key_in_path, moment
from crm.api.blueai.inputs import LONGEST_NAME, Body
from crm.api.blueai.limits import SignInThrottle
from crm.api.blueai.openapi import Success, describe, wrapped
from crm.auth import Caller, make_api_key
from crm.errors import NotFound
from crm.ids import hex_id
from crm.models import ApiKey, Dialect, Permission
from crm.sign_in import SESSION_DAYS, sign_in

_LONGEST_PASSWORD = 4_096
_WRONG = "The email address or the password is wrong."


class BlueAIOrganization(serializers.Serializer):
    id = serializers.CharField()
    name = serializers.CharField()


class BlueAIUser(serializers.Serializer):
    id = serializers.CharField()
    email = serializers.CharField()
    name = serializers.CharField()
    role = serializers.CharField()
    organization = BlueAIOrganization()
    created_at = serializers.DateTimeField()


class SignInBody(serializers.Serializer):
    email = serializers.CharField()
    password = serializers.CharField()


class SignInAnswer(serializers.Serializer):
    token = serializers.CharField(help_text="That of the cookie which is set.")
    user = BlueAIUser()


class ApiKeyBody(serializers.Serializer):
    name = serializers.CharField(max_length=LONGEST_NAME)


class BlueAIKey(serializers.Serializer):
    id = serializers.CharField()
    name = serializers.CharField()
    key = serializers.CharField(help_text="The secret, shown this once.")
    created_at = serializers.DateTimeField()


def _show_user(caller: Caller) -> dict[str, object]:
    user, organization = caller.user, caller.organization
    return {
        "id": hex_id("usr", user.pk),
        "email": user.email,
        "name": user.full_name,
        "role": caller.membership.role,
        "organization": {"id": hex_id("org", organization.pk), "name": organization.name},
        "created_at": moment(user.date_created),
    }


class MeView(BlueAIView):
    """Described with Close's `/me/`, which has the same address."""

    def get(self, request: BlueAIRequest) -> Response:
        return Response({"user": _show_user(request.caller)})


me = MeView.as_view()


class SignInView(BlueAIView):
    throttle_classes = [SignInThrottle]

    def authorize(self, request: BlueAIRequest) -> None:
        """Nobody is known yet. A browser must not be signed in by another site either."""
        refuse_strange_origin(request._request)
        self.check_throttles(request)

    @describe("sign_in", "Signs in with a password, and sets a cookie.", body=SignInBody, answer=SignInAnswer)
    def post(self, request: BlueAIRequest) -> Response:
        body = Body(self.body_of(("email", "password", "rememberMe", "callbackURL")))
        email, password = body.text("email", required=True), body.values.get("password")
        if not isinstance(password, str) or not 0 < len(password) <= _LONGEST_PASSWORD:
            body.problems["password"] = "is required"
        body.close()
        found = sign_in(email=str(email), password=str(password))
        if found is None:
            raise AuthenticationFailed(_WRONG)
        caller, token = found
        response = Response({"token": token, "user": _show_user(caller)})
        response.set_cookie(
            COOKIE,
            token,
            max_age=SESSION_DAYS * 24 * 60 * 60,
            httponly=True,
            samesite="Lax",
            secure=settings.SESSION_COOKIE_SECURE,
        )
        return response


class ApiKeysView(BlueAIView):
    # No `creates`: the answer to be repeated would have to keep the secret.
    @describe(
        "api_key_create", "Makes a key of the caller's; its secret is shown this once.", body=ApiKeyBody, status=201,
        answer=wrapped("BlueAIKeyWrapped", "api_key", BlueAIKey),
    )  # fmt: skip
    def post(self, request: BlueAIRequest) -> Response:
        body = Body(self.body_of(("name",)))
        name = body.text("name", limit=LONGEST_NAME, required=True)
        body.close()
        key, secret = make_api_key(membership=request.caller.membership, dialect=Dialect.BLUEAI, label=str(name))
        shown = {"id": hex_id("ak", key.pk), "name": key.label, "key": secret, "created_at": moment(key.date_created)}
        return Response({"api_key": shown}, status=201)


class ApiKeyView(BlueAIView):
    @describe("api_key_delete", "Revokes a key, at once.", answer=Success)
    def delete(self, request: BlueAIRequest, id: str) -> Response:
        caller = request.caller
        own = ApiKey.objects.filter(
            membership__organization=caller.organization, dialect=Dialect.BLUEAI, date_revoked__isnull=True
        )
        if not caller.may(Permission.MANAGE_ORGANIZATION):
            own = own.filter(membership=caller.membership)
        if not own.filter(pk=key_in_path("ak", id)).update(date_revoked=Now()):
            raise NotFound
        return Response({"success": True})


sign_in_urls = [path("sign-in/email/", SignInView.as_view())]
key_urls = [path("", ApiKeysView.as_view()), path("<str:id>/", ApiKeyView.as_view())]
