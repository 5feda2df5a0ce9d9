"""What came of a mail after it had left: others register here to hear of it.

A handler runs inside the transaction that wrote the event down, so what it does commits with it or not at all. It must
not fail for an event that means nothing to it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from crm.models import Activity, OutboxMail


class Happening(StrEnum):
    BOUNCE = "bounce"  # the address was suppressed for it
    COMPLAINT = "complaint"
    UNSUBSCRIBE = "unsubscribe"  # by a link, by the API, or by hand
    REPLY = "reply"  # a person wrote


@dataclass(frozen=True)
class MailEvent:
    """`address` is the other side's, normalised. `mail` is ours that it is about, where that is known.

    `activity_id`, `lead_id` and `contact_id` are those of that mail; of a reply without one, those of the incoming
    activity. `subscription_id` is the sequence subscription that `mail` belongs to.
    """

    happening: Happening
    organization_id: UUID
    address: str
    mail: OutboxMail | None = None
    activity_id: UUID | None = None
    subscription_id: UUID | None = None
    lead_id: UUID | None = None
    contact_id: UUID | None = None


Handler = Callable[[MailEvent], None]

_handlers: dict[Happening, list[Handler]] = {happening: [] for happening in Happening}


def on_bounce(handler: Handler) -> Handler:
    return _register(Happening.BOUNCE, handler)


def on_complaint(handler: Handler) -> Handler:
    return _register(Happening.COMPLAINT, handler)


def on_unsubscribe(handler: Handler) -> Handler:
    return _register(Happening.UNSUBSCRIBE, handler)


def on_reply(handler: Handler) -> Handler:
    return _register(Happening.REPLY, handler)


def announce(event: MailEvent) -> None:
    """Tell the handlers, in the order in which they registered. Call it inside the transaction."""
    for handler in _handlers[event.happening]:
        handler(event)


def event_of(
    happening: Happening, organization_id: UUID, address: str, mail: OutboxMail | None = None, **known: UUID | None
) -> MailEvent:
    """The event with what is known of `mail`; `known` are further keys of `MailEvent`."""
    if mail is None:
        return MailEvent(happening, organization_id, address, **known)
    details = Activity.objects.filter(pk=mail.activity_id).values_list("details", flat=True).first() or {}
    subscription = details.get("sequence_subscription_id")
    of_mail = {
        "activity_id": mail.activity_id,
        "subscription_id": UUID(subscription) if subscription else None,
        "lead_id": mail.lead_id,
        "contact_id": mail.contact_id,
    }
    return MailEvent(happening, organization_id, address, mail, **{**of_mail, **known})


def _register(happening: Happening, handler: Handler) -> Handler:
    if handler not in _handlers[happening]:
        _handlers[happening].append(handler)
    return handler
