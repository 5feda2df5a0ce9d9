"""`/inbound/mail/`: where a mail provider, or a mail server's script, hands in what arrived. Not one of Close's."""

from collections.abc import Mapping
from typing import ClassVar

from django.conf import settings
from django.urls import path
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.types import OpenApiTypes
from rest_framework import serializers
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException, AuthenticationFailed
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from crm.api.close.conventions import CloseRequest, CloseView
from crm.api.close.openapi import Answer, describe, query_text
from crm.api.close.requests import MAX_DRAINED_BYTES
from crm.errors import Invalid
from crm.mail import inbound
from crm.mail.inbound_access import account_of
from crm.mail.received import READ_BYTES, Unreadable
from crm.models import EmailAccount, InboundKind

_CHUNK_BYTES = 256 * 1024
_TOKEN = query_text("token", "The account's inbound token, for providers that can send no `Authorization` header.")


class TooLarge(APIException):
    status_code = 413


class InboundAuthentication(BaseAuthentication):
    """The inbound token of an account: as Bearer, or `?token=`. Sets the account as `request.auth`."""

    def authenticate(self, request: Request) -> tuple[None, EmailAccount]:
        scheme, _, token = request.headers.get("Authorization", "").strip().partition(" ")
        if scheme.lower() != "bearer":
            token = request.query_params.get("token", "")
        account = account_of(token.strip())
        if account is None:
            raise AuthenticationFailed("This is not the inbound token of an account.")
        return None, account

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="inbound mail"'


class InboundAuthenticationScheme(OpenApiAuthenticationExtension):
    target_class = InboundAuthentication
    name = "inboundToken"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "The inbound token of an account."}


class RawMessageParser(BaseParser):
    """The front of the message, as much as is looked at; the rest is read and let go."""

    media_type = "message/rfc822"

    def parse(
        self, stream: Request, media_type: str | None = None, parser_context: Mapping[str, object] | None = None
    ) -> bytes:
        kept, read = b"", 0
        # To the end even where it is too large: closing on unread bytes would cut off our answer.
        while read < MAX_DRAINED_BYTES and (chunk := stream.read(_CHUNK_BYTES)):
            kept += chunk[: READ_BYTES - len(kept)]
            read += len(chunk)
        if read > settings.INBOUND_MAIL_MAX_BYTES:
            raise TooLarge(f"The message is larger than {settings.INBOUND_MAIL_MAX_BYTES // (1024 * 1024)} MB.")
        return kept


class OctetsParser(RawMessageParser):
    media_type = "application/octet-stream"


class InboundMailAnswer(Answer):
    kind = serializers.ChoiceField([*InboundKind.values, inbound.REPEATED])


class InboundMailView(CloseView):
    authentication_classes: ClassVar = [InboundAuthentication]
    parser_classes: ClassVar = [RawMessageParser, OctetsParser]
    creates = False  # the same message again does nothing, by itself

    def prepare(self, request: CloseRequest) -> None:
        """Count nothing: a provider that is refused gives the message up, or comes back with all of them."""

    @describe(
        "inbound_mail_create",
        "Takes a raw message that arrived: a bounce, a complaint, a reply. The same one again does nothing.",
        body={
            "message/rfc822": OpenApiTypes.BINARY,
            "application/octet-stream": OpenApiTypes.BINARY,
        },
        answer=InboundMailAnswer,
        query=[_TOKEN],
    )
    def post(self, request: CloseRequest) -> Response:
        content = request.data
        if not isinstance(content, bytes) or not content.strip():
            raise Invalid(["The request must hold a raw message (RFC 5322)."])
        try:
            return Response({"kind": inbound.receive(content, account=request.auth)})
        except Unreadable as problem:
            raise Invalid([str(problem)]) from None


urlpatterns = [path("inbound/mail/", InboundMailView.as_view())]
