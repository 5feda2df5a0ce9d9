"""Signing in with a password: sessions of browsers, for the dialect that has them (blueai-api.md 1)."""

import secrets
from datetime import timedelta

from django.contrib.auth.hashers import make_password
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from crm.auth import Caller, digest
from crm.models import Membership, SignInSession, User

SESSION_DAYS = 7


def sign_in(*, email: str, password: str) -> tuple[Caller, str] | None:
    """A new session of that user, in the organization where they have been a member for longest, and its token.

    None for an unknown address or a wrong password. The token is not kept.
    """
    user = User.objects.filter(email__iexact=email.strip(), is_active=True).first()
    if user is None:
        make_password(password)  # as much work as looking at one: the time tells nobody which addresses are known
        return None
    membership = _memberships().filter(user=user).order_by("date_created", "pk").first()
    if not user.check_password(password) or membership is None:
        return None
    token = secrets.token_urlsafe(32)
    SignInSession.objects.create(
        user=user,
        organization=membership.organization,
        token_sha256=digest(token),
        date_expires=timezone.now() + timedelta(days=SESSION_DAYS),
    )
    return _caller(membership), token


def authenticate_session(token: str) -> Caller | None:
    """The caller whose session that is, or None: unknown, expired, or no member any more."""
    session = SignInSession.objects.filter(token_sha256=digest(token), date_expires__gt=Now()).first()
    if session is None:
        return None
    membership = _memberships().filter(user=session.user_id, organization=session.organization_id).first()
    return None if membership is None else _caller(membership)


def forget_old_sessions(*, limit: int) -> int:
    """Delete up to `limit` sessions that have expired; returns how many."""
    old = SignInSession.objects.filter(date_expires__lte=Now()).order_by("date_expires").values("pk")[:limit]
    return SignInSession.objects.filter(pk__in=old).delete()[0]


def _memberships() -> QuerySet[Membership]:
    members = Membership.objects.select_related("organization", "user")
    return members.filter(is_active=True, user__is_active=True)


def _caller(membership: Membership) -> Caller:
    return Caller(membership.organization, membership.user, membership, None)
