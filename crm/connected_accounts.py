"""Accounts to send from: making, changing, testing and deleting them (close-api.md 4.8, and beyond it)."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from crm import secrets
from crm.auth import Caller
from crm.errors import FieldErrors, Forbidden, Invalid, NotFound
from crm.mail import accounts, transport
from crm.mail.hosts import refuse_private
from crm.models import EmailAccount, MailState, Membership, OutboxMail, Permission, SequenceSubscription

log = structlog.get_logger(__name__)

_SERVER = ("smtp_host", "smtp_port", "smtp_security", "smtp_username")


def accounts_of(organization_id: UUID) -> QuerySet[EmailAccount]:
    return EmailAccount.objects.filter(organization_id=organization_id).order_by("id")


def accounts_of_user(organization_id: UUID, user_id: UUID) -> QuerySet[EmailAccount]:
    """Those that the user may send from: their own, and those that belong to nobody."""
    return accounts_of(organization_id).filter(Q(user_id=user_id) | Q(user_id__isnull=True))


def may_change(caller: Caller, account: EmailAccount) -> bool:
    """Admins may change every account, others their own."""
    return account.user_id == caller.user.pk or caller.may(Permission.MANAGE_ORGANIZATION)


@transaction.atomic
def create_account(*, caller: Caller, columns: Mapping[str, object], password: str = "") -> EmailAccount:
    """A new account; without `user_id` it is the caller's. `FieldErrors`, `Forbidden`."""
    account = EmailAccount(organization=caller.organization, **{"user_id": caller.user.pk, **columns})
    _check(caller, account, server_is_new=True)
    account.smtp_password = secrets.encrypt(password)
    account.save(force_insert=True)
    account.refresh_from_db()
    return account


@transaction.atomic
def update_account(
    *, caller: Caller, account_id: UUID | None, columns: Mapping[str, object], password: str | None = None
) -> EmailAccount:
    """Change `columns`, and the password where one is given. Raises `NotFound`, `FieldErrors`, `Forbidden`.

    Another server gets no password that was meant for the old one: the new one has to come with it. What stood against
    the account is forgotten, so it is tried at once; what it has sent counts as before.
    """
    account = _hold(caller, account_id)
    before = {column: getattr(account, column) for column in _SERVER}
    for column, value in columns.items():
        setattr(account, column, value)
    is_moved = any(getattr(account, column) != value for column, value in before.items())
    _check(caller, account, server_is_new=is_moved)
    if password is not None:
        account.smtp_password = secrets.encrypt(password)
    elif is_moved and account.smtp_password:
        raise FieldErrors({"smtp": {"password": "Give the password again: the server or the username is another."}})
    account.paused_until = account.waits_until = None
    account.pause_seconds = 0
    account.date_updated = Now()
    account.save()
    account.refresh_from_db()
    return account


@transaction.atomic
def delete_account(*, caller: Caller, account_id: UUID | None) -> None:
    """Delete an account by which nothing is to leave any more. Raises `NotFound`, `Forbidden`, `Invalid`."""
    account = _hold(caller, account_id)
    waiting = OutboxMail.objects.filter(account=account, state__in=[MailState.RESERVED, MailState.SENDING])
    if waiting.exists():
        raise Invalid(["Mail is waiting to leave by this account."])
    if SequenceSubscription.objects.filter(sender_account=account, status="active").exists():
        raise Invalid(["Active sequence subscriptions send by this account."])
    account.delete()  # mail that is being reserved just now is withheld as `account_gone`


@dataclass(frozen=True)
class Trial:
    """`stage` is where it ended: `connect`, `login`, or `done`."""

    ok: bool
    stage: str
    error: str = ""


def try_account(*, caller: Caller, account_id: UUID | None) -> Trial:
    """Connect and log in, and send nothing. Takes at most about SMTP_TIMEOUT_SECONDS. Raises `NotFound`, `Forbidden`.

    The account's state says afterwards what was found, so mail that waited for a working login leaves at once.
    """
    account = _seen(caller, account_id)
    try:
        transport.Connection(accounts.relay_of(account)).close()
    except transport.RelayAway as problem:
        result = Trial(False, "login" if isinstance(problem, transport.LoginRefused) else "connect", str(problem))
        log.info("mail.account_test_failed", account_id=str(account.pk), stage=result.stage, problem=result.error)
        if account.smtp_host:
            accounts.note_failure(account, result.error)
        return result
    accounts.note_success(account)
    return Trial(True, "done")


def _hold(caller: Caller, account_id: UUID | None) -> EmailAccount:
    return _allowed(caller, accounts_of(caller.organization.pk).select_for_update().filter(pk=account_id).first())


def _seen(caller: Caller, account_id: UUID | None) -> EmailAccount:
    return _allowed(caller, accounts_of(caller.organization.pk).filter(pk=account_id).first())


def _allowed(caller: Caller, account: EmailAccount | None) -> EmailAccount:
    if account is None:
        raise NotFound
    if not may_change(caller, account):
        raise Forbidden("You can change only accounts of your own.")
    return account


def _check(caller: Caller, account: EmailAccount, *, server_is_new: bool) -> None:
    is_admin = caller.may(Permission.MANAGE_ORGANIZATION)
    if account.user_id != caller.user.pk and not is_admin:
        raise Forbidden("You can have only accounts of your own.")
    if account.user_id and not _is_member(account):
        raise FieldErrors({"user_id": "Object does not exist."})
    if not account.smtp_host:
        if not is_admin:
            raise Forbidden("Only admins can have an account that sends through the relay of this installation.")
        if account.smtp_username or account.smtp_port:
            raise FieldErrors({"smtp": {"host": "This field is required."}})
    elif server_is_new:
        try:
            refuse_private(account.smtp_host, allow_private=settings.ALLOW_PRIVATE_SMTP_HOSTS)
        except Invalid as problem:
            raise FieldErrors({"smtp": {"host": problem.errors[0]}}) from None


def _is_member(account: EmailAccount) -> bool:
    members = Membership.objects.filter(organization_id=account.organization_id, is_active=True)
    return members.filter(user_id=account.user_id).exists()
