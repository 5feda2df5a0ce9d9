"""What a bulk email is to send, and to whom (close-api.md 2.7)."""

from collections.abc import Mapping
from uuid import UUID

from bulk_actions.api.problems import all_of
from crm.auth import Caller
from crm.errors import FieldErrors
from crm.ids import close_id, parse_close_id
from crm.mail.recipients import Preference
from crm.mail.senders import accounts_for, sender_of
from crm.models import EmailTemplate
from crm.templates import usable_email_templates

_GONE = "Object does not exist."


def email_params(body: Mapping[str, object], caller: Caller) -> dict[str, object]:
    """The `params` of a bulk email (shape: `bulk_actions.actions.email.Email`). Raises `Invalid` with all of it."""
    return all_of(body, caller, (_template, _preference, _sender))


def show_email(params: Mapping[str, object]) -> dict[str, object]:
    """The keys that a bulk email adds to the answer."""
    account_id = params["email_account_id"]
    return {
        "template_id": close_id("tmpl", UUID(str(params["template_id"]))),
        "contact_preference": params["contact_preference"],
        "sender": params["sender"],
        "email_account_id": close_id("emailacct", UUID(str(account_id))) if account_id else None,
    }


def _template(body: Mapping[str, object], caller: Caller) -> dict[str, object]:
    given = body.get("template_id")
    if given is None:
        raise FieldErrors({"template_id": "This field is required."})
    key = parse_close_id("tmpl", given)
    templates = usable_email_templates(caller.organization, caller.user)
    template: EmailTemplate | None = templates.filter(pk=key).first() if key else None
    if template is None:
        raise FieldErrors({"template_id": _GONE})
    return {"template_id": str(template.pk)}


def _preference(body: Mapping[str, object], caller: Caller) -> dict[str, object]:
    given = body.get("contact_preference")
    if given is None:
        return {"contact_preference": Preference.LEAD.value}
    if not isinstance(given, str) or given not in Preference.values:
        raise FieldErrors({"contact_preference": f"Not a valid choice. One of: {', '.join(Preference.values)}."})
    return {"contact_preference": given}


def _sender(body: Mapping[str, object], caller: Caller) -> dict[str, object]:
    """The account and the sender. With neither given: the caller's first account, else their own address by the
    default relay."""
    sender, given = body.get("sender"), body.get("email_account_id")
    if sender is not None and not isinstance(sender, str):
        raise FieldErrors({"sender": "Value must be a string."})
    account_id = None
    if given is not None:
        account_id = parse_close_id("emailacct", given)
        if account_id is None:
            raise FieldErrors({"email_account_id": _GONE})
    elif not sender:
        accounts = accounts_for(caller.user, caller.organization)
        account_id = accounts[0].pk if accounts else None
        sender = None if accounts else caller.user.email
    account, header = sender_of(
        organization=caller.organization, user=caller.user, account_id=account_id, sender=sender
    )
    return {"email_account_id": str(account.pk) if account else None, "sender": header}
