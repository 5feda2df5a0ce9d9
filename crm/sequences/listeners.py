"""What comes of a mail ends or pauses the subscriptions that it concerns. Registered when the application starts."""

from crm.mail import delivery, events
from crm.mail.events import MailEvent
from crm.models import Purpose, SubscriptionStatus
from crm.sequences import states
from crm.sequences.states import Reason

_OF_ADDRESS = "organization_id = %(organization)s AND lower(contact_email) = %(address)s"
_OF_PERSON = """
    organization_id = %(organization)s
    AND (id = %(subscription)s OR contact_id = %(contact)s OR lower(contact_email) = %(address)s)
"""


def register() -> None:
    """Hear of mails, and say which of ours may leave."""
    delivery.register_gate(Purpose.SEQUENCE, states.open_sources)
    events.on_reply(end_by_reply)
    events.on_bounce(end_by_bounce)
    events.on_unsubscribe(end_by_wish)
    events.on_complaint(end_by_wish)


def end_by_reply(event: MailEvent) -> None:
    """The person wrote: all that runs for them has reached its goal. Mail of a finished one stays here too."""
    states.stop(
        _OF_PERSON,
        {**_names(event), "subscription": event.subscription_id, "contact": event.contact_id},
        status=SubscriptionStatus.GOAL,
        reason=Reason.REPLY_RECEIVED,
    )
    if event.subscription_id:
        states.hold_back([event.subscription_id], Reason.REPLY_RECEIVED)


def end_by_bounce(event: MailEvent) -> None:
    states.stop(_OF_ADDRESS, _names(event), status=SubscriptionStatus.ERROR, reason=Reason.EMAIL_BOUNCED)


def end_by_wish(event: MailEvent) -> None:
    """The person wants no mail: nothing goes on until somebody says so."""
    states.stop(_OF_ADDRESS, _names(event), status=SubscriptionStatus.PAUSED, reason=Reason.UNSUBSCRIBED)


def _names(event: MailEvent) -> dict[str, object]:
    return {"organization": event.organization_id, "address": event.address}
