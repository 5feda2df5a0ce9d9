"""Single mails: email activities that are sent, now or later, through the outbox (close-api.md 4.11).

Each recipient gets a message of their own, which names all those in To and Cc. What has not left yet can be taken back
or changed; what has left cannot.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from crm.activities import activities_of, create_activity, delete_activity, update_activity
from crm.errors import FieldErrors, Invalid, NotFound
from crm.mail.addresses import has_controls
from crm.mail.contexts import context_of_lead, contexts_of
from crm.mail.message import as_subject
from crm.mail.outbox import NewMail, Refused, reserve, reserve_again
from crm.mail.parts import with_links
from crm.mail.plain_text import text_of_html
from crm.mail.recipients import Preference, of_leads
from crm.mail.render import TemplateProblem, render_context
from crm.mail.senders import refuse_strange_account, sender_of, split_address
from crm.models import Activity, Lead, MailState, Organization, OutboxMail, Purpose, User
from crm.templates import note_use, usable_email_templates

SENDING = ("scheduled", "outbox")  # the statuses of a mail that is to leave
_ORDERS = ("send_in", "confirm_possible_duplicates")  # of one request, not of the mail
_OF_NO_MAIL = frozenset({"contact_id", "user_id", "activity_at"})  # what can change while a mail waits
_IN_HAND = (MailState.SENDING, MailState.RESERVED)  # of one just withdrawn: delivery has put it back since we looked
GONE = "Object does not exist."

Columns = Mapping[str, object]


@transaction.atomic
def create_email(*, organization: Organization, by: User, type: str, columns: Columns) -> Activity:
    """A new email activity; with the status `outbox` or `scheduled` its mails are reserved.

    With a template and no body, the server renders. `FieldErrors`; nothing is written where one recipient is refused.
    """
    orders = {key: columns.get(key) for key in _ORDERS}
    known = {key: value for key, value in columns.items() if key not in _ORDERS}
    refuse_strange_account(known.get("details") or {}, {}, organization)
    known = _with_template(known, None, organization, by)
    made = create_activity(organization=organization, by=by, type=type, columns=known)
    return _sent_if_asked(made, organization, by, orders)


@transaction.atomic
def update_email(*, activity_id: UUID, organization: Organization, by: User, columns: Columns) -> Activity:
    """Change an email activity. One whose mails wait is taken back first, and reserved anew if it is still to leave.

    `NotFound`, `FieldErrors`; `Invalid` once one of its mails has left or is just leaving.
    """
    orders = {key: columns.get(key) for key in _ORDERS}
    known = {key: value for key, value in columns.items() if key not in _ORDERS}
    current = activities_of(organization.pk).filter(pk=activity_id).first()
    if current is None:
        raise NotFound
    if known.keys() <= _OF_NO_MAIL:
        return update_activity(activity_id=activity_id, organization=organization, by=by, columns=known)
    if known.get("status") in SENDING and current.status in ("sent", "inbox"):
        raise FieldErrors({"status": f"A mail that is '{current.status}' cannot be sent. Make a new one."})
    if current.status in SENDING:
        # Before the activity is locked: delivery, too, takes the mail first and then the activity.
        _take_back(activity_id)
    refuse_strange_account(known.get("details") or {}, current.details, organization)
    known = _with_template(known, current, organization, by)
    changed = update_activity(activity_id=activity_id, organization=organization, by=by, columns=known)
    return _sent_if_asked(changed, organization, by, orders)


@transaction.atomic
def delete_email(*, activity_id: UUID, organization: Organization) -> None:
    """Delete an email activity for good; a mail that waits does not leave. `NotFound`; `Invalid` while it leaves."""
    _withdraw(activity_id)
    if _mails(activity_id).filter(state__in=_IN_HAND).exists():
        raise Invalid(["The mail is leaving just now. Try again."])
    delete_activity(activity_id=activity_id, organization=organization)


def _mails(activity_id: UUID) -> object:
    return OutboxMail.objects.filter(source_id=activity_id, purpose=Purpose.SINGLE)


def _withdraw(activity_id: UUID) -> None:
    _mails(activity_id).filter(state=MailState.RESERVED).delete()


def _take_back(activity_id: UUID) -> None:
    _withdraw(activity_id)
    if _mails(activity_id).filter(state__in=[*_IN_HAND, MailState.SENT, MailState.UNKNOWN]).exists():
        raise Invalid(["The mail has left or is leaving just now: it cannot be changed any more."])


def _with_template(known: Columns, current: Activity | None, organization: Organization, by: User) -> dict[str, object]:
    """`known` with what the template says, if it names one and no body."""
    known = dict(known)
    details = dict(known.get("details") or {})
    named = details.get("template_id")
    if named is None or (current is not None and current.details.get("template_id") == named):
        return known
    template = usable_email_templates(organization, by).filter(pk=named).first()
    if template is None:
        raise FieldErrors({"template_id": GONE})
    if known.get("text") is None and known.get("html") is None:
        lead_id = known.get("lead_id") or (current and current.lead_id)
        contact_id = known.get("contact_id") or (current and current.contact_id)
        made = render_context(template, _context(lead_id, contact_id, organization, by))
        if isinstance(made, TemplateProblem):
            raise FieldErrors({"template_id": made.message})
        known |= {"title": known.get("title") or made.subject, "text": made.text, "html": made.html}
        for key in ("cc", "bcc", "attachments"):
            details.setdefault(key, getattr(template, key))
    note_use([template.pk])
    return {**known, "details": details}


def _context(lead_id: object, contact_id: object, organization: Organization, by: User) -> Mapping[str, object]:
    """What the template sees: the contact, else the lead's first one with an address, else the lead alone."""
    lead = Lead.objects.filter(pk=lead_id, organization=organization).select_related("status").first()
    if lead is None:
        raise FieldErrors({"lead_id": GONE})
    if contact_id is None and (found := of_leads([lead.pk], Preference.LEAD)):
        contact_id = found[0].contact_id
    if contact_id is None:
        return context_of_lead(lead, user=by, organization=organization)
    contexts = contexts_of([contact_id], user=by, organization=organization)
    if contact_id not in contexts:
        raise FieldErrors({"contact_id": GONE})
    return contexts[contact_id]


# --- sending ----------------------------------------------------------------------------------------------------------
def _sent_if_asked(activity: Activity, organization: Organization, by: User, orders: Columns) -> Activity:
    if activity.status in SENDING:
        _send(activity, organization, by, orders)
        activity.save(update_fields=["details", "local_address"])
        activity.refresh_from_db()
    return activity


def _send(activity: Activity, organization: Organization, by: User, orders: Columns) -> None:
    """Reserve the mails of the activity, less those that have left. Notes on it under which ids they leave."""
    earlier = list(_mails(activity.pk))
    unknown = [mail.pk for mail in earlier if mail.state == MailState.UNKNOWN]
    if unknown:
        confirmed = orders["confirm_possible_duplicates"]
        reserve_again(unknown, organization_id=organization.pk, confirm_possible_duplicates=confirmed)
    done = {mail.address for mail in earlier if mail.state in (MailState.SENT, MailState.UNKNOWN, MailState.SENDING)}
    account_id = activity.details.get("email_account_id")
    account, sender = sender_of(
        organization=organization,
        user=by,
        account_id=UUID(account_id) if account_id else None,
        sender=activity.local_address,
    )
    if has_controls(activity.title or ""):
        raise FieldErrors({"subject": "Value must be one line without control characters."})
    lists = _recipients(activity)
    headers = {name: ", ".join(lists[key]) for name, key in (("To", "to"), ("Cc", "cc")) if lists[key]}
    places = {address: (key, place) for key in reversed(lists) for address, place in lists[key].items()}
    addresses = list(dict.fromkeys([*lists["to"], *lists["cc"], *lists["bcc"]]))
    text, html = _bodies(activity)
    mails = [
        NewMail(
            organization=organization,
            account=account,
            purpose=Purpose.SINGLE,
            source_id=activity.pk,
            step=str(len({mail.step for mail in earlier})),  # tells a second try, after an error, from the first
            address=address,
            sender=sender,
            subject=as_subject(activity.title or ""),
            body_text=text,
            body_html=html,
            headers=headers,
            activity_id=activity.pk,
            lead_id=activity.lead_id,
            contact_id=activity.contact_id,
            not_before=_not_before(activity, orders),
        )
        for address in addresses
        if address not in done
    ]
    answers = reserve(mails)
    problems: dict[str, dict[str, str]] = {}
    for mail, answer in zip(mails, answers, strict=True):
        if isinstance(answer, Refused):
            key, place = places[mail.address]
            problems.setdefault(key, {})[str(place)] = f"{mail.address} gets no mail: {answer.code}."
    if problems:
        raise FieldErrors(problems)
    ids = [mail.message_id for mail in earlier] + [one.message_id for one in answers if not isinstance(one, Refused)]
    activity.local_address = sender
    activity.details = {**activity.details, "message_ids": ids}


def _not_before(activity: Activity, orders: Columns) -> datetime:
    """When the mail may leave at the earliest."""
    now = timezone.now()
    if activity.status == "outbox":
        return now + timedelta(seconds=int(orders["send_in"] or 0))
    planned = activity.details.get("date_scheduled")
    if planned is None:
        raise FieldErrors({"date_scheduled": "This field is required."})
    moment = datetime.fromisoformat(planned)
    if moment <= now:
        raise FieldErrors({"date_scheduled": "This moment is over. To send at once, use the status outbox."})
    return moment


def _recipients(activity: Activity) -> dict[str, dict[str, int]]:
    """The addresses in To, Cc and Bcc, and where each stands in the list that was given, first.

    `FieldErrors`, nested like the lists, for what is no address, and for nobody in To.
    """
    given = {"to": activity.recipients, "cc": activity.details.get("cc", []), "bcc": activity.details.get("bcc", [])}
    found: dict[str, dict[str, int]] = {}
    problems: dict[str, object] = {}
    for key, texts in given.items():
        found[key] = {}
        wrong = {}
        for place, text in enumerate(texts):
            try:
                found[key].setdefault(split_address(text)[1], place)
            except Invalid as problem:
                wrong[str(place)] = problem.errors[0]
        if wrong:
            problems[key] = wrong
    if not given["to"]:
        problems["to"] = "This field is required."
    if problems:
        raise FieldErrors(problems)
    return found


def _bodies(activity: Activity) -> tuple[str, str | None]:
    text, html = activity.text, activity.html
    if text is None:
        text = "" if html is None else text_of_html(html)
    return with_links(text, html, activity.details.get("attachments", []))
