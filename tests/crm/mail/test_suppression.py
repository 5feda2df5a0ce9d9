"""One reason per address, the strongest; and nothing leaves that waits for it."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from crm.errors import Invalid
from crm.mail import events
from crm.mail.events import MailEvent
from crm.mail.suppression import reasons_for, release, suppress, unwanted
from crm.models import Activity, MailState, Organization, OutboxMail, Purpose, Suppression
from tests.crm.mail.test_delivery import Reserve, deliver_all
from tests.factories import ActivityFactory, LeadFactory, OrganizationFactory
from tests.smtp import Post

WEAKEST_FIRST = ["bounced", "manual", "unsubscribed", "complained"]


@pytest.mark.parametrize("first", WEAKEST_FIRST)
@pytest.mark.parametrize("second", WEAKEST_FIRST)
def test_a_stronger_reason_takes_the_place_of_a_weaker_one_only(
    organization: Organization, first: str, second: str
) -> None:
    suppress(organization.pk, "ida@oakvale.example", first, "first")
    is_stronger = WEAKEST_FIRST.index(second) > WEAKEST_FIRST.index(first)

    assert suppress(organization.pk, " Ida@Oakvale.example", second, "second") is is_stronger

    row = Suppression.objects.get()
    assert (row.reason, row.detail) == ((second, "second") if is_stronger else (first, "first"))


def test_reasons_are_those_of_the_organization_in_one_query(organization: Organization) -> None:
    suppress(organization.pk, "ida@oakvale.example", "bounced")
    suppress(organization.pk, "lev@oakvale.example", "complained")
    suppress(OrganizationFactory.create().pk, "bo@oakvale.example", "manual")
    asked = ["IDA@oakvale.example", "lev@oakvale.example", "bo@oakvale.example", "no address"]

    with CaptureQueriesContext(
        connection,
    ) as queries:
        reasons = reasons_for(organization.pk, asked)

    assert reasons == {"IDA@oakvale.example": "bounced", "lev@oakvale.example": "complained"}
    assert len(queries) == 1
    assert [row.address for row in unwanted(organization.pk)] == ["lev@oakvale.example"]


def test_what_was_released_may_be_written_to_again(organization: Organization) -> None:
    suppress(organization.pk, "ida@oakvale.example", "unsubscribed")
    assert release(organization.pk, "IDA@oakvale.example")
    assert not release(organization.pk, "ida@oakvale.example")
    assert reasons_for(organization.pk, ["ida@oakvale.example"]) == {}


@pytest.mark.parametrize("address", ["", "ida", "i\0da@oakvale.example", "\ud800@oakvale.example", "a" * 400 + "@b.co"])
def test_what_is_no_address_is_refused(organization: Organization, address: str) -> None:
    with pytest.raises(Invalid):
        suppress(organization.pk, address, "manual")


def test_waiting_mail_of_the_address_is_withheld_at_once(
    organization: Organization, reserve: Reserve, post: Post
) -> None:
    lead = LeadFactory.create(organization=organization)
    activity = ActivityFactory.create(lead=lead, type="email", status="outbox")
    mail = reserve(activity=activity)
    kept = [reserve("lev@oakvale.example"), reserve(purpose=Purpose.NOTICE)]
    kept.append(reserve(organization=OrganizationFactory.create()))

    suppress(organization.pk, "ida@oakvale.example", "unsubscribed")

    mail.refresh_from_db()
    assert (mail.state, mail.error_code, mail.error_message) == (MailState.WITHHELD, "suppressed", "unsubscribed")
    assert Activity.objects.get(pk=activity.pk).status == "error"
    assert {one.state for one in OutboxMail.objects.filter(pk__in=[one.pk for one in kept])} == {MailState.RESERVED}
    deliver_all()
    assert post.recipients == {"lev@oakvale.example": 1, "ida@oakvale.example": 2}


def test_others_hear_of_it_once(organization: Organization, reserve: Reserve, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[MailEvent] = []
    monkeypatch.setattr(events, "_handlers", {happening: [] for happening in events.Happening})
    events.on_bounce(heard.append)
    events.on_bounce(heard.append)
    events.on_unsubscribe(heard.append)
    lead = LeadFactory.create(organization=organization)
    subscription = "0198c5f2-0000-7000-8000-000000000001"
    activity = ActivityFactory.create(lead=lead, type="email", details={"sequence_subscription_id": subscription})
    mail = reserve(activity=activity, lead=lead, state=MailState.SENT)

    for _ in range(2):
        suppress(organization.pk, mail.address, "bounced", "5.1.1", mail=mail)
    suppress(organization.pk, mail.address, "unsubscribed")

    assert [event.happening for event in heard] == ["bounce", "unsubscribe"]
    first = heard[0]
    assert (first.organization_id, first.address, first.mail) == (organization.pk, mail.address, mail)
    assert (first.activity_id, first.lead_id, str(first.subscription_id)) == (activity.pk, lead.pk, subscription)
