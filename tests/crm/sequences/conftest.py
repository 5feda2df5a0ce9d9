"""A sequence with its sender, contacts in it, and a clock that the test turns."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from crm.auth import Caller, make_api_key
from crm.models import (
    Contact,
    EmailAccount,
    EmailTemplate,
    Membership,
    OutboxMail,
    Sequence,
    SequenceStep,
    SequenceSubscription,
)
from crm.sequences import engine
from tests import factories


@dataclass
class Clock:
    """The moment that ticks are told, years ahead of the real one: nothing is due by accident."""

    now: datetime = datetime(2031, 6, 2, 9, 0, tzinfo=UTC)  # a Monday

    def tick(self) -> int:
        return engine.tick(now=self.now)

    def pass_(self, **delay: float) -> int:
        """Let that much time pass, then tick."""
        self.now += timedelta(**delay)
        return self.tick()


@dataclass
class World:
    """What a test of sequences needs at hand."""

    membership: Membership
    account: EmailAccount
    template: EmailTemplate
    clock: Clock = field(default_factory=Clock)

    @classmethod
    def of(cls, membership: Membership) -> "World":
        organization = membership.organization
        return cls(
            membership,
            factories.EmailAccountFactory.create(organization=organization),
            factories.EmailTemplateFactory.create(organization=organization),
        )

    @property
    def caller(self) -> Caller:
        return Caller(
            self.membership.organization,
            self.membership.user,
            self.membership,
            make_api_key(membership=self.membership)[0],
        )

    def sequence(self, *steps: dict[str, object], **columns: object) -> Sequence:
        """A sequence of these steps; mails of `template` where a step says no more."""
        made = Sequence.objects.create(
            **{
                "organization": self.membership.organization,
                "name": "Warm hello",
                "timezone": "Europe/Riga",
                "owner": self.membership.user,
                **columns,
            }
        )
        for position, step in enumerate(steps):
            is_mail = step.get("step_type", "email") == "email"
            template = {"email_template": self.template} if is_mail else {}
            SequenceStep.objects.create(sequence=made, position=position, **{"step_type": "email", **template, **step})
        return made

    def contact(self, address: str = "ida@oakvale.example", **columns: object) -> Contact:
        lead = factories.LeadFactory.create(organization=self.membership.organization)
        contact = factories.ContactFactory.create(lead=lead, **columns)
        contact.emails.create(organization=self.membership.organization, email=address)
        return contact

    def subscribe(self, sequence: Sequence, contact: Contact | None = None, **columns: object) -> SequenceSubscription:
        """A subscription whose first step is due now, by the clock."""
        contact = contact or self.contact()
        return SequenceSubscription.objects.create(
            **{
                "organization": self.membership.organization,
                "sequence": sequence,
                "contact": contact,
                "lead": contact.lead,
                "contact_email": contact.emails.first().email,
                "sender_account": self.account,
                "sender_name": "Jo Field",
                "sender_email": "jo@oakvale.example",
                "next_step": sequence.steps.first(),
                "next_at": self.clock.now,
                "start_date": self.clock.now,
                "created_by": self.membership.user,
                **columns,
            }
        )

    def mails_left(self) -> None:
        """All mail of the outbox has left."""
        OutboxMail.objects.filter(state="reserved").update(state="sent", date_sent=timezone.now())


@pytest.fixture
def world(membership: Membership) -> World:
    return World.of(membership)


@pytest.fixture
def status_of() -> Callable[[SequenceSubscription], tuple[str, str | None]]:
    def status_of(one: SequenceSubscription) -> tuple[str, str | None]:
        one.refresh_from_db()
        return one.status, one.status_reason

    return status_of
