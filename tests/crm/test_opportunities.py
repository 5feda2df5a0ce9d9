"""Opportunities: what a status does to their dates, and what they leave behind."""

from datetime import date, timedelta

import pytest
from django.utils import timezone

from crm.contacts import delete_contact
from crm.demo_data import seed_leads
from crm.errors import FieldErrors, NotFound
from crm.models import (
    Lead,
    Membership,
    Opportunity,
    OpportunityStatus,
    OpportunityStatusChange,
    Organization,
    User,
)
from crm.opportunities import (
    OpportunityDraft,
    annualized,
    create_opportunity,
    delete_opportunity,
    expected,
    opportunities_of,
    update_opportunity,
)
from crm.pipelines import StatusChoice
from crm.purge import purge_deleted
from crm.setup import create_organization
from tests import factories

TODAY = date(2031, 3, 16)
EARLIER = date(2031, 2, 1)


@pytest.fixture
def stages(organization: Organization) -> dict[str, OpportunityStatus]:
    """A status of each type; the active one is the first."""
    pipeline = factories.PipelineFactory.create(organization=organization)
    return {
        kind: factories.OpportunityStatusFactory.create(pipeline=pipeline, type=kind, label=kind, position=position)
        for position, kind in enumerate(("active", "won", "lost"))
    }


@pytest.fixture
def lead(organization: Organization, membership: Membership) -> Lead:
    return factories.LeadFactory.create(organization=organization)


def make(lead: Lead, user: User, status: OpportunityStatus | None = None, **columns: object) -> Opportunity:
    choice = StatusChoice(status_id=status.pk if status else None)
    draft = OpportunityDraft(columns=columns, status=choice, lead_id=lead.pk)
    return create_opportunity(organization=lead.organization, by=user, draft=draft, today=TODAY)


def move(opportunity: Opportunity, user: User, status: OpportunityStatus | None, **columns: object) -> Opportunity:
    choice = StatusChoice(status_id=status.pk if status else None)
    return update_opportunity(
        opportunity_id=opportunity.pk,
        organization=opportunity.organization,
        by=user,
        draft=OpportunityDraft(columns=columns, status=choice),
        today=TODAY,
    )


def test_a_new_opportunity_is_the_callers_and_in_the_first_status(
    lead: Lead, user: User, stages: dict[str, OpportunityStatus]
) -> None:
    made = make(lead, user)
    assert (made.status, made.user, made.created_by, made.updated_by) == (stages["active"], user, user, user)
    assert (made.confidence, made.value_period, made.date_won, made.date_lost) == (50, "one_time", None, None)
    change = OpportunityStatusChange.objects.get()
    assert (change.opportunity, change.old_status, change.new_status) == (made, None, stages["active"])


def test_without_a_lead_an_untitled_one_is_made(
    organization: Organization, membership: Membership, status: object, stages: dict[str, OpportunityStatus]
) -> None:
    made = create_opportunity(organization=organization, by=membership.user, draft=OpportunityDraft(), today=TODAY)
    assert made.lead is not None
    assert made.lead.name is None
    assert made.lead.organization == organization


def test_winning_sets_the_day_and_leaving_won_empties_it(
    lead: Lead, user: User, stages: dict[str, OpportunityStatus]
) -> None:
    assert make(lead, user, stages["won"]).date_won == TODAY
    assert make(lead, user, stages["won"], date_won=EARLIER).date_won == EARLIER
    deal = make(lead, user, date_won=EARLIER)
    assert deal.date_won == EARLIER, "a forecast"
    won = move(deal, user, stages["won"])
    assert won.date_won == TODAY
    assert move(won, user, stages["won"]).date_won == TODAY
    assert move(won, user, None, date_won=EARLIER).date_won == EARLIER
    assert move(won, user, None, note="x").date_won == EARLIER
    assert move(won, user, None, date_won=None).date_won == TODAY
    assert move(won, user, stages["active"]).date_won is None


def test_losing_sets_the_moment_and_leaving_lost_empties_it(
    lead: Lead, user: User, stages: dict[str, OpportunityStatus]
) -> None:
    lost = make(lead, user, stages["lost"])
    assert lost.date_lost is not None
    assert move(lost, user, stages["lost"]).date_lost == lost.date_lost
    won = move(lost, user, stages["won"])
    assert (won.date_won, won.date_lost) == (TODAY, None)
    again = move(won, user, stages["lost"])
    assert again.date_won is None
    assert again.date_lost is not None


def test_every_change_of_status_is_noted_once(lead: Lead, user: User, stages: dict[str, OpportunityStatus]) -> None:
    deal = make(lead, user)
    for status in (stages["won"], stages["won"], None, stages["lost"]):
        move(deal, user, status)
    noted = OpportunityStatusChange.objects.order_by("id").values_list("old_status__type", "new_status__type")
    assert list(noted) == [(None, "active"), ("active", "won"), ("won", "lost")]


def test_strangers_things_do_not_exist(lead: Lead, user: User, stages: dict[str, OpportunityStatus]) -> None:
    theirs = factories.ContactFactory.create()
    drafts = {
        "lead_id": OpportunityDraft(lead_id=theirs.lead_id),
        "contact_id": OpportunityDraft(contact_id=theirs.pk, names_contact=True),
        "user_id": OpportunityDraft(user_id=factories.UserFactory.create().pk),
    }
    deal = make(lead, user)
    for path, draft in drafts.items():
        with pytest.raises(FieldErrors) as problem:
            update_opportunity(
                opportunity_id=deal.pk, organization=lead.organization, by=user, draft=draft, today=TODAY
            )
        assert list(problem.value.field_errors) == [path]
    with pytest.raises(NotFound):
        update_opportunity(
            opportunity_id=deal.pk,
            organization=theirs.organization,
            by=user,
            draft=OpportunityDraft(),
            today=TODAY,
        )
    with pytest.raises(NotFound):
        delete_opportunity(opportunity_id=deal.pk, organization=theirs.organization)


def test_a_deleted_contact_leaves_the_opportunity(lead: Lead, user: User, stages: object) -> None:
    contact = factories.ContactFactory.create(lead=lead)
    deal = create_opportunity(
        organization=lead.organization,
        by=user,
        draft=OpportunityDraft(lead_id=lead.pk, contact_id=contact.pk, names_contact=True),
        today=TODAY,
    )
    assert deal.contact == contact
    delete_contact(contact_id=contact.pk, organization=lead.organization)
    deal.refresh_from_db()
    assert deal.contact is None


def test_a_deleted_opportunity_takes_its_history_along(lead: Lead, user: User, stages: object) -> None:
    deal = make(lead, user)
    delete_opportunity(opportunity_id=deal.pk, organization=lead.organization)
    assert not Opportunity.objects.exists()
    assert not OpportunityStatusChange.objects.exists()


def test_those_of_a_deleted_lead_are_not_to_be_seen_and_are_purged_with_it(
    lead: Lead, user: User, stages: object
) -> None:
    contact = factories.ContactFactory.create(lead=lead)
    gone = make(lead, user)
    Opportunity.objects.filter(pk=gone.pk).update(contact=contact)
    kept = make(factories.LeadFactory.create(organization=lead.organization), user)
    Opportunity.objects.filter(pk=kept.pk).update(contact=contact)
    Lead.objects.filter(pk=lead.pk).update(deleted_at=timezone.now() - timedelta(days=31))
    assert list(opportunities_of(lead.organization_id)) == [kept]
    with pytest.raises(NotFound):
        move(gone, user, None, note="x")
    assert purge_deleted(older_than=timedelta(days=30), limit=10) == 1
    assert list(Opportunity.objects.values_list("pk", "contact_id")) == [(kept.pk, None)]
    assert list(OpportunityStatusChange.objects.values_list("opportunity_id", flat=True)) == [kept.pk]


@pytest.mark.parametrize(
    ("value", "confidence", "result"),
    [(250_000, 40, 100_000), (1, 50, 1), (-1, 50, -1), (1, 49, 0), (0, 100, 0), (None, 50, None)],
)
def test_the_expected_value_is_rounded_away_from_zero(value: int | None, confidence: int, result: int | None) -> None:
    assert expected(value, confidence) == result


def test_a_year_has_twelve_months() -> None:
    assert [annualized(100, period) for period in ("one_time", "monthly", "annual")] == [100, 1200, 100]
    assert annualized(None, "monthly") is None


@pytest.mark.django_db
def test_demo_leads_come_with_opportunities() -> None:
    organization = create_organization("Oakvale")
    assert sum(seed_leads(organization=organization, leads=400, seed=1)) == 400
    found = opportunities_of(organization.pk)
    assert 80 < found.count() < 160
    assert not found.filter(status__type="won", date_won=None).exists()
    assert not found.exclude(status__type="lost").filter(date_lost__isnull=False).exists()
