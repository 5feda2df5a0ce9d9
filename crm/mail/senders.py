"""Who may send as whom: a sender is one of the identities of a connected account, or the member's own address."""

from collections.abc import Mapping
from uuid import UUID

from crm.connected_accounts import accounts_of, accounts_of_user
from crm.errors import FieldErrors, Invalid
from crm.mail.addresses import has_controls, normalise
from crm.mail.message import POLICY, as_sender
from crm.models import EmailAccount, Organization, User


def split_address(text: str) -> tuple[str, str]:
    """Name and normalised address of `Jo Field <jo@…>` or `jo@…`. `Invalid` for what is not one address."""
    if has_controls(text):
        raise Invalid(["This holds a line break or another control character."])
    found = POLICY.header_factory("From", text).addresses
    if len(found) != 1:
        raise Invalid(["This is not one e-mail address."])
    return found[0].display_name, normalise(found[0].addr_spec)


def accounts_for(user: User, organization: Organization) -> list[EmailAccount]:
    """The accounts that the member may send with: own ones first, then those that belong to nobody."""
    return sorted(accounts_of_user(organization.pk, user.pk), key=lambda account: account.user_id is None)


def sender_of(
    *, organization: Organization, user: User, account_id: UUID | None, sender: str | None
) -> tuple[EmailAccount | None, str]:
    """The account to send with, and the From header. Account None: the default relay.

    Without `sender` it is the account's own; without `account_id` the first account that sends as `sender`. Raises
    `FieldErrors` at `email_account_id` or `sender`.
    """
    accounts = accounts_for(user, organization)
    if account_id is not None:
        accounts = [account for account in accounts if account.pk == account_id]
        if not accounts:
            raise FieldErrors({"email_account_id": "Object does not exist."})
        if not sender:
            return accounts[0], as_sender(accounts[0].sender_name, accounts[0].sender_email)
    if not sender:
        raise FieldErrors({"sender": "This field is required."})
    try:
        name, address = split_address(sender)
        for account in accounts:
            identities = identities_of(account)
            if address in identities:
                return account, as_sender(name or identities[address], address)
        if account_id is None and address == normalise(user.email):
            return None, as_sender(name or user.full_name, address)
    except Invalid as problem:
        raise FieldErrors({"sender": problem.errors[0]}) from problem
    raise FieldErrors({"sender": f"No connected account of yours sends as {address}."})


def refuse_strange_account(
    details: Mapping[str, object], before: Mapping[str, object], organization: Organization
) -> None:
    """Raises `FieldErrors` where a mail is given an account that the organization does not have; it may keep one."""
    account_id = details.get("email_account_id")
    if account_id is None or account_id == before.get("email_account_id"):
        return
    if not accounts_of(organization.pk).filter(pk=account_id).exists():
        raise FieldErrors({"email_account_id": "Object does not exist."})


def identities_of(account: EmailAccount) -> dict[str, str]:
    """The names of the addresses that the account sends as."""
    others = [(str(one.get("email") or ""), str(one.get("name") or "")) for one in account.identities]
    found: dict[str, str] = {}
    for email, name in [(account.sender_email, account.sender_name), *others]:
        try:
            found.setdefault(normalise(email), name)
        except Invalid:
            continue  # typed into the admin; nothing can be sent as this
    return found
