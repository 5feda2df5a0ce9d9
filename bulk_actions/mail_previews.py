"""What a job that sends mail would send, told before it exists."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from bulk_actions.actions.base import GONE_MESSAGE
from bulk_actions.actions.email import MESSAGES
from bulk_actions.models import BulkAction
from crm.errors import Invalid
from crm.mail.addresses import normalise
from crm.mail.outbox import Refusal
from crm.mail.recipients import Addressee, of_leads
from crm.mail.render import Recipient, Rendered, render
from crm.mail.suppression import reasons_for
from crm.models import EmailTemplate, Lead

MAX_SAMPLES = 20
_PIECE = 5_000  # leads looked at in one statement


@dataclass(frozen=True)
class MailSample:
    """A mail that would be sent; with `problem`, and no texts, where its template cannot be rendered for them."""

    lead_id: UUID
    contact_id: UUID
    email: str
    subject: str | None
    body_text: str | None
    body_html: str | None
    problem: str | None


@dataclass(frozen=True)
class MailForecast:
    """`would_send` and those of `blocked` (code, message, number) add up to `n_objects`."""

    n_objects: int
    would_send: int
    blocked: tuple[tuple[str, str, int], ...]
    samples: tuple[MailSample, ...]


def forecast(job: BulkAction, lead_ids: Sequence[UUID]) -> MailForecast:
    """What a job over these leads would send, if nothing changed from now on: who is skipped and why, by the rules of
    the job itself. Templates are rendered for the samples alone."""
    blocked: Counter[str] = Counter()
    seen: set[str] = set()
    first: list[Addressee] = []
    would_send = 0
    for start in range(0, len(lead_ids), _PIECE):
        part = list(lead_ids[start : start + _PIECE])
        live = set(Lead.objects.filter(pk__in=part, organization=job.organization_id).values_list("pk", flat=True))
        blocked["lead_gone"] += len(part) - len(live)
        people = of_leads([key for key in part if key in live], job.params["contact_preference"])
        blocked[Refusal.NO_ADDRESS] += len(live - {one.lead_id for one in people})
        suppressed = reasons_for(job.organization_id, {one.address for one in people})
        for one in people:
            code = _refusal(one.address, suppressed, seen)
            if code is not None:
                blocked[code] += 1
                continue
            would_send += 1
            if len(first) < MAX_SAMPLES:
                first.append(one)
    told = {"lead_gone": GONE_MESSAGE, **MESSAGES}
    return MailForecast(
        n_objects=would_send + blocked.total(),
        would_send=would_send,
        blocked=tuple((str(code), told[code], number) for code, number in sorted(blocked.items()) if number),
        samples=tuple(_samples(job, first)),
    )


def _refusal(address: str, suppressed: dict[str, str], seen: set[str]) -> str | None:
    """As `crm.mail.outbox.reserve` decides, in its order."""
    if not address.strip():
        return Refusal.NO_ADDRESS
    try:
        normal = normalise(address)
    except Invalid:
        return Refusal.INVALID_ADDRESS
    if address in suppressed:
        return suppressed[address]
    if normal in seen:
        return Refusal.DUPLICATE_ADDRESS
    seen.add(normal)
    return None


def _samples(job: BulkAction, people: Sequence[Addressee]) -> list[MailSample]:
    template = EmailTemplate.objects.get(pk=job.params["template_id"])
    recipients = [Recipient(one.contact_id, one.address) for one in people]
    made = render(template, recipients, user=job.created_by, organization=job.organization)
    samples = []
    for one, mail in zip(people, made, strict=True):
        if isinstance(mail, Rendered):
            shown = (mail.subject, mail.text, mail.html, None)
        else:
            shown = (None, None, None, mail.message)
        samples.append(MailSample(one.lead_id, one.contact_id, one.address, *shown))
    return samples
